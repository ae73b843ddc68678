"""What a checkpoint's config and weights make: a network, or an error that names what is wrong."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, TypeVar

from pydantic import TypeAdapter
from torch import Tensor, nn

from ddpm_controller.checkpoint import Checkpoint, CheckpointError
from ddpm_controller.given_files import one_line

Config = TypeVar("Config")
Network = TypeVar("Network", bound=nn.Module)


def validated_config(values: Mapping[str, Any], kind: type[Config]) -> Config:
    """Return the config, a dataclass, that ``dataclasses.asdict`` made ``values`` of.

    Also by way of JSON.

    Raises:
        ValueError: If a field is unknown or breaks a rule.
    """
    unknown = sorted(set(values) - {each.name for each in fields(kind)})  # type: ignore[arg-type]
    if unknown:
        raise ValueError(f"unknown fields {unknown} in the config")
    config: Config = TypeAdapter(kind).validate_python(dict(values))
    return config


def restored_network(
    checkpoint: Checkpoint,
    config_from: Callable[[Mapping[str, Any]], Any],
    network: Callable[..., Network],
) -> Network:
    """Return the network of a checkpoint.

    Args:
        checkpoint: Checkpoint of any kind.
        config_from: Makes the config that the manifest holds.
        network: Makes the network of config, action spec, streams and statistics.

    Raises:
        CheckpointError: If the config or the weights do not fit.
    """
    manifest = checkpoint.manifest
    try:
        config = config_from(manifest.config)
        made = network(config, manifest.action_spec, manifest.streams, manifest.statistics)
        _refuse_other_types(checkpoint.weights, made.state_dict())
        made.load_state_dict(dict(checkpoint.weights))
    except (ValueError, RuntimeError, TypeError, KeyError) as error:
        raise CheckpointError(
            f"{checkpoint.folder}: config and weights do not make a {manifest.kind} of this "
            f"release: {one_line(error)}"
        ) from error
    return made


def _refuse_other_types(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    """Refuse whole numbers where the network has fractions, and the other way round."""
    for name, each in given.items():
        if name in wanted and each.is_floating_point() != wanted[name].is_floating_point():
            raise ValueError(
                f"weight {name!r} is of type {each.dtype}, the network has {wanted[name].dtype}"
            )
