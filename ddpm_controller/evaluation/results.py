"""What one closed-loop trial showed, and what many of them amount to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ddpm_controller.evaluation.coverage import CoverageSummary, summarize_coverage
from ddpm_controller.evaluation.intervals import wilson_interval
from ddpm_controller.evaluation.seams import Seams


class TallyWatch:
    """Follows the tally of a world.

    Attributes:
        latest: The tally as it was last; empty before the first.
        rises: (moment in s, name) whenever a count, which is a whole number, went up.
    """

    def __init__(self) -> None:
        self.latest: Mapping[str, float] = {}
        self.rises: list[tuple[float, str]] = []

    def note(self, stamp_s: float, tally: Mapping[str, float]) -> None:
        """Take in the tally of a moment; moments ascend."""
        for name, value in tally.items():
            before = self.latest.get(name, value)
            if value > before and value.is_integer() and before.is_integer():
                self.rises.append((stamp_s, name))
        self.latest = dict(tally)


FRAMES_PER_TRIAL = 6
"""Pictures that a trial keeps, spread evenly over its time."""


@dataclass(frozen=True)
class Trial:
    """One closed-loop run.

    Attributes:
        seed: Seed of the world and of the denoising noise.
        success: Whether the world reported success before the time-out.
        duration_s: Time to success, or the time-out.
        plans: Chunks that were taken over.
        joint_names: One per column of positions and commands.
        stamps_s: (N,) tick times from the start of the trial.
        positions: (N, D) measured.
        commands: (N, D) sent; NaN where nothing was sent.
        frames: A few (H, W, 3) uint8 pictures in order of time, with their times.
        frame_stamps_s: Times of the frames from the start of the trial.
        score: The world's, at its best: the largest coverage in PushT; None where unmeasured.
        seams: What happened where one chunk took over from another; None where unmeasured.
        tally: What the world has counted until the end; empty where it does not.
        rises: (time from the start of the trial, name) whenever a count of it went up.
    """

    seed: int
    success: bool
    duration_s: float
    plans: int
    joint_names: tuple[str, ...] = ()
    stamps_s: np.ndarray = field(default_factory=lambda: np.zeros(0))
    positions: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    commands: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    frames: tuple[np.ndarray, ...] = ()
    frame_stamps_s: tuple[float, ...] = ()
    score: float | None = None
    seams: Seams | None = None
    tally: Mapping[str, float] = field(default_factory=dict)
    rises: tuple[tuple[float, str], ...] = ()


@dataclass(frozen=True)
class Summary:
    """Success rate of a set of trials with its 95 % Wilson interval.

    Attributes:
        trials: Number of trials.
        successes: How many succeeded.
        low: Lower end of the interval of the rate.
        high: Upper end.
        median_time_to_success_s: Over the successes; NaN when there are none.
        coverage: Where every trial has a score.
    """

    trials: int
    successes: int
    low: float
    high: float
    median_time_to_success_s: float
    coverage: CoverageSummary | None = None

    @property
    def rate(self) -> float:
        """Fraction of trials that succeeded."""
        return self.successes / self.trials

    def __str__(self) -> str:
        coverage = "" if self.coverage is None else f"\n{self.coverage}"
        return (
            f"{self.successes} of {self.trials} ({100 * self.rate:.0f} %, 95 % interval "
            f"{100 * self.low:.0f} to {100 * self.high:.0f} %), "
            f"median time to success {self.median_time_to_success_s:.1f} s{coverage}"
        )


def summarize(trials: Sequence[Trial]) -> Summary:
    """Return the success rate of ``trials`` with its interval.

    Raises:
        ValueError: If there are no trials.
    """
    times = [trial.duration_s for trial in trials if trial.success]
    low, high = wilson_interval(len(times), len(trials))
    median = float(np.median(times)) if times else float("nan")
    scores = [trial.score for trial in trials if trial.score is not None]
    coverage = summarize_coverage(scores) if len(scores) == len(trials) else None
    return Summary(len(trials), len(times), low, high, median, coverage)


def columns_of(
    rows: Sequence[tuple[float, np.ndarray, np.ndarray]],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a trial's (time, measured, commanded) rows as stamps, positions and commands."""
    if not rows:
        return np.zeros(0), np.zeros((0, 0)), np.zeros((0, 0))
    stamps, positions, commands = (np.array(column) for column in zip(*rows, strict=True))
    return stamps, positions, commands


def picked_frames(frames: Sequence[tuple[float, np.ndarray]]) -> list[tuple[float, np.ndarray]]:
    """Return ``FRAMES_PER_TRIAL`` of a trial's (time, picture) pairs, spread evenly."""
    if not frames:
        return []
    picked = np.linspace(0, len(frames) - 1, FRAMES_PER_TRIAL).round().astype(int)
    return [frames[index] for index in picked]
