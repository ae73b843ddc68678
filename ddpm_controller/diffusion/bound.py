"""The variational bound on the negative log-likelihood of an action chunk, term by term."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from ddpm_controller.diffusion.bound_terms import prior_term, step_kl
from ddpm_controller.diffusion.chain import Chain, PredictX0
from ddpm_controller.diffusion.decoders import Decoder, gaussian_decoder
from ddpm_controller.diffusion.forward_process import ForwardProcess
from ddpm_controller.diffusion.noise import Generators, standard_normal
from ddpm_controller.diffusion.variances import Variance, step_variance


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
        variance: Of the steps back.
        predict_fraction: (xt, t) -> (B, ...), what ``learned_range`` asks for.
        decoder: Of L_0.
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
