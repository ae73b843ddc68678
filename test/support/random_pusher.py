"""A small diffusion policy with random weights for PushT: it moves, no more is needed."""

import torch

from ddpm_controller.policies.diffusion_policy.config import DiffusionPolicyConfig
from ddpm_controller.policies.diffusion_policy.network import DiffusionPolicyNetwork
from ddpm_controller.policies.diffusion_policy.policy import DiffusionPolicy
from ddpm_controller.policies.seams.strategies import SeamSettings
from ddpm_controller.policy import PlanSettings
from ddpm_controller.simulation.pusht.pusht_block import CORNER_NAMES, PUSHER_NAMES
from ddpm_controller.types import ActionSpec, StreamSpec

STREAMS = (
    StreamSpec("joint_state", "vector", (2,), 10.0, PUSHER_NAMES, ("m", "m")),
    StreamSpec("block_corners", "vector", (16,), 10.0, CORNER_NAMES, ("m",) * 16),
)
ACTION_SPEC = ActionSpec(PUSHER_NAMES, ("m", "m"), 0.1)
CONFIG = DiffusionPolicyConfig(
    n_obs_steps=2,
    horizon=8,
    n_action_steps=4,
    num_train_timesteps=20,
    num_inference_steps=3,
    channels=(8, 16),
    kernel_size=3,
    num_groups=4,
    timestep_embedding_dim=8,
    seam=SeamSettings("switch"),
)


def random_pusher() -> DiffusionPolicy:
    """Its rows lie all over the board."""
    board = {"min": [0.0], "max": [0.512]}
    statistics = {
        "joint_state": {key: value * 2 for key, value in board.items()},
        "block_corners": {key: value * 16 for key, value in board.items()},
        "action": {key: value * 2 for key, value in board.items()},
    }
    torch.manual_seed(0)
    network = DiffusionPolicyNetwork(CONFIG, ACTION_SPEC, STREAMS, statistics)
    return DiffusionPolicy(network, ACTION_SPEC, PlanSettings())
