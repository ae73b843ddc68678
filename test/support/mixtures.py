"""Gaussian mixtures, whose denoiser, posterior variance and density are known in closed form.

With them nothing has to be trained: bounds, samplers and schedules are tested against exact
answers. Noise of a process that differs from element to element is no obstacle, since every
component has a diagonal covariance.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ddpm_controller.diffusion.chain import PredictX0
from ddpm_controller.diffusion.gaussian import GaussianProcess


@dataclass(frozen=True, eq=False)
class Mixture:
    """sum_k weights_k N(means_k, diag(stds_k^2)); all float64.

    Attributes:
        weights: (K,).
        means: (K, ...), where (...) is the shape of one row, such as (D,) or (Tp, Da).
        stds: (K, ...), above 0.
        independent: Every element has its own component: a product of 1-D mixtures. Otherwise
            all elements of a row share one component.
    """

    weights: Tensor
    means: Tensor
    stds: Tensor
    independent: bool = False

    def __post_init__(self) -> None:
        if self.means.shape != self.stds.shape or len(self.weights) != len(self.means):
            shapes = [tuple(each.shape) for each in (self.weights, self.means, self.stds)]
            raise ValueError(f"weights (K,), means and stds (K, ...) do not fit: {shapes}")
        if not bool((self.stds > 0).all()) or abs(float(self.weights.sum()) - 1) > 1e-12:
            raise ValueError(f"stds must be above 0 and weights {self.weights} sum to 1")

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw (count, ...)."""
        shape = self.means.shape[1:]
        draws = count * shape.numel() if self.independent else count
        which = torch.multinomial(self.weights, draws, replacement=True, generator=generator)
        which = which.reshape(count, *(shape if self.independent else [1] * len(shape)))
        which = which.expand(count, *shape)
        noise = torch.randn(count, *shape, generator=generator, dtype=torch.float64)
        return self.means.gather(0, which) + self.stds.gather(0, which) * noise

    def log_density(
        self, xt: Tensor, process: GaussianProcess | None = None, t: Tensor | None = None
    ) -> Tensor:
        """Return log p(x_0), or log q(x_t) of a process at ``t`` (B,).

        (B,), or (B, ...) one value per element where elements are independent.
        """
        signal, spread = _scales(process, t, xt)
        return self._joint(xt, signal, spread).logsumexp(0)

    def posterior(self, process: GaussianProcess, xt: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and variance of every element of x_0 given x_t, each (B, ...)."""
        signal, spread = _scales(process, t, xt)
        share = self._joint(xt, signal, spread).softmax(0)  # (K, B) or (K, B, ...)
        share = share.reshape(*share.shape, *[1] * (xt.ndim + 1 - share.ndim))
        means, stds = self.means[:, None], self.stds[:, None]  # (K, 1, ...)
        total = (signal * stds).square() + spread.square()
        centre = means + signal * stds.square() / total * (xt - signal * means)
        mean = (share * centre).sum(0)
        within = (stds * spread).square() / total
        # Around the mean, not as a difference of squares, which would cancel at low noise.
        return mean, (share * (within + (centre - mean).square())).sum(0)

    def predict_x0(self, process: GaussianProcess) -> PredictX0:
        """Return the exact denoiser E[x_0 | x_t] for ``process``."""

        def predict(xt: Tensor, t: Tensor) -> Tensor:
            return self.posterior(process, xt.double(), t)[0].to(xt)

        return predict

    def _joint(self, xt: Tensor, signal: Tensor, spread: Tensor) -> Tensor:
        """Log of weight times density of each component, (K, B) or (K, B, ...)."""
        total = (signal * self.stds[:, None]).square() + spread.square()
        distance = (xt - signal * self.means[:, None]).square() / total
        element = -0.5 * (distance + total.log() + math.log(2 * math.pi))  # (K, B, ...)
        if not self.independent:
            element = element.flatten(2).sum(2)
        return element + self.weights.log().reshape(-1, *[1] * (element.ndim - 1))


def _scales(
    process: GaussianProcess | None, t: Tensor | None, like: Tensor
) -> tuple[Tensor, Tensor]:
    if process is None or t is None:
        return torch.ones(()).to(like), torch.zeros(()).to(like)
    return process.scales(t, like)


def one_dimensional(
    means: list[float], stds: list[float], weights: list[float] | None = None
) -> Mixture:
    """Return a mixture over rows of shape (1,), equally weighted unless told otherwise."""
    share = [1 / len(means)] * len(means) if weights is None else weights
    columns = (torch.tensor(each, dtype=torch.float64)[:, None] for each in (means, stds))
    return Mixture(torch.tensor(share, dtype=torch.float64), *columns)
