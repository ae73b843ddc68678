"""The bound of a mixture under its exact denoiser, by quadrature: no training and no sampling.

Everything is differentiable in the schedule, so learned schedules are fitted with it too.
"""

import copy
import math
from typing import Literal

import torch
from mixtures import Mixture
from torch import Tensor, nn

from ddpm_controller.diffusion.gaussian import GaussianProcess

Spread = Literal["fixed_small", "fixed_large", "average", "pointwise"]
"""Variance of the steps back: beta~, beta, the best constant of each t, the best at each x_t."""

TWO_MODES = Mixture(
    torch.tensor([0.45, 0.55], dtype=torch.float64),
    torch.tensor([[-0.55], [0.55]], dtype=torch.float64),
    torch.tensor([[0.11], [0.25]], dtype=torch.float64),
    independent=True,
)
"""The 1-D data of the bounds' tables: of the mixtures of two modes with round numbers inside
[-1, 1], the one that comes nearest to the reference figures."""


def at_scales(mixture: Mixture, scales: list[float]) -> Mixture:
    """Return the product of 1-D mixtures that are ``mixture`` (1,) times each scale, (S,)."""
    factor = torch.tensor(scales, dtype=torch.float64)
    return Mixture(mixture.weights, mixture.means * factor, mixture.stds * factor, True)


def entropy(mixture: Mixture, count: int = 4001) -> Tensor:
    """Return -E[log p(x_0)] of each element, (...), nats, by the trapezoid rule."""
    reach = mixture.means.abs().amax(0) + 10 * mixture.stds.amax(0)
    place = torch.linspace(-1, 1, count, dtype=torch.float64)
    x0 = place.reshape(-1, *[1] * reach.ndim) * reach
    log_density = mixture.log_density(x0)
    return -(log_density.exp() * log_density).sum(0) * (2 / (count - 1)) * reach


def exact_terms(
    mixture: Mixture, process: GaussianProcess, spread: Spread, count: int = 201
) -> tuple[Tensor, Tensor]:
    """Return the expected L_T, (...), and the other expected terms, (T, ...), index 0 L_0, nats.

    For a product of 1-D mixtures. The decoder of L_0 is Gaussian, of variance beta_0 where the
    variance is fixed, else of the best variance.
    """
    betas, alpha_bar, exact = (
        _per_timestep(process, table, mixture)
        for table in (process.betas, process.alpha_bar, process.posterior_variance)
    )
    xt, weight = _nodes(mixture, alpha_bar, count)  # (T, N, ...)
    t = torch.arange(process.num_timesteps).repeat_interleave(count)
    flat = xt.flatten(0, 1)
    weight = weight * mixture.log_density(flat, process, t).exp().reshape(xt.shape)
    error = mixture.posterior(process, flat, t)[1].reshape(xt.shape)  # of x_0 at each x_t
    if spread != "pointwise":
        weight, error = torch.ones(()), (weight * error).sum(1, keepdim=True)
    before = torch.cat([torch.ones_like(alpha_bar[:1]), alpha_bar[:-1]])
    error = before * (betas / (1 - alpha_bar)).square() * error  # of the posterior mean
    if spread in ("average", "pointwise"):
        first = 0.5 * (2 * math.pi * math.e * error[:1]).log()
        rest = 0.5 * torch.log1p(error[1:] / exact[1:])
    else:
        chosen = exact[1:] if spread == "fixed_small" else betas[1:]
        first = 0.5 * ((2 * math.pi * betas[:1]).log() + error[:1] / betas[:1])
        rest = 0.5 * ((chosen / exact[1:]).log() - 1 + (exact[1:] + error[1:]) / chosen)
    return _prior_term(mixture, alpha_bar[-1, 0]), (weight * torch.cat([first, rest])).sum(1)


def exact_gap(
    mixture: Mixture, process: GaussianProcess, spread: Spread, count: int = 201
) -> Tensor:
    """Return how far the expected bound lies above the true negative log-likelihood, (...)."""
    prior, steps = exact_terms(mixture, process, spread, count)
    return prior + steps.sum(0) - entropy(mixture)


def _per_timestep(process: GaussianProcess, table: Tensor, mixture: Mixture) -> Tensor:
    """(T, 1, ...), the second axis for the nodes."""
    return process.at(table, torch.arange(process.num_timesteps), mixture.means[:1])[:, None]


def _nodes(mixture: Mixture, alpha_bar: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return x_t (T, N, ...) and the weights of the trapezoid rule."""
    signal = alpha_bar.sqrt()
    widest = (alpha_bar * mixture.stds.amax(0).square() + 1 - alpha_bar).sqrt()
    # 8 standard deviations beyond the farthest mean leave out 1e-15.
    reach = signal * mixture.means.abs().amax(0) + 8 * widest
    place = torch.linspace(-1, 1, count, dtype=torch.float64)
    place = place.reshape(1, -1, *[1] * (mixture.means.ndim - 1))
    return place * reach, (2 / (count - 1)) * reach


def _prior_term(mixture: Mixture, alpha_bar: Tensor) -> Tensor:
    """E KL(q(x_T | x_0) || N(0, I)), (...)."""
    share = mixture.weights.reshape(-1, *[1] * (mixture.means.ndim - 1))
    second = (share * (mixture.means.square() + mixture.stds.square())).sum(0)
    return 0.5 * (alpha_bar * second - alpha_bar - torch.log1p(-alpha_bar))


def fitted(schedule: nn.Module, mixture: Mixture, count: int = 81, iterations: int = 40) -> Tensor:
    """Fit a learned schedule to the exact bound from three starts and return its gap, (...).

    Noise far above the smallest scale of the data at t = 0 leaves hardly a slope to follow, hence
    the starts with less of it. The best of the three stays in ``schedule``.
    """
    at_birth = copy.deepcopy(schedule.state_dict())
    found: list[tuple[float, dict[str, Tensor]]] = []
    for shift in (0.0, -2.0, -3.0):
        schedule.load_state_dict(at_birth)
        with torch.no_grad():
            schedule.ends[0] += shift
        _descend(schedule, mixture, count, iterations)
        gap = exact_gap(mixture, schedule(), "average", count).mean()
        found.append((float(gap.detach()), copy.deepcopy(schedule.state_dict())))
    schedule.load_state_dict(min(found, key=lambda each: each[0])[1])
    with torch.no_grad():
        return exact_gap(mixture, schedule(), "average")


def _descend(schedule: nn.Module, mixture: Mixture, count: int, iterations: int) -> None:
    optimizer = torch.optim.LBFGS(
        schedule.parameters(), max_iter=iterations, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        gap = exact_gap(mixture, schedule(), "average", count).mean()
        gap.backward()
        return gap

    optimizer.step(closure)
