"""What training minimises."""

import torch
from torch import Tensor

from ddpm_controller.diffusion.bound import bound_term
from ddpm_controller.diffusion.forward_process import ForwardProcess
from ddpm_controller.diffusion.targets import Prediction, training_target, x0_from
from ddpm_controller.diffusion.variances import step_variance


def simple_loss(answer: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """L_simple, Ho et al. 2020, Eq. 14: mean squared error over the rows that exist. Scalar.

    Args:
        answer: (B, Tp, Da), what the denoiser predicted.
        target: (B, Tp, Da), what it should have predicted.
        mask: (B, Tp) bool, False where a row is padding; None when none is.

    Raises:
        ValueError: If the shapes differ, which broadcasting would hide.
    """
    if answer.shape != target.shape:
        raise ValueError(
            f"answer {tuple(answer.shape)} and target {tuple(target.shape)} must have one shape"
        )
    return masked_mean((answer - target).square(), mask)


def masked_mean(values: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return the mean of values (B, Tp, Da) over the rows that exist. Scalar.

    Raises:
        ValueError: If the mask is not (B, Tp).
    """
    if mask is None:
        return values.mean()
    if mask.shape != values.shape[:2]:
        raise ValueError(f"mask {tuple(mask.shape)} must be {tuple(values.shape[:2])}")
    weight = mask.to(values)[:, :, None]
    # A batch that is padding only has nothing to learn from: 0, not 0 / 0.
    return (values * weight).sum() / torch.clamp(weight.sum() * values.shape[2], min=1.0)


def row_means(values: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return the mean of each chunk of values (B, Tp, Da) over the rows that exist, (B,).

    A chunk of padding only is 0.
    """
    if mask is None:
        return values.flatten(1).mean(1)
    weight = mask.to(values)[:, :, None]
    return (values * weight).sum((1, 2)) / torch.clamp(mask.sum(1) * values.shape[2], min=1)


def hybrid_loss(
    process: ForwardProcess,
    x0: Tensor,
    xt: Tensor,
    t: Tensor,
    answer: Tensor,
    fraction: Tensor,
    prediction: Prediction,
    mask: Tensor | None = None,
    weight: float = 0.001,
) -> Tensor:
    """L_simple + weight L_vlb, Nichol & Dhariwal 2021, Eq. 16: trains ``learned_range``. Scalar.

    The mean is detached in L_vlb, which so teaches the variance alone. With one ``t`` per row
    L_vlb is T times the row's term, in nats per dimension: T / 1000 with the usual weight.

    Args:
        process: The forward process, Gaussian.
        x0: (B, Tp, Da), normalized.
        xt: (B, Tp, Da), its noisy form at ``t``.
        t: (B,), drawn uniformly.
        answer: (B, Tp, Da), what the denoiser predicted.
        fraction: (B, Tp, Da), what it predicted for the variance, see ``variances.step_variance``.
        prediction: What ``answer`` stands for.
        mask: (B, Tp) bool, False where a row is padding; None when none is.
        weight: lambda of the paper.
    """
    simple = simple_loss(answer, training_target(process, x0, xt, t, prediction), mask)
    of_variance = variance_losses(process, x0, xt, t, answer, fraction, prediction, mask)
    return simple + weight * of_variance.mean()


def variance_losses(
    process: ForwardProcess,
    x0: Tensor,
    xt: Tensor,
    t: Tensor,
    answer: Tensor,
    fraction: Tensor,
    prediction: Prediction,
    mask: Tensor | None = None,
) -> Tensor:
    """Return ``bound_losses`` of the denoiser's own x_0, detached: they teach the variance. (B,).

    The arguments are those of ``hybrid_loss``.
    """
    predicted = x0_from(process, answer.detach(), xt, t, prediction)
    return bound_losses(process, x0, predicted, t, fraction, mask)


def bound_losses(
    process: ForwardProcess,
    x0: Tensor,
    predicted: Tensor,
    t: Tensor,
    fraction: Tensor,
    mask: Tensor | None = None,
) -> Tensor:
    """Return T times the bound's term at ``t`` (B,) of every row, nats per dimension, (B,).

    The mean over uniform ``t`` is the bound without L_T; under importance-sampled ``t`` that of
    weight times loss (``timestep_sampling.LossAwareTimesteps``). A row of padding only is 0.
    """
    spread = step_variance(process, t, x0, "learned_range", fraction)
    terms = process.num_timesteps * bound_term(process, x0, predicted, t, spread)
    return row_means(terms, mask)
