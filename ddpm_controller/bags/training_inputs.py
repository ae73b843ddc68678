"""What a training is given by names of files: bags, robot and recipe. No rclpy."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ddpm_controller.bags.episodes import read_episodes
from ddpm_controller.bags.files import digest, find_bags
from ddpm_controller.robots.robot import Robot, load_robot
from ddpm_controller.training.config import TrainingConfig, TrainingError, read_training_config
from ddpm_controller.types import Episode

OnProgress = Callable[[int, int], None]
"""Called with the bags read and the bags in all."""


@dataclass(frozen=True)
class TrainingInputs:
    """Everything that ``training.run.train`` takes.

    Attributes:
        episodes: Episodes of all bags, without those that are marked as failed.
        robot: Its streams and its action.
        config: The recipe.
        provenance: Bags with their digests, for the checkpoint; names without their folders, so
            that the same bags elsewhere are the same training.
        left_out: How many episodes are marked as failed.
    """

    episodes: tuple[Episode, ...]
    robot: Robot
    config: TrainingConfig
    provenance: dict[str, Any]
    left_out: int


def read_training_inputs(
    bags: Sequence[Path], robot_file: Path, config_file: Path, on_progress: OnProgress
) -> TrainingInputs:
    """Read the small files first, so that a wrong name is reported before the long part.

    Raises:
        TrainingError: If the recipe or the robot file breaks a rule, or no bag can be used.
    """
    config = read_training_config(config_file)
    try:
        robot = load_robot(robot_file)
        found = find_bags(bags)
        episodes = read_episodes(found, robot, progress=on_progress)
    except ValueError as error:  # RobotError and BagError are ValueErrors
        raise TrainingError(str(error)) from error
    kept = tuple(
        replace(episode, source=Path(episode.source).name)
        for episode in episodes
        if episode.success is not False
    )
    if not kept:
        raise TrainingError(
            f"all {len(episodes)} episodes are marked as failed; record some that succeed"
        )
    provenance = {
        "robot": robot.name,
        "bags": [{"name": bag.name, "sha256": digest(bag)} for bag in found],
    }
    return TrainingInputs(kept, robot, config, provenance, len(episodes) - len(kept))
