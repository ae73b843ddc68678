"""One number of noise at a time: from N(0, 1) to the tails and the skew of what was recorded.

Every map is increasing, has an exact inverse, and gives mean 0 and variance 1. Parameters are
(Da,) or (B, 1, Da), so that one set can be had for every row of a batch.
"""

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

_NODES = 81  # of the quadrature; moments of the heaviest tail allowed are exact to 1e-9 with 61
_FAR_LOG_SHARE = -300.0
_TAIL_STEPS = 4  # each gains three digits there
_SOLVER_STEPS = 80  # Newton needs about 8; where it leaves its bracket, halving ends by itself


class ElementMap(Protocol):
    """An increasing map of each number, from N(0, 1) to noise of mean 0 and variance 1."""

    def at(self, strength: Tensor) -> "ElementMap":
        """Return the map at ``strength``: 1 is this map, 0 the identity. Broadcasts to (Da,)."""
        ...

    def selected(self, columns: list[int]) -> "ElementMap":
        """Return the map of these columns, in this order."""
        ...

    def to(self, device: torch.device) -> "ElementMap":
        """Return the map on ``device``."""
        ...

    def forward(self, noise: Tensor) -> Tensor:
        """Return the shaped noise of N(0, 1) noise, both (B, Tp, Da) float64."""
        ...

    def inverse(self, shaped: Tensor) -> Tensor:
        """Return the noise of which ``forward`` makes ``shaped``."""
        ...

    def log_slope(self, noise: Tensor) -> Tensor:
        """Return the log of d shaped / d noise at ``noise``."""
        ...

    def log_density(self, shaped: Tensor) -> Tensor:
        """Return the log density of the shaped noise."""
        ...


