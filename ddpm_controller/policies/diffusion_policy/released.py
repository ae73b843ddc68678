"""A checkpoint of a policy whose U-Net has the released weights of another program."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor

from ddpm_controller.checkpoint import save_checkpoint
from ddpm_controller.given_files import one_line
from ddpm_controller.networks.released_unet import weights_of_released
from ddpm_controller.policies.diffusion_policy.config import DiffusionPolicyConfig
from ddpm_controller.policies.diffusion_policy.network import DiffusionPolicyNetwork
from ddpm_controller.policies.restored import NoMoreWeights, validated_config
from ddpm_controller.types import ActionSpec, StreamSpec


def save_released(
    folder: Path,
    fields: Mapping[str, Any],
    unet: Mapping[str, Tensor],
    encoders: Mapping[str, Mapping[str, Tensor]],
    action_spec: ActionSpec,
    streams: Sequence[StreamSpec],
    statistics: Mapping[str, Mapping[str, list[float]]],
    provenance: Mapping[str, Any],
) -> str:
    """Write a checkpoint; return its hash.

    Args:
        folder: Folder of the checkpoint.
        fields: Fields of a ``DiffusionPolicyConfig`` with ``unet_form`` "released".
        unet: Released weights. The columns of their condition are one observation after the other,
            and in each the streams.
        encoders: Stream of images -> weights of its ``ResNetEncoder``.
        action_spec: Action spec of the chunks.
        streams: Streams in the order of the condition.
        statistics: See ``DiffusionPolicyNetwork``.
        provenance: For the manifest.

    Raises:
        CheckpointError: It cannot be written.
        ValueError: A field breaks a rule, or the weights do not make this network.
    """
    config = validated_config(fields, DiffusionPolicyConfig)
    found = 2 * config.num_keypoints
    sizes = [found if each.kind == "image" else each.shape[0] for each in streams]
    columns = _columns(sizes, config.n_obs_steps)
    ours = weights_of_released(unet, len(config.channels), columns)
    embedded = ours["from_time.weight"].shape[1]
    if embedded != config.timestep_embedding_dim:
        raise ValueError(
            f"timestep_embedding_dim is {config.timestep_embedding_dim}, the weights are for "
            f"{embedded} with {len(columns)} columns of the condition"
        )
    weights = {f"unet.{name}": each for name, each in ours.items()}
    for stream, of_encoder in encoders.items():
        weights |= {f"encoders.{stream}.{name}": each for name, each in of_encoder.items()}
    try:
        with NoMoreWeights(sum(each.numel() for each in weights.values())):
            network = DiffusionPolicyNetwork(config, action_spec, streams, statistics)
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(f"the weights are not those of the config: {one_line(error)}") from error
    return save_checkpoint(
        folder,
        kind="diffusion_policy",
        config=asdict(config),
        action_spec=action_spec,
        streams=tuple(streams),
        statistics={name: dict(each) for name, each in statistics.items()},
        provenance=provenance,
        weights=network.state_dict(),
    )


def _columns(sizes: Sequence[int], n_obs_steps: int) -> list[int]:
    """Return the released column of each column of the condition, whose streams come in turn."""
    width = sum(sizes)
    return [
        step * width + sum(sizes[:place]) + element
        for place, size in enumerate(sizes)
        for step in range(n_obs_steps)
        for element in range(size)
    ]
