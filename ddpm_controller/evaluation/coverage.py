"""Scores of PushT: how much of the goal was covered, and how often enough of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ddpm_controller.evaluation.intervals import wilson_interval

THRESHOLDS = (0.85, 0.90, 0.95)
"""Coverages that count as success. The last is the published one, which 3.4 % of the human
demonstrations reach; alone it would show little."""
PUBLISHED_THRESHOLD = 0.95


@dataclass(frozen=True)
class Reached:
    """How many trials covered more than a threshold, with the 95 % Wilson interval of the rate."""

    threshold: float
    successes: int
    rate: float
    low: float
    high: float


@dataclass(frozen=True)
class CoverageSummary:
    """Coverage over a set of trials.

    Attributes:
        mean_max_coverage: Mean over trials of the largest coverage of each.
        published_reward: Mean of the largest reward of each, min(coverage / 0.95, 1), which Chi et
            al. 2023 report as their score.
        reached: One per element of ``THRESHOLDS``.
    """

    mean_max_coverage: float
    published_reward: float
    reached: tuple[Reached, ...]

    def __str__(self) -> str:
        rates = ", ".join(f"{100 * r.rate:.0f} % above {r.threshold:.2f}" for r in self.reached)
        return (
            f"mean maximum coverage {self.mean_max_coverage:.3f} "
            f"(reward {self.published_reward:.3f}), {rates}"
        )


def summarize_coverage(scores: Sequence[float]) -> CoverageSummary:
    """Return what the largest coverages of trials, each 0 to 1, amount to.

    Raises:
        ValueError: There are none, or one is not a coverage.
    """
    best = np.array(scores, dtype=np.float64)
    # A T on its goal covers 1 up to the rounding of the polygons' areas.
    if best.size == 0 or not ((best >= 0.0) & (best <= 1.0 + 1e-9)).all():
        raise ValueError(f"maximum coverages must lie in 0 to 1, one per trial; got {best}")
    reached = []
    for threshold in THRESHOLDS:
        successes = int((best > threshold).sum())
        low, high = wilson_interval(successes, best.size)
        reached.append(Reached(threshold, successes, successes / best.size, low, high))
    reward = np.minimum(best / PUBLISHED_THRESHOLD, 1.0).mean()
    return CoverageSummary(float(best.mean()), float(reward), tuple(reached))
