"""Cross-entropy method (Rubinstein 1999): mean and deviation of the best candidates."""

import math
from dataclasses import dataclass

import numpy as np

from ddpm_controller.planners.method import Scored, Update, weighted_mean


@dataclass(frozen=True)
class Cem:
    """Noise whose width follows the best candidates from iteration to iteration.

    Attributes:
        sigma: Deviation of the noise in the first iteration.
        elites: Share of the candidates that count, (0, 1].
        least_sigma: Deviation below which the noise never falls.
    """

    sigma: float
    elites: float
    least_sigma: float

    def spread(self, iteration: int, shape: tuple[int, int], before: np.ndarray) -> np.ndarray:
        """Return ``sigma`` at first, then the deviation of the best, (K, nu)."""
        return np.full(shape, self.sigma) if iteration == 0 else before

    def update(self, scored: Scored, spread: np.ndarray) -> Update:
        """Return mean and deviation of the best."""
        count = min(max(math.ceil(self.elites * len(scored.rewards)), 2), int(scored.good.sum()))
        order = np.argsort(np.where(scored.good, -scored.rewards, np.inf), kind="stable")
        weights = np.zeros(len(order))
        weights[order[:count]] = 1.0 / count
        deviation = scored.knots[order[:count]].std(axis=0)
        mean = weighted_mean(weights, scored.knots)
        return Update(mean, np.maximum(deviation, self.least_sigma), weights)
