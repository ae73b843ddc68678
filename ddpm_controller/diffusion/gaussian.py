"""The forward process of denoising diffusion: Gaussian noise in fixed amounts."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

Generators = torch.Generator | Sequence[torch.Generator]
"""One generator for a whole batch, or one per row so that a row never depends on the others."""


def standard_normal(shape: tuple[int, ...], generator: Generators) -> Tensor:
    """Draw N(0, I) of ``shape`` (B, ...), from one generator or from one per row.

    Raises:
        ValueError: If the number of generators is not the number of rows.
    """
    if isinstance(generator, torch.Generator):
        return torch.randn(shape, generator=generator, device=generator.device)
    if len(generator) != shape[0]:
        raise ValueError(f"{len(generator)} generators for {shape[0]} rows: give one per row")
    rows = [torch.randn(shape[1:], generator=each, device=each.device) for each in generator]
    return torch.stack(rows)


@dataclass(frozen=True, eq=False)
class GaussianProcess:
    """q(x_t | x_0) and q(x_{t-1} | x_t, x_0) for a fixed variance schedule.

    Timesteps count from 0: ``t = 0`` is the least noisy level and ``t = T - 1`` the most, so the
    paper's x_t is our ``t = paper_t - 1``. Coefficients are kept in float64 and cast when used:
    ``1 - alpha_bar`` loses four digits in float32.

    Attributes:
        betas: Variance added at each step, shape (T,), float64.
    """

    betas: Tensor

    def __post_init__(self) -> None:
        if self.betas.ndim != 1 or not len(self.betas) or self.betas.dtype != torch.float64:
            shape = tuple(self.betas.shape)
            raise ValueError(f"betas must be (T,) float64, got {shape} {self.betas.dtype}")
        if not bool(((self.betas > 0) & (self.betas < 1)).all()):
            raise ValueError(f"betas must lie between 0 and 1, got {self.betas.tolist()}")

    @property
    def num_timesteps(self) -> int:
        """T."""
        return len(self.betas)

    @cached_property
    def alpha_bar(self) -> Tensor:
        """Share of the signal's variance left after each step, (T,) float64."""
        return torch.cumprod(1 - self.betas, dim=0)

    @cached_property
    def _tables(self) -> dict[str, Tensor]:
        before = torch.cat([torch.ones_like(self.betas[:1]), self.alpha_bar[:-1]])
        noise = 1 - self.alpha_bar
        return {
            "signal": self.alpha_bar.sqrt(),
            "noise": noise.sqrt(),
            "from_x0": before.sqrt() * self.betas / noise,
            "from_xt": (1 - self.betas).sqrt() * (1 - before) / noise,
            "variance": self.betas * (1 - before) / noise,
        }

    def _at(self, name: str, t: Tensor, like: Tensor) -> Tensor:
        value = self._tables[name].to(t.device)[t].to(like)
        return value.reshape(-1, *([1] * (like.ndim - 1)))  # (B, 1, ...)

    def scales(self, t: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """Return sqrt(alpha_bar) and sqrt(1 - alpha_bar) at ``t`` (B,), each (B, 1, ...)."""
        return self._at("signal", t, like), self._at("noise", t, like)

    def sample(self, x0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """Return x_t given x_0 and N(0, I) noise, Ho et al. 2020, Eq. 4. All (B, ...)."""
        signal, spread = self.scales(t, x0)
        return signal * x0 + spread * noise

    def posterior(self, x0: Tensor, xt: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean (B, ...) and variance (B, 1, ...) of q(x_{t-1} | x_t, x_0).

        Ho et al. 2020, Eq. 6-7. At ``t = 0`` the mean is ``x0`` and the variance 0.
        """
        mean = self._at("from_x0", t, xt) * x0 + self._at("from_xt", t, xt) * xt
        return mean, self._at("variance", t, xt)

    def prior(self, shape: tuple[int, ...], generator: Generators) -> Tensor:
        """Draw x_T, (B, ...), on the device of ``betas``."""
        return standard_normal(shape, generator).to(self.betas.device)

    def respaced(self, timesteps: Tensor) -> "GaussianProcess":
        """Return the process that visits only ``timesteps`` (K,), ascending.

        Its marginals are those of this process at the kept timesteps, Nichol & Dhariwal 2021,
        Sec. 4: beta_k = 1 - alpha_bar_k / alpha_bar_{k-1}.
        """
        kept = self.alpha_bar[timesteps.to(self.alpha_bar.device)]
        before = torch.cat([torch.ones_like(kept[:1]), kept[:-1]])
        return GaussianProcess(1 - kept / before)
