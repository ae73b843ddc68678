"""How much noise a step backwards adds."""

from typing import Literal, get_args

import torch
from torch import Tensor

from ddpm_controller.diffusion.forward_process import ForwardProcess
from ddpm_controller.diffusion.gaussian import gaussian_of

Variance = Literal["fixed_small", "fixed_large", "learned_range"]
"""fixed_small: beta~_t, right for data of one point; fixed_large: beta_t, right for N(0, I) (both
Ho et al. 2020, Sec. 3.2); learned_range: between them, Nichol & Dhariwal 2021, Sec. 3.1."""


def step_variance(
    process: ForwardProcess,
    t: Tensor,
    like: Tensor,
    kind: Variance,
    fraction: Tensor | None = None,
) -> Tensor:
    """Return Sigma_t of p(x_{t-1} | x_t), which broadcasts to ``like`` and is never 0.

    The exact beta~ is 0 at ``t = 0``; in its place stands that of t = 1, or beta_0 where T = 1.
    ``fixed_large`` has the same value there, since its step to x_0 would else cost more than all
    the others; ``learned_range`` keeps beta_0 as its upper end.

    Args:
        process: A Gaussian process, or one that is built on it; its variances are the base's.
        t: (B,).
        like: (B, ...), for shape, type and device.
        kind: Which one.
        fraction: (B, ...), what the network predicts for ``learned_range``: 0 is fixed_small, 1 is
            beta_t, between them the logarithm is linear, Nichol & Dhariwal 2021, Eq. 15.

    Raises:
        ValueError: If ``kind`` is unknown, or a fraction is missing or has another shape.
    """
    if kind not in get_args(Variance):
        raise ValueError(f"variance {kind!r} is unknown: use one of {list(get_args(Variance))}")
    gaussian = gaussian_of(process)
    small = gaussian.at(_above_zero(gaussian.posterior_variance, gaussian.betas), t, like)
    if kind == "fixed_small":
        return small
    large = gaussian.at(gaussian.betas, t, like)
    if kind == "fixed_large":
        first = (t == 0).reshape(-1, *[1] * (like.ndim - 1)).to(like.device)
        return torch.where(first, small, large)
    if fraction is None or fraction.shape != like.shape:
        shape = None if fraction is None else tuple(fraction.shape)
        raise ValueError(f"learned_range needs a fraction of {tuple(like.shape)}, got {shape}")
    return torch.exp(fraction * large.log() + (1 - fraction) * small.log())


def _above_zero(variance: Tensor, betas: Tensor) -> Tensor:
    """Put another value in the place of the 0 at t = 0."""
    return torch.cat([(variance[1:2] if len(betas) > 1 else betas[:1]), variance[1:]])
