"""A training on a thread of its own, for the node `trainer`."""

import math
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from ddpm_msgs.msg import TrainingStatus

from ddpm_controller.bags.episode_cache import EpisodeCache, cache_in
from ddpm_controller.bags.episodes import Demonstrations
from ddpm_controller.bags.files import BagError
from ddpm_controller.lint.demonstrations import (
    chosen_demonstrations,
    doubts,
    refuse_wrong,
    shortened,
)
from ddpm_controller.lint.leave_out import LeaveOut
from ddpm_controller.robots.robot import Robot, RobotError, load_robot
from ddpm_controller.training.config import TrainingError, read_training_config
from ddpm_controller.training.result import Progress, TrainingResult
from ddpm_controller.training.run import train

_NUM_UPDATES = 200


class TrainingRate:
    """Speed over the last updates."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._marks: deque[tuple[float, int]] = deque(maxlen=_NUM_UPDATES)

    def add(self, step: int) -> None:
        """Note that ``step`` updates are done now."""
        self._marks.append((self._clock(), step))

    @property
    def steps_per_s(self) -> float:
        """Updates per second; 0 before the second one."""
        if len(self._marks) < 2:
            return 0.0
        (begin_s, first), (end_s, last) = self._marks[0], self._marks[-1]
        return (last - first) / max(end_s - begin_s, 1e-9)

    def remaining_s(self, num_steps: int) -> float:
        """Time to the last update; NaN before the second one."""
        rate = self.steps_per_s
        return (num_steps - self._marks[-1][1]) / rate if rate else math.nan


@dataclass(frozen=True)
class TrainingGoal:
    """A goal with the node's parameters filled in."""

    bags: tuple[Path, ...]
    robot: Path
    config: Path
    output: Path
    torch_num_threads: int | None
    device: str | None
    cache: str
    refuse_wrong: bool = True


class TrainingThread(threading.Thread):
    """One training beside the executor; what it knows is read, never waited for.

    Attributes:
        result: When it has ended well, or was stopped.
        error: When it has failed.
    """

    def __init__(self, goal: TrainingGoal) -> None:
        super().__init__(name="training", daemon=True)
        self.goal = goal
        self.result: TrainingResult | None = None
        self.error = ""
        self._stop_wanted = threading.Event()
        self._lock = threading.Lock()
        self._text = "reading the recipe and the robot file"
        self._progress: Progress | None = None
        self._rate = TrainingRate()

    def stop(self) -> None:
        """Ask it to save everything and end."""
        self._stop_wanted.set()

    def run(self) -> None:
        """Read the bags and train."""
        try:
            self.result = self._trained()
        except _StoppedError:
            pass
        except (TrainingError, RobotError, BagError) as error:
            self.error = str(error)
        except Exception as error:  # the node stays, and reports what happened
            self.error = f"{type(error).__name__}: {error}"

    def _trained(self) -> TrainingResult:
        goal = self.goal
        if goal.output == Path() or goal.config == Path():
            raise TrainingError(
                f"a goal needs a recipe and an output folder, got config {str(goal.config)!r} and "
                f"output {str(goal.output)!r}; name them in the goal or as parameters"
            )
        # The small files first: a wrong name is reported before the long part.
        recipe = read_training_config(goal.config)
        robot = load_robot(goal.robot)
        cache = cache_in(goal.cache, robot)
        demonstrations = chosen_demonstrations(
            goal.bags, robot, LeaveOut(), cache=cache, progress=self._on_bag
        )
        self._doubt(robot, demonstrations, cache)
        config = replace(
            recipe,
            torch_num_threads=goal.torch_num_threads or recipe.torch_num_threads,
            device=goal.device or recipe.device,
        )
        return train(
            demonstrations.episodes,
            robot.action_spec,
            robot.stream_specs,
            config,
            goal.output,
            provenance=demonstrations.provenance,
            on_progress=self._on_progress,
            should_stop=self._stop_wanted.is_set,
        )

    def _doubt(
        self, robot: Robot, demonstrations: Demonstrations, cache: EpisodeCache | None
    ) -> None:
        """Refuse recordings that are surely wrong, warn of the rest."""
        found = doubts(self.goal.bags, robot, LeaveOut(), demonstrations, cache=cache)
        if self.goal.refuse_wrong:
            refuse_wrong(found, "Set the parameter refuse_wrong to false to learn them.")
        for text in shortened([f"{each.where}: {each.kind}: {each.text}" for each in found]):
            warnings.warn(text, stacklevel=2)

    def _on_bag(self, done: int, total: int) -> None:
        if self._stop_wanted.is_set():
            raise _StoppedError
        with self._lock:
            self._text = f"{done} of {total} bags read"

    def _on_progress(self, progress: Progress) -> None:
        with self._lock:
            self._progress = progress
            self._rate.add(progress.step)
            self._text = "training"

    def status(self) -> TrainingStatus:
        """Return how far it is; without a stamp."""
        message = TrainingStatus(output=str(self.goal.output), validation_loss=math.nan)
        with self._lock:
            progress, message.text = self._progress, self._text
            if progress is None:
                message.state = TrainingStatus.STATE_READING
                return message
            message.steps_per_s = self._rate.steps_per_s
            message.remaining_s = self._rate.remaining_s(progress.num_steps)
        message.state = TrainingStatus.STATE_TRAINING
        message.step, message.num_steps = progress.step, progress.num_steps
        message.loss, message.learning_rate = progress.loss, progress.learning_rate
        message.validation_loss = progress.validation_loss
        return message


class _StoppedError(Exception):
    """Stopped before the first update."""
