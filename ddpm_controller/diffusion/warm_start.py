"""Denoising that begins with a guess and not with noise alone."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ddpm_controller.diffusion.forward_process import ForwardProcess
from ddpm_controller.diffusion.gaussian import GaussianProcess, gaussian_of
from ddpm_controller.diffusion.noise import Generators, standard_normal


@dataclass(frozen=True, eq=False)
class WarmStart:
    """A forward process whose prior is a guess with the noise of the last timestep visited.

    Meng et al. 2022 (SDEdit), Alg. 1: give a sampler this process and ``timesteps_below``, and
    it starts with x_k0 of the guess. The nearer k0 to 0, the more of the guess is kept.

    Attributes:
        process: The forward process that was trained with.
        guess: (B, ...) as x_0, for the rows of the sample.
    """

    process: ForwardProcess
    guess: Tensor

    @property
    def num_timesteps(self) -> int:
        """T, or K where timesteps have been left out."""
        return self.process.num_timesteps

    @property
    def base(self) -> GaussianProcess:
        """Its amounts of noise, for ``gaussian_of``."""
        return gaussian_of(self.process)

    def scales(self, t: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """Return the factors of x_0 and of the noise at ``t`` (B,)."""
        return self.process.scales(t, like)

    def sample(self, x0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """Return x_t of x_0 and noise, all (B, ...)."""
        return self.process.sample(x0, t, noise)

    def noise_from(self, xt: Tensor, x0: Tensor, t: Tensor) -> Tensor:
        """Return the noise that makes x_t of x_0, (B, ...)."""
        return self.process.noise_from(xt, x0, t)

    def x0_from(self, xt: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """Return the x_0 of which this noise makes x_t, (B, ...)."""
        return self.process.x0_from(xt, noise, t)

    def renewal(self, t: Tensor, like: Tensor) -> Tensor:
        """Return the share of the noise that DDPM draws again from ``t`` to ``t - 1``."""
        return self.process.renewal(t, like)

    def prior(self, shape: tuple[int, ...], generator: Generators) -> Tensor:
        """Draw x of the guess at the last timestep, (B, ...).

        Raises:
            ValueError: If the guess has another shape.
        """
        if tuple(self.guess.shape) != tuple(shape):
            raise ValueError(f"the guess must be {tuple(shape)}, got {tuple(self.guess.shape)}")
        noise = standard_normal(shape, generator).to(self.guess)
        last = torch.full((shape[0],), self.num_timesteps - 1, device=noise.device)
        return self.process.sample(self.guess, last, noise)

    def respaced(self, timesteps: Tensor) -> "WarmStart":
        """Return the process that visits only ``timesteps`` (K,), ascending, from the guess."""
        return WarmStart(self.process.respaced(timesteps), self.guess)


def timesteps_below(timesteps: Tensor, num_timesteps: int, level: float) -> Tensor:
    """Return those of a chain that are at or below a level k0, at least the first. (K',) int64.

    Args:
        timesteps: (K,) ascending.
        num_timesteps: T.
        level: k0 as a share of T - 1.

    Raises:
        ValueError: If the level is not in (0, 1].
    """
    if not 0.0 < level <= 1.0:
        raise ValueError(f"level must be above 0 and at most 1, got {level}")
    kept = timesteps[timesteps <= level * (num_timesteps - 1)]
    return kept if len(kept) else timesteps[:1]
