"""The seam between what adds noise and what removes it.

Fixed, learned and recorded-noise processes offer the same few functions, so every sampler, every
training target and the bound serve all of them.
"""

from typing import Protocol

from torch import Tensor

from ddpm_controller.diffusion.noise import Generators


class ForwardProcess(Protocol):
    """x_t as an exactly invertible function of x_0 and N(0, I) noise, for every ``t`` (B,).

    Where a process depends on the observation it is already bound to one, row by row.
    """

    @property
    def num_timesteps(self) -> int:
        """T."""
        ...

    def scales(self, t: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """Return the factors of x_0 and of the (shaped) noise in x_t, both broadcast to it."""
        ...

    def sample(self, x0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """Return x_t of x_0 and noise, all (B, ...)."""
        ...

    def noise_from(self, xt: Tensor, x0: Tensor, t: Tensor) -> Tensor:
        """Return the noise that makes x_t of x_0: what ``sample`` is to be given for it."""
        ...

    def x0_from(self, xt: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """Return the x_0 of which this noise makes x_t."""
        ...

    def renewal(self, t: Tensor, like: Tensor) -> Tensor:
        """Return the share of the noise's variance that DDPM draws again from ``t`` to ``t - 1``.

        beta_t / (1 - alpha_bar_t) = beta~_t / (1 - alpha_bar_{t-1}); 1 at ``t = 0``.
        """
        ...

    def prior(self, shape: tuple[int, ...], generator: Generators) -> Tensor:
        """Draw x_T, (B, ...)."""
        ...

    def respaced(self, timesteps: Tensor) -> "ForwardProcess":
        """Return the process that visits only ``timesteps`` (K,), ascending, as 0 .. K - 1."""
        ...
