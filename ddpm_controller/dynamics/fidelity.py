"""How well coarse rollouts order plans: the rank correlation of their rewards with the plant's."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Fidelity:
    """What a solver setting is worth.

    Attributes:
        correlation: Mean rank correlation of rewards with those of the plant's model.
        lowest: Lowest of the moments.
        bad: Share of rollouts that diverged.
        rollout_s: Time of one rollout, with its reward.
    """

    correlation: float
    lowest: float
    bad: float
    rollout_s: float


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Return Spearman's rank correlation of two rows of numbers (N,); NaN of equal numbers."""
    first, second = _ranks(one), _ranks(other)
    first, second = first - first.mean(), second - second.mean()
    size = float(np.sqrt((first @ first) * (second @ second)))
    return float(first @ second) / size if size > 0 else float("nan")


def fidelity_of(
    rewards: Sequence[np.ndarray],
    good: Sequence[np.ndarray],
    plant: Sequence[np.ndarray],
    rollout_s: float,
) -> Fidelity:
    """Return what rewards at several moments, (N,) each, are worth beside the plant's.

    Rollouts that diverged rank behind all others, as a planner takes them.
    """
    ranked = [np.where(ok, each, -np.inf) for each, ok in zip(rewards, good, strict=True)]
    found = [rank_correlation(one, other) for one, other in zip(ranked, plant, strict=True)]
    return Fidelity(
        float(np.nanmean(found)),
        float(np.nanmin(found)),
        1.0 - float(np.mean([each.mean() for each in good])),
        rollout_s,
    )


def _ranks(numbers: np.ndarray) -> np.ndarray:
    """Return ranks from 0 on, (N,) float; equal numbers share the mean of theirs."""
    _, places, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    last = np.cumsum(counts) - 1
    mean = last - (counts - 1) / 2
    found: np.ndarray = mean[places]
    return found
