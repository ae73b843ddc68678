"""The figures that ours are held against, gaps above the true likelihood in nats per dimension.

They were measured elsewhere on mixtures that are not written down; ``exact_bounds.TWO_MODES`` is
the mixture of round numbers that comes nearest. ``None`` is a gap printed as about 0.
"""

import torch

from ddpm_controller.diffusion.gaussian import GaussianProcess
from ddpm_controller.diffusion.schedules import cosine_betas, linear_betas

BY_VARIANCE: dict[tuple[str, int], tuple[float | None, ...]] = {
    ("cosine", 8): (0.799, 0.394, 0.277, 0.111),
    ("cosine", 50): (0.638, 0.086, 0.047, 0.006),
    ("cosine", 200): (0.550, 0.022, 0.011, None),
    ("linear in beta", 50): (1.413, 0.164, 0.103, 0.021),
    ("linear in gamma", 16): (2.037, 0.234, 0.139, 0.050),
    ("linear in gamma", 200): (0.114, 0.018, 0.013, None),
}
"""{schedule, T: (fixed_small, fixed_large, learned average variance, learned at each x_t)}."""

BY_SCHEDULE: dict[tuple[tuple[float, ...], int], tuple[float, float, float]] = {
    ((1.0,), 5): (0.406, 0.151, 0.151),
    ((1.0,), 10): (0.229, 0.080, 0.080),
    ((1.0,), 20): (0.122, 0.042, 0.042),
    ((1.0,), 50): (0.050, 0.017, 0.017),
    ((1.0, 0.1), 5): (0.469, 0.231, 0.168),
    ((1.0, 0.1), 10): (0.380, 0.136, 0.085),
    ((1.0, 0.1), 20): (0.324, 0.072, 0.043),
    ((1.0, 0.1), 50): (0.252, 0.030, 0.017),
    ((1.0, 0.1, 0.01), 5): (0.489, 0.292, 0.190),
    ((1.0, 0.1, 0.01), 10): (0.430, 0.178, 0.089),
}
"""{scales of the data, T: (cosine, one learned for all, one learned per element)}."""

GAMMA_ENDS = (-9.4, 4.75)
"""Of the schedule that is linear in gamma = -log SNR; not given either, the ones that fit best."""


def schedule_of(name: str, num_timesteps: int) -> GaussianProcess:
    """Return the process of a row of ``BY_VARIANCE``."""
    if name == "cosine":
        return GaussianProcess(cosine_betas(num_timesteps))
    if name == "linear in beta":
        return GaussianProcess(linear_betas(num_timesteps))
    gamma = torch.linspace(*GAMMA_ENDS, num_timesteps, dtype=torch.float64)
    return GaussianProcess.from_alpha_bar(torch.sigmoid(-gamma))
