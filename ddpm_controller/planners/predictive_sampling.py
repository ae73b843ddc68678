"""Predictive sampling (Howell et al. 2022, arXiv:2212.00541): the best candidate is the plan."""

from dataclasses import dataclass

import numpy as np

from ddpm_controller.planners.method import Scored, Update


@dataclass(frozen=True)
class PredictiveSampling:
    """Noise of one width, and the best candidate alone.

    Attributes:
        sigma: Deviation of the noise.
    """

    sigma: float

    def spread(self, iteration: int, shape: tuple[int, int], before: np.ndarray) -> np.ndarray:
        """Return the same for all iterations, (K, nu)."""
        return np.full(shape, self.sigma)

    def update(self, scored: Scored, spread: np.ndarray) -> Update:
        """Return the best."""
        best = int(np.argmax(np.where(scored.good, scored.rewards, -np.inf)))
        weights = np.zeros(len(scored.rewards))
        weights[best] = 1.0
        return Update(scored.knots[best], spread, weights)
