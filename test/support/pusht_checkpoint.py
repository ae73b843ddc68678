"""A checkpoint for PushT with random weights: it moves, no more is needed."""

from pathlib import Path

from random_checkpoint import save_random_network

from ddpm_controller.policies.diffusion_policy.config import DiffusionPolicyConfig
from ddpm_controller.robots.robot import load_robot

PUSHT = Path(__file__).parents[2] / "config" / "robots" / "pusht.yaml"
DATA = Path(__file__).parents[3] / "shared/data/pusht_human/pusht_cchi_v7_replay.zarr"
"""The human demonstrations, where they have been fetched."""
CONFIG = DiffusionPolicyConfig(
    channels=(16, 32), timestep_embedding_dim=16, num_inference_steps=4, n_action_steps=8
)


def save_pusht_checkpoint(folder: Path) -> str:
    """Write it and return its hash; its plans lie in the middle, slow enough for the limits."""
    robot = load_robot(PUSHT)
    sizes = {stream.name: len(stream.names) for stream in robot.stream_specs} | {"action": 2}
    statistics = {name: {"min": [0.0] * n, "max": [0.512] * n} for name, n in sizes.items()}
    statistics["action"] = {"min": [0.24] * 2, "max": [0.27] * 2}
    return save_random_network(folder, CONFIG, robot, statistics)
