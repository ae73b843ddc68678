"""A checkpoint for the simulated arm with random weights: it moves, no more is needed."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from ddpm_controller.checkpoint import save_checkpoint
from ddpm_controller.policies.diff_control.config import DiffControlConfig
from ddpm_controller.policies.diff_control.network import DiffControlNetwork
from ddpm_controller.policies.diffusion_policy.config import DiffusionPolicyConfig
from ddpm_controller.policies.diffusion_policy.network import DiffusionPolicyNetwork
from ddpm_controller.robots.robot import load_robot
from ddpm_controller.simulation.arm.robot_description import robot_description

SIM_ARM = Path(__file__).parents[2] / "config" / "robots" / "sim_arm.yaml"
CONFIG = DiffusionPolicyConfig(
    channels=(16, 32),
    image_channels=(8, 8, 8),
    num_keypoints=4,
    timestep_embedding_dim=16,
    num_inference_steps=4,
)


def save_random_checkpoint(
    folder: Path,
    seed: int = 0,
    share: float = 0.1,
    config: DiffusionPolicyConfig = CONFIG,
    file: Path = SIM_ARM,
    provenance=None,
) -> str:
    """Write it and return its hash; its plans stay in this middle share of the ranges."""
    robot = load_robot(file)
    statistics = _statistics(robot, share)
    return save_random_network(folder, config, robot, statistics, seed, provenance)


def save_random_diff_control(folder: Path, seed: int = 0, horizon: int = 16) -> str:
    """Write a policy that remembers the chunk before and return its hash."""
    robot = load_robot(SIM_ARM)
    config = DiffControlConfig(policy=replace(CONFIG, horizon=horizon), state="chunk_prior")
    statistics = _statistics(robot, 0.1)
    torch.manual_seed(seed)
    network = DiffControlNetwork(config, robot.action_spec, robot.stream_specs, statistics)
    return _saved(folder, "diff_control", config, robot, statistics, network)


def _statistics(robot, share: float):
    streams, limits = robot.stream_specs, robot.limits(robot_description())
    joints = limits.of_joints
    whole = {"min": joints.lower.tolist(), "max": joints.upper.tolist()}
    middle, half = (limits.lower + limits.upper) / 2, share * (limits.upper - limits.lower) / 2
    is_relative = np.array(robot.action_spec.relative_to) != "none"
    middle = np.where(is_relative, 0.0, middle)
    inner = {"min": (middle - half).tolist(), "max": (middle + half).tolist()}
    image = {"min": [0.0], "max": [255.0]}
    statistics = {stream.name: whole if stream.names else image for stream in streams}
    statistics["action"] = inner
    return statistics


def save_random_network(
    folder: Path, config, robot, statistics, seed: int = 0, provenance=None
) -> str:
    """Write a network of random weights for a robot and return its hash."""
    torch.manual_seed(seed)
    network = DiffusionPolicyNetwork(config, robot.action_spec, robot.stream_specs, statistics)
    return _saved(folder, "diffusion_policy", config, robot, statistics, network, provenance)


def _saved(folder: Path, kind: str, config, robot, statistics, network, provenance=None) -> str:
    return save_checkpoint(
        folder,
        kind=kind,
        config=asdict(config),
        action_spec=robot.action_spec,
        streams=robot.stream_specs,
        statistics=statistics,
        provenance=provenance or {},
        weights=network.state_dict(),
    )
