"""Denoisers made of denoisers: kept in range, and guided. Every sampler takes what comes out."""

from collections.abc import Callable

import torch
from torch import Tensor

from ddpm_controller.diffusion.chain import PredictX0

Cost = Callable[[Tensor], Tensor]
"""x0 (B, ...) -> (B,), differentiable; lower is better."""


def clipped(predict_x0: PredictX0, bound: float = 1.0) -> PredictX0:
    """Return ``predict_x0`` held inside [-bound, bound], the range of normalized actions.

    What is infinite becomes NaN and not the bound, so that the sampler can report it.

    Raises:
        ValueError: If the bound is not above 0.
    """
    if not bound > 0.0:
        raise ValueError(f"bound must be above 0, got {bound}")

    def predict(xt: Tensor, t: Tensor) -> Tensor:
        x0 = predict_x0(xt, t)
        return x0.clamp(-bound, bound) + 0.0 * x0  # 0 * inf is NaN

    return predict


def dynamically_thresholded(predict_x0: PredictX0, quantile: float = 0.995) -> PredictX0:
    """Return ``predict_x0`` clipped to a range of its own and shrunk to [-1, 1].

    Saharia et al. 2022 (Imagen), Sec. 2.3: the range of each row is the given quantile of its
    absolute values, at least 1, so strong guidance does not pile values up at the bounds.

    Raises:
        ValueError: If the quantile is not between 0 and 1.
    """
    if not 0.0 < quantile <= 1.0:
        raise ValueError(f"quantile must be above 0 and at most 1, got {quantile}")

    def predict(xt: Tensor, t: Tensor) -> Tensor:
        x0 = predict_x0(xt, t)
        reach = torch.quantile(x0.flatten(1).abs(), quantile, dim=1).clamp(min=1.0)
        reach = reach.reshape(-1, *[1] * (x0.ndim - 1))  # (B, 1, ...)
        return (x0.clamp(-reach, reach) + 0.0 * x0) / reach

    return predict


def classifier_free(
    predict_conditional: PredictX0, predict_unconditional: PredictX0, scale: float
) -> PredictX0:
    """Return the denoiser that goes ``scale`` times the way that the condition makes.

    Ho & Salimans 2022, Eq. 6 with w = scale - 1: scale 0 ignores the condition, 1 is the
    conditional denoiser, more exaggerates it. The same for x_0 as for the noise, since both are
    predicted at one x_t; clip what comes out, not what goes in.

    Raises:
        ValueError: If the scale is not a number of at least 0.
    """
    if not 0.0 <= scale < float("inf"):
        raise ValueError(f"scale must be finite and at least 0, got {scale}")

    def predict(xt: Tensor, t: Tensor) -> Tensor:
        without = predict_unconditional(xt, t)
        return without + scale * (predict_conditional(xt, t) - without)

    return predict


def cost_guided(predict_x0: PredictX0, cost: Cost, scale: float) -> PredictX0:
    """Return the denoiser whose x_0 goes ``scale`` times down the slope of a cost.

    Janner et al. 2022, Alg. 1, with the gradient taken at x_0 and not through the denoiser, so
    it costs one gradient of the cost per step. Works in inference mode too.

    Raises:
        ValueError: If the scale is not a number of at least 0; when called, if the cost is not
            one number per row or does not depend on x_0 in a differentiable way.
    """
    if not 0.0 <= scale < float("inf"):
        raise ValueError(f"scale must be finite and at least 0, got {scale}")

    def predict(xt: Tensor, t: Tensor) -> Tensor:
        x0 = predict_x0(xt, t)
        return x0 - scale * _slope(cost, x0)

    return predict


def _slope(cost: Cost, x0: Tensor) -> Tensor:
    with torch.inference_mode(False), torch.enable_grad():
        point = x0.detach().clone().requires_grad_()
        value = cost(point)
        if value.shape != x0.shape[:1]:
            raise ValueError(
                f"cost must be one number per row, ({len(x0)},), got {tuple(value.shape)}"
            )
        if not value.requires_grad:
            raise ValueError("cost must be differentiable in x0: use torch functions of it only")
        return torch.autograd.grad(value.sum(), point)[0]
