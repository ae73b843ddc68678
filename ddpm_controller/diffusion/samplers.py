"""From noise to a sample. Pure functions: all randomness comes from the generator given."""

from typing import Protocol

import torch
from torch import Tensor

from ddpm_controller.diffusion.chain import Chain, PredictX0, fresh_noise
from ddpm_controller.diffusion.forward_process import ForwardProcess
from ddpm_controller.diffusion.noise import Generators
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
    predict_plain_x0: PredictX0 | None = None,
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
        predict_plain_x0: The denoiser before anything is clipped: each step continues along the
            noise that it finds in x_t, whatever ``predict_x0`` makes of its answer; None: along
            that of ``predict_x0``.

    Raises:
        ValueError: As every sampler; if eta is out of range.
    """
    if not 0.0 <= eta <= 1.0:
        raise ValueError(f"eta must be between 0 and 1, got {eta}")
    chain = Chain.of(process, shape, timesteps)
    xt = chain.start(shape, generator)
    for index in reversed(range(len(chain))):
        x0 = chain.ask(predict_x0, xt, index)
        plain = None if predict_plain_x0 is None else chain.ask(predict_plain_x0, xt, index)
        if index == 0 or eta == 0.0:
            xt = chain.step(xt, x0, index, plain=plain)
            continue
        renewed = eta**2 * chain.renewal(index, xt)
        fresh = renewed.sqrt().to(xt) * fresh_noise(shape, generator, xt)
        xt = chain.step(xt, x0, index, (1 - renewed).sqrt().to(xt), fresh, plain)
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


def sample_dpm_solver_pp_2m(
    process: ForwardProcess,
    predict_x0: PredictX0,
    shape: tuple[int, ...],
    generator: Generators,
    timesteps: Tensor | None = None,
) -> Tensor:
    """DPM-Solver++ (2M), Lu et al. 2022, Algorithm 2. Returns (B, ...). Order 2.

    x_0 is extrapolated from the last two predictions; one evaluation per step. The first step has
    no predecessor, and the last, to no noise at all, is infinitely long in lambda: both are DDIM.

    Args:
        process: The forward process that was trained with.
        predict_x0: The denoiser.
        shape: (B, ...) of the sample.
        generator: Source of the start; a sequence gives each row its own.
        timesteps: (K,) ascending, the timesteps to visit; None visits every one.

    Raises:
        ValueError: As every sampler.
    """
    chain = Chain.of(process, shape, timesteps)
    xt = chain.start(shape, generator)
    before: Tensor | None = None
    for index in reversed(range(len(chain))):
        x0 = chain.ask(predict_x0, xt, index)
        better = x0
        if before is not None and index > 0:
            better = _extrapolated(chain, x0, before, index)
        xt, before = chain.step(xt, better, index), x0
    return xt


def sample_unipc(
    process: ForwardProcess,
    predict_x0: PredictX0,
    shape: tuple[int, ...],
    generator: Generators,
    timesteps: Tensor | None = None,
) -> Tensor:
    """UniPC-2 with B(h) = e^h - 1, Zhao et al. 2023, Algorithms 5 and 6. Returns (B, ...).

    The predictor is ``sample_dpm_solver_pp_2m``; every prediction also corrects, at no further
    evaluation, the step that led to it, which raises the order to 3 (their Theorem 3.1). The last
    prediction is the result; nothing comes after it that could correct it.

    Args:
        process: The forward process that was trained with.
        predict_x0: The denoiser.
        shape: (B, ...) of the sample.
        generator: Source of the start; a sequence gives each row its own.
        timesteps: (K,) ascending, the timesteps to visit; None visits every one.

    Raises:
        ValueError: As every sampler.
    """
    chain = Chain.of(process, shape, timesteps)
    xt = chain.start(shape, generator)
    came_from = xt
    answers: list[Tensor] = []  # the newest first, three at most
    for index in reversed(range(len(chain))):
        answers = [chain.ask(predict_x0, xt, index), *answers[:2]]
        if index == 0:
            return answers[0]
        if len(answers) > 1:
            better = _corrected(chain, answers, index)
            came_from = chain.step(came_from, better, index + 1)
        else:
            came_from = xt
        better = answers[0]
        if len(answers) > 1:
            better = _extrapolated(chain, answers[0], answers[1], index)
        xt = chain.step(came_from, better, index)
    return xt


def sample_heun(
    process: ForwardProcess,
    predict_x0: PredictX0,
    shape: tuple[int, ...],
    generator: Generators,
    timesteps: Tensor | None = None,
) -> Tensor:
    """Heun's method in signal / spread. Returns (B, ...). Order 2, 2 K - 1 evaluations.

    Each step is done twice, the second time with the mean of the x_0 at both of its ends. EDM
    takes the mean of the noise instead (``sample_edm``); here a clipped x_0 stays in range, and a
    schedule may end in hardly any signal.

    Args:
        process: The forward process that was trained with.
        predict_x0: The denoiser.
        shape: (B, ...) of the sample.
        generator: Source of the start; a sequence gives each row its own.
        timesteps: (K,) ascending, the timesteps to visit; None visits every one.

    Raises:
        ValueError: As every sampler.
    """
    chain = Chain.of(process, shape, timesteps)
    xt = chain.start(shape, generator)
    for index in reversed(range(len(chain))):
        x0 = chain.ask(predict_x0, xt, index)
        if index > 0:
            ahead = chain.ask(predict_x0, chain.step(xt, x0, index), index - 1)
            x0 = (x0 + ahead) / 2
        xt = chain.step(xt, x0, index)
    return xt


def sample_edm(
    process: ForwardProcess,
    predict_x0: PredictX0,
    shape: tuple[int, ...],
    generator: Generators,
    timesteps: Tensor | None = None,
) -> Tensor:
    """Heun's method in sigma = spread / signal, without churn, Karras et al. 2022, Algorithm 1.

    Order 2, 2 K - 1 evaluations. Made for the spacing ``karras`` and for a sigma of at most some
    hundred: a first step from the 2e4 in which a cosine schedule ends goes far astray, where
    ``sample_heun`` does not.

    Args:
        process: The forward process that was trained with.
        predict_x0: The denoiser.
        shape: (B, ...) of the sample.
        generator: Source of the start; a sequence gives each row its own.
        timesteps: (K,) ascending, the timesteps to visit; None visits every one.

    Returns:
        (B, ...).

    Raises:
        ValueError: As every sampler.
    """
    chain = Chain.of(process, shape, timesteps)
    xt = chain.start(shape, generator)
    for index in reversed(range(len(chain))):
        x0 = chain.ask(predict_x0, xt, index)
        if index > 0:
            guess = chain.step(xt, x0, index)
            ahead = chain.ask(predict_x0, guess, index - 1)
            here, there = (torch.full((len(xt),), k, device=xt.device) for k in (index, index - 1))
            noise = chain.process.noise_from(xt, x0, here)
            noise = (noise + chain.process.noise_from(guess, ahead, there)) / 2
            x0 = chain.process.x0_from(xt, noise, here)
        xt = chain.step(xt, x0, index)
    return xt


def _extrapolated(chain: Chain, x0: Tensor, before: Tensor, index: int) -> Tensor:
    """Return x_0 half a step ahead of ``index``, of those at ``index`` and ``index + 1``."""
    here = chain.log_snr(index, x0)
    step = chain.log_snr(index - 1, x0) - here
    last = here - chain.log_snr(index + 1, x0)
    return x0 + (step / (2 * last)).to(x0) * (x0 - before)


def _corrected(chain: Chain, answers: list[Tensor], index: int) -> Tensor:
    """Return the x_0 for the step from ``index + 1`` to ``index``, now that both ends are known.

    Zhao et al. 2023, Eq. 5 with two or three points: the weights of the differences to the x_0 at
    ``index + 1`` make the step exact where x_0 is a polynomial in lambda.
    """
    arrived, origin = answers[0], answers[1]
    if len(answers) == 2:
        return (origin + arrived) / 2
    from_here = chain.log_snr(index + 1, origin)
    step = chain.log_snr(index, origin) - from_here
    ratio = (chain.log_snr(index + 2, origin) - from_here) / step  # below 0
    phi_1 = torch.expm1(-step)
    first = (phi_1 / -step - 1) / phi_1
    second = 2 * ((phi_1 / -step - 1) / -step - 0.5) / phi_1
    weight_before = (first - second) / (1 - ratio)
    weight_arrived = (first - weight_before).to(origin)
    slope_before = (weight_before / ratio).to(origin) * (answers[2] - origin)
    return origin + slope_before + weight_arrived * (arrived - origin)


SAMPLERS: dict[str, Sampler] = {
    "ddpm": sample_ddpm,
    "ddim": sample_ddim,
    "dpm_solver_pp_2m": sample_dpm_solver_pp_2m,
    "unipc": sample_unipc,
    "heun": sample_heun,
    "edm": sample_edm,
    "consistency": sample_consistency,
}
