"""From noise to a sample. Pure functions: all randomness comes from the generator given."""

from typing import Protocol

import torch
from torch import Tensor

from ddpm_controller.diffusion.chain import Chain, PredictX0, fresh_noise
from ddpm_controller.diffusion.forward_process import ForwardProcess
from ddpm_controller.diffusion.noise import Generators
from ddpm_controller.diffusion.solvers import (
    sample_dpm_solver_pp_2m,
    sample_edm,
    sample_heun,
    sample_unipc,
)
from ddpm_controller.diffusion.variances import Variance, step_variance


class Sampler(Protocol):
    """What every entry of ``SAMPLERS`` can do."""

    def __call__(
        self,
        process: ForwardProcess,
        predict_x0: PredictX0,
        shape: tuple[int, ...],
        generator: Generators,
        timesteps: Tensor | None = None,
    ) -> Tensor:
        """Return a sample of ``shape`` (B, ...).

        Args:
            process: The forward process that was trained with.
            predict_x0: The denoiser.
            shape: (B, ...) of the sample.
            generator: Source of all noise; a sequence gives each row its own.
            timesteps: (K,) int64 ascending, the timesteps to visit; None visits every one.

        Raises:
            ValueError: If timesteps or shapes do not fit, or a prediction is not finite: the
                error names the timestep at which it appeared.
        """
        ...


def sample_ddpm(
    process: ForwardProcess,
    predict_x0: PredictX0,
    shape: tuple[int, ...],
    generator: Generators,
    timesteps: Tensor | None = None,
    variance: Variance = "fixed_small",
    predict_fraction: PredictX0 | None = None,
) -> Tensor:
    """Ancestral sampling, Ho et al. 2020, Algorithm 2. Returns (B, ...).

    The first five arguments are those of ``Sampler``.

    Args:
        process: The forward process that was trained with.
        predict_x0: The denoiser.
        shape: (B, ...) of the sample.
        generator: Source of all noise; a sequence gives each row its own.
        timesteps: (K,) ascending, the timesteps to visit; None visits every one.
        variance: How much noise a step adds; a short chain's steps are longer and add more.
        predict_fraction: (xt, t) -> (B, ...), needed by ``learned_range``.

    Raises:
        ValueError: As every sampler; if the variance is unknown or its fraction missing.
    """
    chain = Chain.of(process, shape, timesteps)
    xt = chain.start(shape, generator)
    for index in reversed(range(len(chain))):
        x0 = chain.ask(predict_x0, xt, index)
        if index == 0:
            return x0
        fraction = None if predict_fraction is None else chain.ask(predict_fraction, xt, index)
        at = torch.full((len(xt),), index, device=xt.device)
        added = step_variance(chain.process, at, xt, variance, fraction)
        scale = added.sqrt() / chain.spread(index - 1, xt).to(xt)
        kept = (1 - chain.renewal(index, xt)).sqrt()
        fresh = scale * fresh_noise(shape, generator, xt)
        xt = chain.step(xt, x0, index, kept.to(xt), fresh)
    return xt


def sample_ddim(
    process: ForwardProcess,
    predict_x0: PredictX0,
    shape: tuple[int, ...],
    generator: Generators,
    timesteps: Tensor | None = None,
    eta: float = 0.0,
) -> Tensor:
    """Implicit sampling, Song et al. 2021 (DDIM), Eq. 12 and 16. Returns (B, ...).

    ``eta = 0`` draws noise only for the start; ``eta = 1`` is ``sample_ddpm``. The noise
    direction follows from x_t and x_0, so a clipped x_0 stays consistent with it.

    Args:
        process: The forward process that was trained with.
        predict_x0: The denoiser.
        shape: (B, ...) of the sample.
        generator: Source of all noise; a sequence gives each row its own.
        timesteps: (K,) ascending, the timesteps to visit; None visits every one.
        eta: Amount of fresh noise per step, between 0 and 1.

    Raises:
        ValueError: As every sampler; if eta is out of range.
    """
    if not 0.0 <= eta <= 1.0:
        raise ValueError(f"eta must be between 0 and 1, got {eta}")
    chain = Chain.of(process, shape, timesteps)
    xt = chain.start(shape, generator)
    for index in reversed(range(len(chain))):
        x0 = chain.ask(predict_x0, xt, index)
        if index == 0 or eta == 0.0:
            xt = chain.step(xt, x0, index)
            continue
        renewed = eta**2 * chain.renewal(index, xt)
        fresh = renewed.sqrt().to(xt) * fresh_noise(shape, generator, xt)
        xt = chain.step(xt, x0, index, (1 - renewed).sqrt().to(xt), fresh)
    return xt


def sample_consistency(
    process: ForwardProcess,
    predict_x0: PredictX0,
    shape: tuple[int, ...],
    generator: Generators,
    timesteps: Tensor | None = None,
) -> Tensor:
    """Jump to x_0 at once, and from new noise again: Song et al. 2023, Algorithm 1. (B, ...).

    For a denoiser distilled to one or two evaluations, which answers with one sample and not with
    the mean of all: give one or two timesteps, spaced ``trailing``, the last of them T - 1.

    Args:
        process: The forward process that was trained with.
        predict_x0: The distilled denoiser, asked once per timestep.
        shape: (B, ...) of the sample.
        generator: Source of all noise; a sequence gives each row its own.
        timesteps: (K,) ascending, the timesteps to visit; None visits every one.

    Raises:
        ValueError: As every sampler.
    """
    chain = Chain.of(process, shape, timesteps)
    xt = chain.start(shape, generator)
    for index in reversed(range(len(chain))):
        x0 = chain.ask(predict_x0, xt, index)
        if index == 0:
            return x0
        xt = chain.step(xt, x0, index, 0.0, fresh_noise(shape, generator, xt))
    return xt


SAMPLERS: dict[str, Sampler] = {
    "ddpm": sample_ddpm,
    "ddim": sample_ddim,
    "dpm_solver_pp_2m": sample_dpm_solver_pp_2m,
    "unipc": sample_unipc,
    "heun": sample_heun,
    "edm": sample_edm,
    "consistency": sample_consistency,
}
