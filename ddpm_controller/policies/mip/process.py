"""How MIP hides a chunk: nothing is left of it, or most of it under a little noise."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ddpm_controller.diffusion.forward_process import ForwardProcess
from ddpm_controller.diffusion.gaussian import GaussianProcess
from ddpm_controller.diffusion.noise import Generators

_HARDLY_ANY = 1e-6
"""Stands for a signal of 0 where its logarithm is asked for."""


@dataclass(frozen=True, eq=False)
class MipProcess:
    """x_t = signal x_0 + (1 - signal) noise, and a way back that begins at the mean of the noise.

    With the levels signal 0 and t* the deterministic sampler ``ddim`` is MIP (Pan et al. 2025,
    arXiv:2512.01809): it asks for a chunk given 0, and then given t* times that chunk.

    Attributes:
        signal: (K,) float64, falling; the last is 0.
    """

    signal: Tensor

    @property
    def num_timesteps(self) -> int:
        """T, or K where timesteps have been left out."""
        return len(self.signal)

    @property
    def base(self) -> GaussianProcess:
        """Its amounts of noise, for ``gaussian_of``."""
        signal = self.signal.clamp(min=_HARDLY_ANY)
        return GaussianProcess.from_alpha_bar(signal**2 / (signal**2 + (1 - signal) ** 2))

    def scales(self, t: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """Return the factors of x_0 and of the noise at ``t`` (B,), each (B, 1, ...)."""
        signal = self.signal.to(t.device)[t].reshape(-1, *[1] * (like.ndim - 1))
        return signal.to(like), (1 - signal).to(like)

    def sample(self, x0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """Return x_t of x_0 and noise, all (B, ...)."""
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
        """Return the share of the noise that DDPM would draw again from ``t`` to ``t - 1``."""
        return self.base.renewal(t, like)

    def prior(self, shape: tuple[int, ...], generator: Generators) -> Tensor:
        """Return what the way back begins with, 0, (B, ...); nothing is drawn."""
        return torch.zeros(shape, device=self.signal.device)

    def respaced(self, timesteps: Tensor) -> "MipProcess":
        """Return the process that visits only ``timesteps`` (K,), ascending."""
        return MipProcess(self.signal[timesteps.to(self.signal.device)])


class MipLevels(nn.Module):
    """The process of every condition, as ``PolicyProcess`` has it for a Diffusion Policy.

    Args:
        signal: t*, the share of the chunk that the second question is given.

    Attributes:
        fixed: Counts the timesteps.
        schedule: None; nothing of it is learned.
    """

    def __init__(self, signal: float) -> None:
        super().__init__()
        self._process = MipProcess(torch.tensor([signal, 0.0], dtype=torch.float64))
        self.fixed = self._process.base
        self.schedule = None

    def forward(self, cond: Tensor) -> ForwardProcess:
        """Return the process for the rows of ``cond`` (B, Dc)."""
        return self._process
