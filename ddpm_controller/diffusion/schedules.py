"""How much noise each timestep adds."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ddpm_controller.diffusion.forward_process import ForwardProcess
from ddpm_controller.diffusion.gaussian import gaussian_of

MAX_BETA = 0.999
SIGNAL_WARNING = 0.01
"""Share of signal at T - 1 above which sampling starts too far from its prior.

At 0.01 an action at the edge of its range, +-1, moves the mean of x_T by 0.1 standard deviations
and costs 0.005 nats; every schedule here stays below it from T = 2 on, but for
``linear_unscaled``.
"""


def linear_betas(num_timesteps: int) -> Tensor:
    """Linear schedule of Ho et al. 2020, Sec. 4. Shape (T,), float64.

    The paper's 1e-4 to 0.02 belong to T = 1000; both ends are scaled by 1000 / T so that a
    shorter chain destroys the signal as well. Betas that would reach 1 are clipped.
    """
    _refuse_empty(num_timesteps)
    return _rescaled(torch.linspace(1e-4, 0.02, num_timesteps, dtype=torch.float64))


def linear_unscaled_betas(num_timesteps: int) -> Tensor:
    """1e-4 to 0.02 whatever T is, as many programs have it. Shape (T,), float64.

    Below T = 500 a good part of the signal is left at the end, at T = 100 a third: see
    ``signal_left``.
    """
    _refuse_empty(num_timesteps)
    return torch.linspace(1e-4, 0.02, num_timesteps, dtype=torch.float64)


def scaled_linear_betas(num_timesteps: int, first: float = 0.00085, last: float = 0.012) -> Tensor:
    """Linear in the root of beta, Rombach et al. 2022, Table 15. Shape (T,), float64.

    ``first`` and ``last`` belong to T = 1000 and are scaled by 1000 / T; clipped below 1.
    """
    _refuse_empty(num_timesteps)
    roots = torch.linspace(first**0.5, last**0.5, num_timesteps, dtype=torch.float64)
    return _rescaled(roots.square())


def cosine_betas(num_timesteps: int, offset: float = 0.008, max_beta: float = MAX_BETA) -> Tensor:
    """Cosine schedule of Nichol & Dhariwal 2021, Eq. 17. Shape (T,), float64.

    Defined through alpha_bar; the last betas would reach 1 and are clipped to ``max_beta``, as
    in the paper.
    """
    _refuse_empty(num_timesteps)
    steps = torch.arange(num_timesteps + 1, dtype=torch.float64) / num_timesteps
    alpha_bar = torch.cos((steps + offset) / (1 + offset) * math.pi / 2) ** 2
    return (1 - alpha_bar[1:] / alpha_bar[:-1]).clamp(max=max_beta)


def sigmoid_betas(num_timesteps: int) -> Tensor:
    """Betas from 1e-4 to 0.02 along a sigmoid from -6 to 6, Xu et al. 2022 (GeoDiff). (T,).

    Float64. The ends belong to T = 1000 and are scaled by 1000 / T; clipped below 1.
    """
    _refuse_empty(num_timesteps)
    rise = torch.linspace(-6.0, 6.0, num_timesteps, dtype=torch.float64).sigmoid()
    return _rescaled(1e-4 + (0.02 - 1e-4) * rise)


def zero_terminal_snr(betas: Tensor) -> Tensor:
    """Return ``betas`` (T,) changed to leave no signal at the end, Lin et al. 2024, Alg. 1.

    The roots of alpha_bar are shifted by their last value and stretched so that the first stays.
    The paper's last beta is 1; a process needs betas below 1, so the last alpha_bar here is 1e-10
    (or a thousandth of the one before, where that is less): 1e-5 of x_0 is left in x_T. A denoiser
    that predicts the noise determines nothing about x_0 there, and ``targets.x0_from`` refuses it.

    Raises:
        ValueError: If there are fewer than two betas, of which none could stay as it is.
    """
    if betas.ndim != 1 or len(betas) < 2:
        raise ValueError(
            f"betas must be (T,) with T at least 2 to end without signal, got {tuple(betas.shape)}"
        )
    roots = torch.cumprod(1 - betas, dim=0).sqrt()
    roots = (roots - roots[-1]) * roots[0] / (roots[0] - roots[-1])
    alpha_bar = roots.square()
    alpha_bar[-1] = min(1e-10, 1e-3 * float(alpha_bar[-2]))
    before = torch.cat([torch.ones_like(alpha_bar[:1]), alpha_bar[:-1]])
    return 1 - alpha_bar / before


def signal_left(process: ForwardProcess) -> float:
    """Return the largest alpha_bar at T - 1: the share of x_0's variance that is left in x_T.

    Above ``SIGNAL_WARNING`` the prior N(0, I), from which sampling starts, is not what training
    has seen.
    """
    return float(gaussian_of(process).alpha_bar[-1].max())


def _rescaled(betas: Tensor) -> Tensor:
    return (betas * (1000.0 / len(betas))).clamp(max=MAX_BETA)


def _refuse_empty(num_timesteps: int) -> None:
    if num_timesteps < 1:
        raise ValueError(f"num_timesteps must be at least 1, got {num_timesteps}")


SCHEDULES: dict[str, Callable[[int], Tensor]] = {
    "linear": linear_betas,
    "linear_unscaled": linear_unscaled_betas,
    "cosine": cosine_betas,
    "scaled_linear": scaled_linear_betas,
    "sigmoid": sigmoid_betas,
}
