"""A diffusion policy that is small enough to be tested in milliseconds."""

import dataclasses

import torch

from ddpm_controller.policies.diffusion_policy.config import DiffusionPolicyConfig
from ddpm_controller.policies.diffusion_policy.network import DiffusionPolicyNetwork
from ddpm_controller.policies.seams.strategies import SeamSettings
from ddpm_controller.types import ActionSpec, StreamSpec

STREAMS = (
    StreamSpec("joint_state", "vector", (2,), 50.0, ("one", "two"), ("rad", "m")),
    StreamSpec("camera", "image", (16, 20, 3), 25.0),
)
ACTION_SPEC = ActionSpec(("one", "two"), ("rad", "m"), 0.1)
STATISTICS = {
    "joint_state": {"min": [-2.0, 0.0], "max": [2.0, 0.08]},
    "action": {"min": [-2.0, 0.0], "max": [2.0, 0.08]},
}
CONFIG = DiffusionPolicyConfig(
    n_obs_steps=2,
    horizon=8,
    n_action_steps=4,
    num_train_timesteps=20,
    num_inference_steps=5,
    channels=(8, 16),
    kernel_size=3,
    num_groups=4,
    timestep_embedding_dim=8,
    image_channels=(8, 8),
    num_keypoints=4,
    seam=SeamSettings("switch"),
)


def network(**changes):
    torch.manual_seed(0)
    config = dataclasses.replace(CONFIG, **changes)
    return DiffusionPolicyNetwork(config, ACTION_SPEC, STREAMS, STATISTICS)
