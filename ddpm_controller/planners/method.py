"""What every method of search answers: how far to look, and what follows from what was found."""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np


@dataclass(frozen=True, eq=False)
class Scored:
    """Candidates of one iteration and what they are worth.

    Attributes:
        knots: (N, K, nu); the first is the nominal plan.
        rewards: (N,); they mean nothing where ``good`` is not set.
        good: (N,) bool; at least one is.
    """

    knots: np.ndarray
    rewards: np.ndarray
    good: np.ndarray

    @cached_property
    def _found(self) -> np.ndarray:
        """Rewards that mean something."""
        return self.rewards if self.good.all() else self.rewards[self.good]

    @cached_property
    def best(self) -> float:
        """Highest reward."""
        return float(self._found.max())

    @cached_property
    def mean(self) -> float:
        """Mean reward."""
        return float(self._found.sum() / len(self._found))

    @cached_property
    def deviation(self) -> float:
        """Deviation of the rewards."""
        away = self._found - self.mean
        return float((away @ away / len(away)) ** 0.5)


@dataclass(frozen=True, eq=False)
class Update:
    """What an iteration leads to.

    Attributes:
        mean: (K, nu), the next nominal plan.
        spread: (K, nu), deviation of the noise that it was found with, or that a method fitted.
        weights: (N,) of the candidates in it, sum 1.
    """

    mean: np.ndarray
    spread: np.ndarray
    weights: np.ndarray

    @property
    def effective_sample_size(self) -> float:
        """Number of candidates that count, between 1 and N."""
        return float(1.0 / np.sum(self.weights**2))


class Method(Protocol):
    """A method of search."""

    def spread(self, iteration: int, shape: tuple[int, int], before: np.ndarray) -> np.ndarray:
        """Return the deviation of the noise of an iteration from 0 on, (K, nu).

        Args:
            iteration: Number of the iteration in its plan.
            shape: (K, nu).
            before: (K, nu) spread of the update before; of the first one it means nothing.
        """
        ...

    def update(self, scored: Scored, spread: np.ndarray) -> Update:
        """Return what follows from an iteration."""
        ...


def softmax_weights(scored: Scored, temperature: float) -> np.ndarray:
    """Return weights (N,) by the rewards in units of their own deviation; 0 of what is not good.

    Rewards times and plus a number give the same weights.
    """
    if scored.deviation <= 1e-12 * max(abs(scored.best), 1e-300):  # of equal rewards: rounding
        weights = scored.good.astype(np.float64)
    else:
        above = (scored.rewards - scored.best) / (scored.deviation * temperature)
        weights = np.exp(np.where(scored.good, above, -np.inf))
    found: np.ndarray = weights / weights.sum()
    return found


def weighted_mean(weights: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """Return the mean (K, nu) of candidates (N, K, nu)."""
    count = len(weights)
    found: np.ndarray = (weights @ knots.reshape(count, -1)).reshape(knots.shape[1:])
    return found
