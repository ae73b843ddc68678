"""DIAL-MPC (Xue et al. 2024, arXiv:2409.15610): noise annealed over iterations and the horizon.

The weighted mean is one step of denoising, and the noise shrinks from step to step (trajectory
level) and towards the beginning of the plan (action level). As a plan is continued from tick to
tick, each action is refined with less and less noise until it is its turn.
"""

import math
from dataclasses import dataclass

import numpy as np

from ddpm_controller.planners.method import Scored, Update, softmax_weights, weighted_mean


@dataclass(frozen=True)
class DialMpc:
    """Annealed noise, and the mean of all candidates, each weighted by its reward.

    Attributes:
        sigma: Deviation of the noise at the last knot in the first iteration.
        temperature: Softness of the weights, in deviations of the rewards.
        horizon_factor: Factor of the noise from one knot to the one before it, (0, 1].
        trajectory_factor: Factor of the noise from one iteration to the next, (0, 1].
    """

    sigma: float
    temperature: float
    horizon_factor: float
    trajectory_factor: float

    def spread(self, iteration: int, shape: tuple[int, int], before: np.ndarray) -> np.ndarray:
        """Return the annealed deviations, (K, nu)."""
        before_last = np.arange(shape[0] - 1, -1, -1)
        along = self.horizon_factor**before_last * self.trajectory_factor**iteration
        return np.broadcast_to(self.sigma * along[:, None], shape)

    def update(self, scored: Scored, spread: np.ndarray) -> Update:
        """Return the weighted mean."""
        weights = softmax_weights(scored, self.temperature)
        return Update(weighted_mean(weights, scored.knots), spread, weights)


def factors_of(
    beta_trajectory: float, beta_horizon: float, iterations: int, knots: int
) -> tuple[float, float]:
    """Return horizon and trajectory factor of the paper's schedule, eq. (7).

    There the variance is exp(-(N - i) / (beta_1 N) - (H - h) / (beta_2 H)), i from N down to 1.

    Args:
        beta_trajectory: beta_1.
        beta_horizon: beta_2.
        iterations: N.
        knots: H + 1.
    """
    horizon = math.exp(-0.5 / (beta_horizon * max(knots - 1, 1)))
    return horizon, math.exp(-0.5 / (beta_trajectory * iterations))