@dataclass(frozen=True, eq=False)
class SinhArcsinh:
    """x = (sinh((asinh z + skew) / tail) - mean) / deviation, Jones & Pewsey 2009, Eq. 1-2.

    Attributes:
        skew: 0 is symmetric, above 0 leans to large values.
        tail: 1 is Gaussian, below 1 has heavier tails; above 0.
    """

    skew: Tensor
    tail: Tensor

    def __post_init__(self) -> None:
        if not bool((self.tail > 0).all()) or not bool(torch.isfinite(self.skew).all()):
            raise ValueError(
                f"tail must be above 0 and skew finite, got {self.tail.tolist()} and "
                f"{self.skew.tolist()}"
            )

    def at(self, strength: Tensor) -> "SinhArcsinh":
        """Return the map at ``strength``: its skew is in proportion, its log tail too."""
        return SinhArcsinh(self.skew * strength, self.tail**strength)

    def selected(self, columns: list[int]) -> "SinhArcsinh":
        """Return the map of these columns, in this order."""
        return SinhArcsinh(self.skew[..., columns], self.tail[..., columns])

    def to(self, device: torch.device) -> "SinhArcsinh":
        """Return the map on ``device``."""
        return SinhArcsinh(self.skew.to(device), self.tail.to(device))

    def forward(self, noise: Tensor) -> Tensor:
        """Return the shaped noise, (B, Tp, Da)."""
        mean, deviation = self._moments
        return (self._raw(noise) - mean) / deviation

    def inverse(self, shaped: Tensor) -> Tensor:
        """Return the noise, in closed form."""
        mean, deviation = self._moments
        return torch.sinh(self.tail * torch.asinh(shaped * deviation + mean) - self.skew)

    def log_slope(self, noise: Tensor) -> Tensor:
        """Return the log of d shaped / d noise at ``noise``."""
        angle = ((torch.asinh(noise) + self.skew) / self.tail).abs()
        log_cosh = angle + softplus(-2 * angle) - math.log(2.0)
        deviation = self._moments[1]
        return log_cosh - self.tail.log() - 0.5 * noise.square().log1p() - deviation.log()

    def log_density(self, shaped: Tensor) -> Tensor:
        """Return the log density of the shaped noise."""
        noise = self.inverse(shaped)
        return _log_normal(noise) - self.log_slope(noise)

    def _raw(self, noise: Tensor) -> Tensor:
        return torch.sinh((torch.asinh(noise) + self.skew) / self.tail)

    @cached_property
    def _moments(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation before they are taken out."""
        exact = (torch.tensor(each, dtype=torch.float64) for each in _gauss_hermite())
        nodes, weight = (each.to(self.tail.device) for each in exact)
        angle = (torch.asinh(nodes) + self.skew[..., None]) / self.tail[..., None]
        values = torch.sinh(angle)  # (..., Da, nodes)
        mean = (values * weight).sum(-1)
        variance = ((values - mean[..., None]).square() * weight).sum(-1)
        return mean, variance.sqrt()


@dataclass(frozen=True, eq=False)
class ScaleMixture:
    """The increasing map from N(0, 1) to a mixture of K Gaussians around 0.

    The mixture is symmetric. Its distribution function has a closed form and so has the inverse;
    forward is solved by Newton steps to the last bits, with exact gradients.

    Attributes:
        weights: (K, Da) or (K, B, 1, Da), above 0; only their ratios count.
        scales: Standard deviations, shaped alike, above 0; only their ratios count.
    """

    weights: Tensor
    scales: Tensor

    def __post_init__(self) -> None:
        if not bool((self.weights > 0).all()) or not bool((self.scales > 0).all()):
            raise ValueError(
                f"weights and scales must be above 0, got {self.weights.tolist()} and "
                f"{self.scales.tolist()}"
            )

    def at(self, strength: Tensor) -> "ScaleMixture":
        """Return the mixture whose log scales are ``strength`` times as far apart."""
        log_weights, scales = self._normalized
        scales = scales**strength
        return ScaleMixture(log_weights.exp().expand(scales.shape), scales)

    def selected(self, columns: list[int]) -> "ScaleMixture":
        """Return the map of these columns, in this order."""
        return ScaleMixture(self.weights[..., columns], self.scales[..., columns])

    def to(self, device: torch.device) -> "ScaleMixture":
        """Return the map on ``device``."""
        return ScaleMixture(self.weights.to(device), self.scales.to(device))

    def forward(self, noise: Tensor) -> Tensor:
        """Return the shaped noise, (B, Tp, Da)."""
        depth = noise.abs()
        with torch.no_grad():
            solved = self._solved(depth)
            slope = self._slope(solved, depth)
        # One more Newton step carries the gradients of noise and parameters.
        return (solved - (self._depth(solved) - depth) / slope) * noise.sign()

    def inverse(self, shaped: Tensor) -> Tensor:
        """Return the noise, in closed form."""
        return self._depth(shaped.abs()) * shaped.sign()

    def log_slope(self, noise: Tensor) -> Tensor:
        """Return the log of d shaped / d noise at ``noise``."""
        return _log_normal(noise) - self.log_density(self.forward(noise))

    def log_density(self, shaped: Tensor) -> Tensor:
        """Return the log density of the shaped noise."""
        log_weights, scales = self._normalized
        return torch.logsumexp(log_weights + _log_normal(shaped / scales) - scales.log(), dim=0)

    def _depth(self, distance: Tensor) -> Tensor:
        """Return the noise for a distance from 0, itself a distance from 0."""
        log_weights, scales = self._normalized
        return _depth_of(
            torch.logsumexp(log_weights + torch.special.log_ndtr(-distance / scales), dim=0)
        )

    def _slope(self, distance: Tensor, depth: Tensor) -> Tensor:
        return (self.log_density(distance) - _log_normal(depth)).exp()

    def _solved(self, depth: Tensor) -> Tensor:
        """Return the distance whose depth this is; between the narrowest and widest scale."""
        scales = self._normalized[1]
        low = scales.amin(0) * depth
        high = scales.amax(0) * depth
        distance = low
        for _ in range(_SOLVER_STEPS):
            found = self._depth(distance)
            low = torch.where(found <= depth, distance, low)
            high = torch.where(found >= depth, distance, high)
            step = (depth - found) / self._slope(distance, found)
            wish = distance + step
            inside = (wish >= low) & (wish <= high)
            wish = torch.where(inside, wish, (low + high) / 2)
            moved = (wish - distance).abs() > 1e-12 * (1 + depth)
            distance = wish
            if not bool(moved.any()):
                break
        return distance

    @cached_property
    def _normalized(self) -> tuple[Tensor, Tensor]:
        """Log weights that sum to 1, and the scales that give variance 1, (K, B or 1, 1, Da)."""
        shape = self.weights.shape
        wide = (shape[0], 1, 1, shape[-1]) if len(shape) == 2 else shape
        weights = (self.weights / self.weights.sum(0)).reshape(wide)
        scales = self.scales.reshape(wide)
        return weights.log(), scales / (weights * scales.square()).sum(0).sqrt()


def _depth_of(log_share: Tensor) -> Tensor:
    """Return the z above which N(0, 1) has the share exp(log_share), also below the least float.

    Far out log Phi(-z) is log phi(z) - log z + log(1 - 1/z^2 + 3/z^4), to 1e-8 at z of 24.
    """
    is_far = log_share < _FAR_LOG_SHARE
    far = log_share.clamp(max=_FAR_LOG_SHARE)
    depth = (-2 * far).sqrt()
    for _ in range(_TAIL_STEPS):
        tail = torch.log1p(-(depth**-2) + 3 * depth**-4)
        depth = (-2 * (far + 0.5 * math.log(2 * math.pi) + depth.log() - tail)).sqrt()
    near = torch.special.ndtri(log_share.clamp(min=_FAR_LOG_SHARE).exp())
    return torch.where(is_far, depth, -near)


def _log_normal(noise: Tensor) -> Tensor:
    return -0.5 * noise.square() - 0.5 * math.log(2 * math.pi)


@lru_cache(maxsize=1)
def _gauss_hermite() -> tuple[list[float], list[float]]:
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    return nodes.tolist(), (weights / weights.sum()).tolist()
