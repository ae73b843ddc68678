"""Model predictive path integral control (Williams et al. 2017): one noise, weights by reward."""

from dataclasses import dataclass

import numpy as np

from ddpm_controller.planners.method import Scored, Update, softmax_weights, weighted_mean


@dataclass(frozen=True)
class Mppi:
    """Noise of one width, and the mean of all candidates, each weighted by its reward.

    Attributes:
        sigma: Deviation of the noise, in units of the range of actions.
        temperature: Softness of the weights, in deviations of the rewards.
    """

    sigma: float
    temperature: float

    def spread(self, iteration: int, shape: tuple[int, int], before: np.ndarray) -> np.ndarray:
        """Return the same for all iterations, (K, nu)."""
        return np.full(shape, self.sigma)

    def update(self, scored: Scored, spread: np.ndarray) -> Update:
        """Return the weighted mean."""
        weights = softmax_weights(scored, self.temperature)
        return Update(weighted_mean(weights, scored.knots), spread, weights)
