"""The variational bound on the negative log-likelihood of an action chunk, term by term."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from ddpm_controller.diffusion.chain import Chain, PredictX0
from ddpm_controller.diffusion.forward_process import ForwardProcess
from ddpm_controller.diffusion.gaussian import GaussianProcess, gaussian_of
from ddpm_controller.diffusion.noise import Generators, standard_normal
from ddpm_controller.diffusion.shaped import ShapedProcess
from ddpm_controller.diffusion.variances import Variance, step_variance

Decoder = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(x0 (B, ...), mean (B, ...), variance that broadcasts to them) -> nats (B, ...)."""


def gaussian_decoder(x0: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """Return -log N(x0; mean, variance), nats per element: a density, so it may be negative.

    For continuous values, in place of the 1/255 bins of Ho et al. 2020, Eq. 13.
    """
    return 0.5 * ((x0 - mean).square() / variance + (2 * math.pi * variance).log())


def gaussian_decoder_of(variance: Tensor) -> Decoder:
    """Return the Gaussian decoder of this variance, whatever the process has.

    For a good denoiser beta_0 is near the best; the fixed variances have beta~_1 there, which is
    about half of it.

    Raises:
        ValueError: If a variance is not above 0.
    """
    if not bool((variance > 0).all()):
        raise ValueError(f"variance must be above 0, got {float(variance.min())}")

    def decode(x0: Tensor, mean: Tensor, given: Tensor) -> Tensor:
        return gaussian_decoder(x0, mean, variance.to(given))

    return decode


def tick_decoder(tick: Tensor | float) -> Decoder:
    """Return the decoder of values that were read from an encoder: -log P(this very count).

    The probability of the bin of one count around x0 under the Gaussian. It has no unit, so the
    bound is comparable across normalizations, in bits per tick when divided by log 2; a
    normalizer's ``log_scale`` must not be added to it.

    Args:
        tick: Width of one count in the units of x0 (half range 1 where actions are normalized),
            one number or one per joint.

    Raises:
        ValueError: If a tick is not above 0.
    """
    width = torch.as_tensor(tick, dtype=torch.float64)
    if not bool((width > 0).all()):
        raise ValueError(f"tick must be above 0, got {tick}")

    def decode(x0: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        scale = variance.double().sqrt()
        half = 0.5 * width.to(x0.device) / scale
        # The side of the bell does not matter: on the left one the distribution function does
        # not saturate at 1, so that far counts keep a finite number of nats.
        centre = -(x0 - mean).double().abs() / scale
        upper = torch.special.log_ndtr(centre + half)
        lower = torch.special.log_ndtr(centre - half)
        nats: Tensor = -upper - torch.log(-torch.expm1(lower - upper))
        return nats.to(x0)

    return decode


def prior_term(process: ForwardProcess, x0: Tensor, generator: Generators) -> Tensor:
    """Return L_T = KL(q(x_T | x_0) || p(x_T)) of x0 (B, ...), nats per element.

    Closed form for a Gaussian process. For a shaped one an estimate of one draw, whose elements
    have a meaning only together where the noise is coloured.
    """
    last = torch.full((len(x0),), process.num_timesteps - 1, device=x0.device)
    signal, spread = process.scales(last, x0)
    if not isinstance(process, ShapedProcess):
        remains = signal.square()
        return 0.5 * (remains * x0.square() - remains - torch.log1p(-remains))
    noise = standard_normal(tuple(x0.shape), generator).to(x0)
    xt = process.sample(x0, last, noise)
    # x_T is drawn as M(noise), without the factor of the noise in q.
    drawn = process.noise_from(xt * spread, torch.zeros_like(x0), last)
    forward = _log_normal(noise) - process.log_slope(noise, last) - spread.log()
    return forward - _log_normal(drawn) + process.log_slope(drawn, last)


def step_kl(
    process: ForwardProcess,
    x0: Tensor,
    predicted: Tensor,
    noise: Tensor,
    t: Tensor,
    variance: Tensor,
    generator: Generators,
) -> Tensor:
    """Return L_{t-1} at ``t`` (B,) >= 1, nats per element, (B, ...).

    In closed form for a Gaussian process; for a shaped one by ``shaped_kl``, whose fresh noise
    is drawn here. The others as there.
    """
    if isinstance(process, ShapedProcess):
        fresh = standard_normal(tuple(x0.shape), generator).to(x0)
        return shaped_kl(process, x0, predicted, noise.to(x0), fresh, t, variance)
    return gaussian_kl(gaussian_of(process), x0 - predicted, t, variance)


def gaussian_kl(process: GaussianProcess, error: Tensor, t: Tensor, variance: Tensor) -> Tensor:
    """Return KL(q(x_{t-1} | x_t, x_0) || N(mean of the predicted x_0, variance)), t >= 1.

    Both means differ by the x_0 that was missed, so ``error`` = x_0 - predicted x_0 (B, ...) is
    all that counts. Nats per element, (B, ...).
    """
    # At t = 0, where there is no such term, this is not 0: no infinite slope is left behind.
    exact = step_variance(process, t, error, "fixed_small")
    difference = process.posterior(error, torch.zeros_like(error), t)[0]
    ratio = (variance / exact).log()
    return 0.5 * (ratio - 1 + (exact + difference.square()) / variance)


def shaped_kl(
    process: ShapedProcess,
    x0: Tensor,
    predicted: Tensor,
    noise: Tensor,
    fresh: Tensor,
    t: Tensor,
    variance: Tensor,
) -> Tensor:
    """Estimate the KL of the step back from ``t`` >= 1 with one draw, nats per element.

    x_{t-1} = M(rho noise_t + g fresh) is drawn with the x_0 that is true and judged by the one
    that is predicted. Both densities are exact, taken in the space of N(0, I) noise, so they
    need the slope of the noise map; its colouring is the same in both and cancels.

    Args:
        process: The shaped process.
        x0: (B, ...).
        predicted: (B, ...), the denoiser's x_0 for x_t.
        noise: (B, ...), the N(0, I) noise of x_t.
        fresh: (B, ...), N(0, I).
        t: (B,).
        variance: Sigma_t of the step back, in terms of the Gaussian base.
    """
    renewed = process.renewal(t, x0)
    kept = (1 - renewed).sqrt()
    before = kept * noise + renewed.sqrt() * fresh
    sample = process.sample(x0, t - 1, before)
    judged = process.noise_from(sample, predicted, t - 1)
    centre = kept * process.noise_from(process.sample(x0, t, noise), predicted, t)
    share = variance / process.scales(t - 1, x0)[1].square()
    forward = _log_normal(fresh) - 0.5 * renewed.log() - process.log_slope(before, t - 1)
    backward = _log_normal((judged - centre) / share.sqrt()) - 0.5 * share.log()
    return forward - backward + process.log_slope(judged, t - 1)


def bound_term(
    process: ForwardProcess, x0: Tensor, predicted: Tensor, t: Tensor, variance: Tensor
) -> Tensor:
    """Return the term of each row's own ``t`` (B,): L_0 (Gaussian) at 0, else the KL. (B, ...).

    Raises:
        ValueError: If the process is shaped: its terms need the noise of x_t as well.
    """
    if isinstance(process, ShapedProcess):
        raise ValueError("a shaped process has no closed form: use variational_bound")
    error = x0 - predicted
    first = gaussian_decoder(x0, predicted, variance)
    is_first = (t == 0).reshape(-1, *[1] * (x0.ndim - 1))
    return torch.where(is_first, first, gaussian_kl(gaussian_of(process), error, t, variance))


def _log_normal(noise: Tensor) -> Tensor:
    """Log of N(0, 1) up to the constant, which cancels wherever this is used."""
    return -0.5 * noise.square()


@dataclass(frozen=True, eq=False)
class Bound:
    """-log p(x_0) <= prior + sum of steps + log_scale, nats per element, in expectation.

    Attributes:
        prior: (B, ...), L_T = KL(q(x_T | x_0) || p(x_T)).
        steps: (K, B, ...), index 0 L_0 = -log p(x_0 | x_1), index k the KL of the step back from
            the k-th timestep to the one before.
        log_scale: Broadcasts to (...): log of the normalizer's half range, which takes a density
            of normalized values to one in physical units; 0 for a probability of ticks.
        mask: (B, Tp) bool, False where a row is padding and counts in no mean; None: all count.
    """

    prior: Tensor
    steps: Tensor
    log_scale: Tensor
    mask: Tensor | None = None

    def __post_init__(self) -> None:
        if self.steps.shape[1:] != self.prior.shape:
            raise ValueError(
                f"steps {tuple(self.steps.shape)} must be (K, ...) of prior "
                f"{tuple(self.prior.shape)}"
            )
        if self.mask is not None and self.mask.shape != self.prior.shape[:2]:
            raise ValueError(
                f"mask {tuple(self.mask.shape)} must be {tuple(self.prior.shape[:2])}"
            )

    @property
    def total(self) -> Tensor:
        """(B, ...) nats per element in physical units; sum a row for its chunk."""
        return self.prior + self.steps.sum(0) + self.log_scale

    @property
    def bits(self) -> Tensor:
        """(B, ...) bits per element: per encoder tick where a ``tick_decoder`` made L_0."""
        return self.total / math.log(2.0)

    def per_dimension(self) -> Tensor:
        """Return the mean over all elements that exist, nats per dimension. Scalar."""
        return self._mean(self.total)

    def per_term(self) -> dict[str, Tensor]:
        """Return the parts of ``per_dimension``: L_T, all L_{t-1} together, L_0, log_scale."""
        parts = {"L_T": self.prior, "L_t": self.steps[1:].sum(0), "L_0": self.steps[0]}
        parts["log_scale"] = self.log_scale.expand(self.prior.shape)
        return {name: self._mean(part) for name, part in parts.items()}

    def per_timestep(self) -> Tensor:
        """(K,) mean of each entry of ``steps``, nats per dimension."""
        return torch.stack([self._mean(step) for step in self.steps])

    def per_joint(self) -> Tensor:
        """(Da,) mean of ``total`` over chunks and their rows."""
        return self._mean_along(self.total, tuple(range(self.total.ndim - 1)))

    def per_row(self) -> Tensor:
        """(Tp,) mean of ``total`` over chunks and joints; NaN for a row that is always padding."""
        return self._mean_along(self.total, (0, *range(2, self.total.ndim)))

    def _mean(self, values: Tensor) -> Tensor:
        return self._mean_along(values, tuple(range(values.ndim)))

    def _mean_along(self, values: Tensor, axes: tuple[int, ...]) -> Tensor:
        if self.mask is None:
            return values.mean(axes)
        exists = self.mask.reshape(*self.mask.shape, *[1] * (values.ndim - 2))
        exists = exists.expand(values.shape)
        return values.where(exists, 0.0).sum(axes) / exists.sum(axes)


def variational_bound(
    process: ForwardProcess,
    predict_x0: PredictX0,
    x0: Tensor,
    generator: Generators,
    *,
    timesteps: Tensor | None = None,
    variance: Variance = "fixed_small",
    predict_fraction: PredictX0 | None = None,
    decoder: Decoder = gaussian_decoder,
    log_scale: Tensor | None = None,
    mask: Tensor | None = None,
    draws: int = 1,
) -> Bound:
    """Estimate L_T + sum L_{t-1} + L_0, Ho et al. 2020, Eq. 5, of every chunk. All in float64.

    Every timestep is visited, with its own noise. Unbiased, and differentiable in the denoiser
    and in a learned process, which must be trained on all terms. The observation reaches every
    term by way of ``predict_x0``, ``predict_fraction`` and a process bound to it.

    Args:
        process: The forward process; Gaussian, or shaped by recorded noise.
        predict_x0: The denoiser, asked at the timesteps of training.
        x0: (B, ...), normalized.
        generator: Source of all noise; a sequence gives each row its own.
        timesteps: (K,) ascending: the bound of the shorter chain that visits only these.
        variance: Variance of the steps back.
        predict_fraction: (xt, t) -> (B, ...), what ``learned_range`` asks for.
        decoder: Decoder of L_0.
        log_scale: See ``Bound``; None is 0.
        mask: See ``Bound``.
        draws: Noises per chunk and timestep.

    Raises:
        ValueError: If timesteps or shapes do not fit, ``draws`` is below 1, or a prediction is
            not finite.
    """
    if draws < 1:
        raise ValueError(f"draws must be at least 1, got {draws}")
    chain = Chain.of(process, tuple(x0.shape), timesteps)

    def step(index: int) -> Tensor:
        noise = standard_normal(tuple(x0.shape), generator).to(x0)
        t = torch.full((len(x0),), index, device=x0.device)
        xt = chain.process.sample(x0, t, noise)
        predicted = chain.ask(predict_x0, xt, index).double()
        fraction = None
        if predict_fraction is not None:
            asked = torch.full_like(t, int(chain.timesteps[index]))
            fraction = predict_fraction(xt, asked).double()
        sigma = step_variance(chain.process, t, predicted, variance, fraction)
        if index == 0:
            return decoder(x0.double(), predicted, sigma)
        return step_kl(chain.process, x0.double(), predicted, noise, t, sigma, generator)

    def mean(draw: Callable[[], Tensor]) -> Tensor:
        return torch.stack([draw() for _ in range(draws)]).mean(0)

    prior = mean(lambda: prior_term(chain.process, x0.double(), generator))
    steps = [mean(partial(step, index)) for index in range(len(chain))]
    none = torch.zeros((), dtype=torch.float64, device=x0.device)
    scale = none if log_scale is None else log_scale.to(none)
    return Bound(prior, torch.stack(steps), scale, mask)
