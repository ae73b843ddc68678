"""The command `fit_out_of_distribution`: lets a checkpoint notice what it was not trained for."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tyro

from ddpm_controller.cli.fit.fit_command import OnProgress, episodes_of, run_fit
from ddpm_controller.data.windows import WindowDataset
from ddpm_controller.policy import PlanSettings
from ddpm_controller.robots.robot import Robot, load_robot
from ddpm_controller.share import share_path
from ddpm_controller.types import Episode

if TYPE_CHECKING:
    from torch import Tensor

    from ddpm_controller.checkpoint import Checkpoint
    from ddpm_controller.policies.diffusion_policy.policy import DiffusionPolicy
    from ddpm_controller.policies.monitors.out_of_distribution import FeatureDistance


@dataclass(frozen=True)
class FitOutOfDistribution:
    """Fit the distance by which a policy notices what it was not trained for.

    Writes out_of_distribution.safetensors into the checkpoint's folder; the checkpoint keeps its
    hash and its plans. The limit is learned from the episodes held out from training and from
    those of training.

        ddpm fit-out-of-distribution --checkpoint models/reach --bags recordings

    Attributes:
        checkpoint: Folder of a diffusion_policy.
        bags: The bags it was trained on, or folders of bags.
        robot: Robot file. Default: sim_arm.
        quantile: Share of good windows below the limit.
        windows_per_episode: At most so many, evenly spread.
        torch_num_threads: Threads of the encoder.
    """

    checkpoint: Path
    bags: tuple[Path, ...]
    robot: Path | None = None
    quantile: float = 0.999
    windows_per_episode: int = 64
    torch_num_threads: int = 1


def fitted(
    command: FitOutOfDistribution,
    on_progress: OnProgress = lambda done, total: None,
) -> "FeatureDistance":
    """Fit, and write the file beside the manifest.

    Raises:
        CheckpointError: If the checkpoint cannot be used or does not fit the robot.
        ValueError: If bags or robot file cannot be used, or none was held out or trained on.
    """
    # Imported here, as below: the help needs no torch.
    import torch

    from ddpm_controller.checkpoint import load_checkpoint, refuse_mismatch
    from ddpm_controller.policies.monitors.out_of_distribution import (
        fit_feature_distance,
        save_feature_distance,
    )

    checkpoint = load_checkpoint(command.checkpoint)
    if checkpoint.manifest.kind != "diffusion_policy":
        raise ValueError(
            f"{command.checkpoint}: a {checkpoint.manifest.kind} has no such features"
        )
    robot = load_robot(command.robot or share_path("config/robots/sim_arm.yaml"))
    refuse_mismatch(checkpoint.manifest, robot.stream_specs, robot.action_spec)
    trained, held_out = _features(command, checkpoint, robot, on_progress)
    if not trained or not held_out:
        raise ValueError(
            f"{len(held_out)} of {len(trained) + len(held_out)} episodes were held out from the "
            f"training of {command.checkpoint}: give both those that it was trained on and those "
            f"that it was not, {checkpoint.manifest.provenance.get('held_out', [])}"
        )
    distance = fit_feature_distance(torch.cat(trained), torch.cat(held_out), command.quantile)
    save_feature_distance(command.checkpoint, checkpoint.hash, distance)
    return distance


def _features(
    command: FitOutOfDistribution,
    checkpoint: "Checkpoint",
    robot: Robot,
    on_progress: OnProgress,
) -> "tuple[list[Tensor], list[Tensor]]":
    """Return the features of each episode of training, and of each held out; bag by bag."""
    from ddpm_controller.policies.diffusion_policy.policy import DiffusionPolicy, network_of

    # Not restored: that would refuse a file of another checkpoint, which is replaced here.
    spec = checkpoint.manifest.action_spec
    policy = DiffusionPolicy(network_of(checkpoint), spec, PlanSettings())
    trained: list[Tensor] = []
    held_out: list[Tensor] = []
    for episode, is_held_out in episodes_of(checkpoint, command.bags, robot, on_progress):
        features = _features_of(policy, episode, command.windows_per_episode)
        (held_out if is_held_out else trained).append(features)
    return trained, held_out


def _features_of(policy: "DiffusionPolicy", episode: Episode, most: int) -> "Tensor":
    windows = WindowDataset([episode], policy.facts.n_obs_steps, policy.horizon)
    count = min(most, len(windows))
    batch = windows.gather(np.linspace(0, len(windows) - 1, count).round().astype(int))
    return policy.features(
        {stream.name: batch.values[stream.name] for stream in policy.facts.streams}
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 1 after an error."""
    command = tyro.cli(FitOutOfDistribution, args=arguments)
    from ddpm_controller.checkpoint import OUT_OF_DISTRIBUTION_NAME

    return run_fit(
        partial(fitted, command),
        command.checkpoint / OUT_OF_DISTRIBUTION_NAME,
        command.torch_num_threads,
    )


if __name__ == "__main__":
    sys.exit(main())
