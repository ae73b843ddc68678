"""From noise to a sample. Pure functions: all randomness comes from the generator given."""

from collections.abc import Callable
from typing import Literal, Protocol, get_args

import torch
from torch import Tensor

from ddpm_controller.diffusion.gaussian import GaussianProcess, Generators, standard_normal

PredictX0 = Callable[[Tensor, Tensor], Tensor]
"""(xt (B, ...), t (B,)) -> x0 (B, ...). Clipping and guidance wrap it."""

Spacing = Literal["leading", "trailing"]


class Sampler(Protocol):
    """What every entry of ``SAMPLERS`` can do."""

    def __call__(
        self,
        process: GaussianProcess,
        predict_x0: PredictX0,
        shape: tuple[int, ...],
        generator: Generators,
        timesteps: Tensor | None = None,
    ) -> Tensor:
        """Return a sample of ``shape`` (B, ...)."""
        ...


def spaced_timesteps(
    num_train_timesteps: int, num_inference_steps: int, spacing: Spacing = "leading"
) -> Tensor:
    """Choose which timesteps a shorter chain visits, ascending. (K,) int64.

    Lin et al. 2024, Table 2: ``leading`` keeps t = 0 and leaves out the noisiest, ``trailing``
    keeps t = T - 1. An epsilon denoiser knows nothing about x_0 at T - 1, so ``leading`` suits it.

    Raises:
        ValueError: If there are more inference than training steps, or none.
    """
    if not 1 <= num_inference_steps <= num_train_timesteps:
        raise ValueError(
            f"num_inference_steps must be between 1 and num_train_timesteps = "
            f"{num_train_timesteps}, got {num_inference_steps}"
        )
    steps = torch.arange(num_inference_steps, dtype=torch.float64)
    stride = num_train_timesteps / num_inference_steps
    if spacing == "leading":
        return (steps * stride).floor().long()
    if spacing == "trailing":
        return ((steps + 1) * stride).round().long() - 1
    raise ValueError(f"spacing {spacing!r} is unknown: use one of {list(get_args(Spacing))}")


def clipped(predict_x0: PredictX0, bound: float = 1.0) -> PredictX0:
    """Return ``predict_x0`` held inside [-bound, bound], the range of normalized actions."""

    def predict(xt: Tensor, t: Tensor) -> Tensor:
        return predict_x0(xt, t).clamp(-bound, bound)

    return predict


def sample_ddpm(
    process: GaussianProcess,
    predict_x0: PredictX0,
    shape: tuple[int, ...],
    generator: Generators,
    timesteps: Tensor | None = None,
) -> Tensor:
    """Ancestral sampling, Ho et al. 2020, Algorithm 2. Returns (B, ...).

    Args:
        process: The forward process that was trained with.
        predict_x0: The denoiser.
        shape: (B, ...) of the sample.
        generator: Source of all noise; a sequence gives each row its own.
        timesteps: (K,) ascending, the timesteps to visit; None visits every one.
    """
    if timesteps is None:
        timesteps = torch.arange(process.num_timesteps)
        visited = process
    else:
        visited = process.respaced(timesteps)
    xt = process.prior(shape, generator)
    for index in reversed(range(len(timesteps))):
        x0 = predict_x0(xt, timesteps[index].expand(shape[0]))
        mean, variance = visited.posterior(x0, xt, torch.tensor([index]))
        xt = mean + variance.sqrt() * standard_normal(shape, generator).to(xt.device)
    return xt


def sample_ddim(
    process: GaussianProcess,
    predict_x0: PredictX0,
    shape: tuple[int, ...],
    generator: Generators,
    timesteps: Tensor | None = None,
    eta: float = 0.0,
) -> Tensor:
    """Implicit sampling, Song et al. 2021 (DDIM), Eq. 12 and 16. Returns (B, ...).

    ``eta = 0`` draws noise only for the start; ``eta = 1`` is ``sample_ddpm`` in distribution.
    The noise direction follows from x_t and x_0, so a clipped x_0 stays consistent with it.

    Args:
        process: The forward process that was trained with.
        predict_x0: The denoiser.
        shape: (B, ...) of the sample.
        generator: Source of all noise; a sequence gives each row its own.
        timesteps: (K,) ascending, the timesteps to visit; None visits every one.
        eta: Amount of fresh noise per step, between 0 and 1.
    """
    if not 0.0 <= eta <= 1.0:
        raise ValueError(f"eta must be between 0 and 1, got {eta}")
    if timesteps is None:
        timesteps = torch.arange(process.num_timesteps)
    # Python floats: a step has one coefficient for the whole batch, in float64.
    levels = [1.0, *process.alpha_bar[timesteps.to(process.alpha_bar.device)].tolist()]
    xt = process.prior(shape, generator)
    for index in reversed(range(len(timesteps))):
        alpha_bar, before = levels[index + 1], levels[index]
        x0 = predict_x0(xt, timesteps[index].expand(shape[0]))
        noise = (xt - alpha_bar**0.5 * x0) / (1 - alpha_bar) ** 0.5
        variance = eta**2 * (1 - before) / (1 - alpha_bar) * (1 - alpha_bar / before)
        xt = before**0.5 * x0 + max(1 - before - variance, 0.0) ** 0.5 * noise
        if variance > 0.0:
            xt = xt + variance**0.5 * standard_normal(shape, generator).to(xt.device)
    return xt


SAMPLERS: dict[str, Sampler] = {"ddpm": sample_ddpm, "ddim": sample_ddim}
