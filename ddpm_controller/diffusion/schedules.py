"""How much noise each timestep adds."""

import math
from collections.abc import Callable

import torch
from torch import Tensor


def linear_betas(num_timesteps: int) -> Tensor:
    """Linear schedule of Ho et al. 2020, Sec. 4. Shape (T,), float64.

    The paper's 1e-4 to 0.02 belong to T = 1000; both ends are scaled by 1000 / T so that a
    shorter chain destroys the signal as well. Betas that would reach 1 are clipped.
    """
    _refuse_empty(num_timesteps)
    scale = 1000.0 / num_timesteps
    betas = torch.linspace(1e-4 * scale, 0.02 * scale, num_timesteps, dtype=torch.float64)
    return betas.clamp(max=0.999)


def cosine_betas(num_timesteps: int, offset: float = 0.008, max_beta: float = 0.999) -> Tensor:
    """Cosine schedule of Nichol & Dhariwal 2021, Eq. 17. Shape (T,), float64.

    Defined through alpha_bar; the last betas would reach 1 and are clipped to ``max_beta``, as
    in the paper.
    """
    _refuse_empty(num_timesteps)
    steps = torch.arange(num_timesteps + 1, dtype=torch.float64) / num_timesteps
    alpha_bar = torch.cos((steps + offset) / (1 + offset) * math.pi / 2) ** 2
    return (1 - alpha_bar[1:] / alpha_bar[:-1]).clamp(max=max_beta)


def _refuse_empty(num_timesteps: int) -> None:
    if num_timesteps < 1:
        raise ValueError(f"num_timesteps must be at least 1, got {num_timesteps}")


SCHEDULES: dict[str, Callable[[int], Tensor]] = {"linear": linear_betas, "cosine": cosine_betas}
