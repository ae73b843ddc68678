"""The forward process of denoising diffusion: Gaussian noise in known amounts."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ddpm_controller.diffusion.forward_process import ForwardProcess
from ddpm_controller.diffusion.noise import Generators, standard_normal

_Scales = tuple[Tensor, Tensor, list[tuple[Tensor, Tensor]]]
"""Signal and spread of every timestep, (T, 1, ...) each, and a pair for each."""


@dataclass(frozen=True, eq=False)
class GaussianProcess:
    """q(x_t | x_0) and q(x_{t-1} | x_t, x_0) for a variance schedule.

    Timesteps count from 0: ``t = 0`` is the least noisy level and ``t = T - 1`` the most, so the
    paper's x_t is our ``t = paper_t - 1``. Coefficients are kept in float64 and cast when used:
    ``1 - alpha_bar`` loses four digits in float32.

    Attributes:
        betas: Variance added at each step, float64: (T,), one schedule for all, or
            (T, B or 1, ...), one for every element of a row, where a schedule is learned.
    """

    betas: Tensor

    def __post_init__(self) -> None:
        if self.betas.ndim == 0 or not len(self.betas) or self.betas.dtype != torch.float64:
            shape = tuple(self.betas.shape)
            raise ValueError(
                f"betas must be float64 of shape (T,) or (T, B or 1, ...), got {shape} "
                f"{self.betas.dtype}"
            )
        if not bool(((self.betas > 0) & (self.betas < 1)).all()):
            wrong = self.betas[~((self.betas > 0) & (self.betas < 1))]
            raise ValueError(
                f"betas must lie between 0 and 1 and be neither, got {len(wrong)} others such as "
                f"{wrong[:5].tolist()}: each timestep adds noise and leaves some signal"
            )

    @classmethod
    def from_alpha_bar(cls, alpha_bar: Tensor) -> "GaussianProcess":
        """Return the process with these shares of signal, (T, ...) float64, falling in t."""
        before = torch.cat([torch.ones_like(alpha_bar[:1]), alpha_bar[:-1]])
        return cls(1 - alpha_bar / before)

    @property
    def num_timesteps(self) -> int:
        """T."""
        return len(self.betas)

    @cached_property
    def alpha_bar(self) -> Tensor:
        """Share of the signal's variance left after each step, float64, shaped as ``betas``."""
        return torch.cumprod(1 - self.betas, dim=0)

    @cached_property
    def posterior_variance(self) -> Tensor:
        """beta~ of q(x_{t-1} | x_t, x_0), 0 at ``t = 0``, float64, shaped as ``betas``."""
        return self._tables["variance"]

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
            "renewal": self.betas / noise,
        }

    @cached_property
    def _scales_as(self) -> dict[tuple[torch.dtype, torch.device, int], _Scales]:
        return {}

    @cached_property
    def _respaced_to(self) -> dict[tuple[int, ...], "GaussianProcess"]:
        return {}

    def at(self, table: Tensor, t: Tensor, like: Tensor) -> Tensor:
        """Return the entries of ``table``, shaped as ``betas``, at ``t`` (B,).

        (B, 1, ...) of one schedule for all, else (B, ...); in ``like``'s type and device.
        """
        if table.ndim == 1:
            value = table.to(t.device)[t].to(like)
            return value.reshape(-1, *([1] * (like.ndim - 1)))  # (B, 1, ...)
        rows = torch.arange(table.shape[1], device=t.device)
        return table.to(t.device)[t, rows].to(like)  # (B, ...)

    def scales(self, t: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """Return sqrt(alpha_bar) and sqrt(1 - alpha_bar) at ``t`` (B,), each (B, 1, ...)."""
        tables = self._tables
        if self.betas.ndim > 1 or self.betas.requires_grad:
            return self.at(tables["signal"], t, like), self.at(tables["noise"], t, like)
        # Asked at every step of every plan, and the same each time.
        key = like.dtype, like.device, like.ndim
        if key not in self._scales_as:
            shape = -1, *[1] * (like.ndim - 1)
            signal, noise = (tables[name].to(like).reshape(shape) for name in ("signal", "noise"))
            rows = range(self.num_timesteps)
            of_one = [(signal[row : row + 1], noise[row : row + 1]) for row in rows]
            self._scales_as[key] = signal, noise, of_one
        signal, noise, of_one = self._scales_as[key]
        return of_one[int(t)] if t.shape == (1,) else (signal[t], noise[t])

    def sample(self, x0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """Return x_t given x_0 and N(0, I) noise, Ho et al. 2020, Eq. 4. All (B, ...)."""
        signal, spread = self.scales(t, x0)
        return signal * x0 + spread * noise

    def noise_from(self, xt: Tensor, x0: Tensor, t: Tensor) -> Tensor:
        """Return the noise that makes x_t of x_0, (B, ...)."""
        signal, spread = self.scales(t, xt)
        return (xt - signal * x0) / spread

    def x0_from(self, xt: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """Return the x_0 of which this noise makes x_t, (B, ...)."""
        signal, spread = self.scales(t, xt)
        return (xt - spread * noise) / signal

    def renewal(self, t: Tensor, like: Tensor) -> Tensor:
        """Return beta_t / (1 - alpha_bar_t), the share of the noise that DDPM draws again."""
        return self.at(self._tables["renewal"], t, like)

    def posterior(self, x0: Tensor, xt: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean (B, ...) and variance (B, 1, ...) of q(x_{t-1} | x_t, x_0).

        Ho et al. 2020, Eq. 6-7. At ``t = 0`` the mean is ``x0`` and the variance 0.
        """
        tables = self._tables
        mean = self.at(tables["from_x0"], t, xt) * x0 + self.at(tables["from_xt"], t, xt) * xt
        return mean, self.at(tables["variance"], t, xt)

    def prior(self, shape: tuple[int, ...], generator: Generators) -> Tensor:
        """Draw x_T, (B, ...), on the device of ``betas``."""
        return standard_normal(shape, generator).to(self.betas.device)

    def respaced(self, timesteps: Tensor) -> "GaussianProcess":
        """Return the process that visits only ``timesteps`` (K,), ascending.

        Its marginals are those of this process at the kept timesteps, Nichol & Dhariwal 2021,
        Sec. 4: beta_k = 1 - alpha_bar_k / alpha_bar_{k-1}.
        """
        kept = tuple(timesteps.tolist())
        found = self._respaced_to.get(kept)
        if found is None:
            alpha_bar = self.alpha_bar[timesteps.to(self.betas.device)]
            found = GaussianProcess.from_alpha_bar(alpha_bar)
            if not self.betas.requires_grad:  # a gradient belongs to one pass
                self._respaced_to[kept] = found
        return found


def gaussian_of(process: ForwardProcess) -> GaussianProcess:
    """Return the process itself, or the Gaussian one that a shaped process has as its ``base``.

    Raises:
        ValueError: If there is neither.
    """
    base = getattr(process, "base", process)
    if not isinstance(base, GaussianProcess):
        raise ValueError(f"{type(process).__name__} is not Gaussian and has no Gaussian base")
    return base
