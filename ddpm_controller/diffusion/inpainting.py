"""Denoisers that keep to a part of the sample that is known already: a chunk's first rows."""

from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import Tensor

from ddpm_controller.diffusion.chain import PredictX0
from ddpm_controller.diffusion.forward_process import ForwardProcess

MaskSchedule = Literal["ones", "linear", "exp"]
"""How the weight falls behind the frozen rows: not at all, linearly, or as in Black et al. 2025
(RTC, arXiv:2506.07339), Eq. 5."""


def prefix_weights(
    horizon: int, frozen: int, overlap: int, schedule: MaskSchedule = "exp"
) -> Tensor:
    """Return how much each row is held to the previous chunk, (Tp,) float64 in [0, 1].

    Black et al. 2025 (RTC), Eq. 5: 1 for the rows that will have been executed, 0 for those that
    the previous chunk does not cover, and in between ``c (e^c - 1) / (e - 1)`` with
    ``c = (overlap - i) / (overlap - frozen + 1)``.

    Args:
        horizon: Tp.
        frozen: Rows that hold exactly.
        overlap: Rows with any weight, the frozen ones among them.
        schedule: Schedule of the weight in between.

    Raises:
        ValueError: Unless 0 <= frozen <= overlap <= horizon; if the schedule is unknown.
    """
    if not 0 <= frozen <= overlap <= horizon:
        raise ValueError(
            f"rows must satisfy 0 <= frozen <= overlap <= horizon, got frozen {frozen}, "
            f"overlap {overlap}, horizon {horizon}"
        )
    if schedule not in get_args(MaskSchedule):
        raise ValueError(
            f"schedule {schedule!r} is unknown: use one of {list(get_args(MaskSchedule))}"
        )
    row = torch.arange(horizon, dtype=torch.float64)
    share = (overlap - row) / (overlap - frozen + 1)
    if schedule == "ones":
        share = torch.ones_like(share)
    elif schedule == "exp":
        share = share * torch.expm1(share) / torch.expm1(torch.ones_like(share))
    weights = torch.where(row < frozen, torch.ones_like(share), share)
    return torch.where(row < overlap, weights, torch.zeros_like(share))


def replaced(predict_x0: PredictX0, target: Tensor, weight: Tensor) -> PredictX0:
    """Return ``predict_x0`` drawn towards a target, x_0 + W (Y - x_0).

    Where the weight is 1 the sample is the target exactly, because every sampler ends with an
    x_0; what the other rows are made of has seen the target at every step.

    Args:
        predict_x0: The denoiser.
        target: Y, (B, ...).
        weight: W in [0, 1], broadcasts to it.

    Raises:
        ValueError: If a weight is outside [0, 1].
    """
    _refuse_weight(weight)

    def predict(xt: Tensor, t: Tensor) -> Tensor:
        x0 = predict_x0(xt, t)
        drawn = torch.lerp(x0, target.to(x0), weight.to(x0).expand_as(x0))
        # Exact: lerp would keep a NaN or the rounding of x_0 under a weight of 1.
        return torch.where(weight.to(x0) == 1, target.to(x0), drawn)

    return predict


def rtc_guided(
    predict_x0: PredictX0,
    process: ForwardProcess,
    target: Tensor,
    weight: Tensor,
    beta: float = 5.0,
    exact: bool = False,
) -> PredictX0:
    """Return the denoiser whose x_0 is pulled to a target as in real-time chunking.

    Black et al. 2025 (RTC, arXiv:2506.07339), Eq. 2 to 4, written for x_t = a x_0 + b noise. Their
    flow time is tau = a / (a + b) and their sample x_t / (a + b), so the guided velocity becomes

        x_0 + b min(beta, (a^2 + b^2) / (a b)) g,    g = (d x_0 / d x_t)^T [W (Y - x_0)],

    and a Jacobian of 1 in their variables, which needs no gradient, g = W (Y - x_0) / (a + b).
    Unlike ``replaced`` no row is exact. Clip what comes out: where there is much noise the step
    goes beyond the target.

    Args:
        predict_x0: The denoiser; differentiable in x_t where ``exact``, so nothing that it
            has computed beforehand may come from inference mode.
        process: Says a and b at the timesteps at which the denoiser is asked.
        target: Y, (B, ...).
        weight: W in [0, 1], broadcasts to it.
        beta: Largest step.
        exact: Take the product with the true Jacobian, one backward pass per step.

    Raises:
        ValueError: If beta is not above 0 or a weight is outside [0, 1].
    """
    _refuse_weight(weight)
    if not 0.0 < beta < float("inf"):
        raise ValueError(f"beta must be finite and above 0, got {beta}")

    def predict(xt: Tensor, t: Tensor) -> Tensor:
        signal, spread = process.scales(t, xt)
        step = spread * ((signal**2 + spread**2) / (signal * spread)).clamp(max=beta)

        def pull(x0: Tensor) -> Tensor:
            return weight.to(x0) * (target.to(x0) - x0)

        if exact:
            x0, slope = _with_slope(predict_x0, xt, t, pull)
            return x0 + step * slope
        x0 = predict_x0(xt, t)
        return x0 + step * pull(x0) / (signal + spread)

    return predict


def _with_slope(
    predict_x0: PredictX0, xt: Tensor, t: Tensor, pull: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """Return x_0 and the product of its transposed Jacobian with ``pull(x_0)``, both (B, ...)."""
    with torch.inference_mode(False), torch.enable_grad():
        point = xt.detach().clone().requires_grad_()
        x0 = predict_x0(point, t.clone())
        if not x0.requires_grad:
            raise ValueError("predict_x0 must be differentiable in xt for the exact Jacobian")
        # Of a product, not by `grad_outputs`, for which torch imports sympy: 33 MB, half a second.
        (slope,) = torch.autograd.grad((x0 * pull(x0.detach())).sum(), point)
    return x0.detach(), slope


def _refuse_weight(weight: Tensor) -> None:
    if not bool(((weight >= 0) & (weight <= 1)).all()):
        raise ValueError(
            f"weights must lie in [0, 1], got {float(weight.min())} to {float(weight.max())}"
        )
