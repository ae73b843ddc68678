"""A checkpoint for PushT with random weights: it moves, no more is needed."""

from dataclasses import asdict
from pathlib import Path

import torch

from ddpm_controller.checkpoint import save_checkpoint
from ddpm_controller.policies.diffusion_policy_network import (
    DiffusionPolicyConfig,
    DiffusionPolicyNetwork,
)
from ddpm_controller.ros.robot import load_robot

PUSHT = Path(__file__).parents[2] / "config" / "robots" / "pusht.yaml"
DATA = Path(__file__).parents[3] / "shared/data/pusht_human/pusht_cchi_v7_replay.zarr"
"""The human demonstrations, where they have been fetched."""
CONFIG = DiffusionPolicyConfig(
    channels=(16, 32), timestep_embedding_dim=16, num_inference_steps=4, n_action_steps=8
)


def save_pusht_checkpoint(folder: Path) -> str:
    """Write it and return its hash; its plans lie all over the board."""
    robot = load_robot(PUSHT)
    spec, streams = robot.action_spec, robot.stream_specs
    sizes = {stream.name: len(stream.names) for stream in streams} | {"action": 2}
    statistics = {name: {"min": [0.0] * n, "max": [0.512] * n} for name, n in sizes.items()}
    torch.manual_seed(0)
    network = DiffusionPolicyNetwork(CONFIG, spec, streams, statistics)
    return save_checkpoint(
        folder,
        kind="diffusion_policy",
        config=asdict(CONFIG),
        action_spec=spec,
        streams=streams,
        statistics=statistics,
        provenance={},
        weights=network.state_dict(),
    )
