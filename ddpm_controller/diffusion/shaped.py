"""The forward process whose noise is as it was recorded, and N(0, I) at the end."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ddpm_controller.diffusion.gaussian import GaussianProcess
from ddpm_controller.diffusion.noise import Generators
from ddpm_controller.diffusion.recorded.noise_map import NoiseMap


@dataclass(frozen=True, eq=False)
class ShapedProcess:
    """x_t = signal x_0 + spread M_t(noise), with noise ~ N(0, I) and M_t the recorded-noise map.

    The amounts are those of ``base``; only the shape of the noise differs. A step backwards is one
    of the base noise (``noise_from``, ``renewal``), so that every sampler works as it is. All
    strengths 0 is ``base``.

    Attributes:
        base: The amounts of signal and of noise.
        noise_map: The recorded noise.
        strengths: (T,) float64, how much the map counts at each timestep; never rising, and 0 at
            T - 1, where x_T must be N(0, I).
        is_part: Whether the noisiest timesteps have been left out, so that the last need not be 0.
    """

    base: GaussianProcess
    noise_map: NoiseMap
    strengths: Tensor
    is_part: bool = False

    def __post_init__(self) -> None:
        strengths = self.strengths
        if strengths.shape != (self.base.num_timesteps,) or strengths.dtype != torch.float64:
            raise ValueError(
                f"strengths must be ({self.base.num_timesteps},) float64, one for each timestep, "
                f"got {tuple(strengths.shape)} {strengths.dtype}"
            )
        if not bool(((strengths >= 0) & (strengths <= 1)).all()):
            raise ValueError(f"strengths must lie between 0 and 1, got {strengths.tolist()}")
        if bool((strengths.diff() > 0).any()):
            raise ValueError(f"strengths must never rise with t, got {strengths.tolist()}")
        if strengths[-1] != 0 and not self.is_part:
            raise ValueError(
                f"the last strength must be 0, got {strengths[-1].item()}: sampling begins with "
                "N(0, I)"
            )

    @property
    def num_timesteps(self) -> int:
        """T."""
        return self.base.num_timesteps

    def scales(self, t: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """Return the factors of x_0 and of the shaped noise at ``t`` (B,)."""
        return self.base.scales(t, like)

    def shaped(self, noise: Tensor, t: Tensor) -> Tensor:
        """Return M_t(noise), (B, Tp, Da)."""
        return self._where_shaped(noise, self._at(t, noise).forward(noise), t)

    def sample(self, x0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """Return x_t of x_0 and N(0, I) noise, all (B, Tp, Da)."""
        return self.base.sample(x0, t, self.shaped(noise, t))

    def noise_from(self, xt: Tensor, x0: Tensor, t: Tensor) -> Tensor:
        """Return the N(0, I) noise that makes x_t of x_0, (B, Tp, Da)."""
        shaped = self.base.noise_from(xt, x0, t)
        return self._where_shaped(shaped, self._at(t, shaped).inverse(shaped), t)

    def x0_from(self, xt: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """Return the x_0 of which this N(0, I) noise makes x_t, (B, Tp, Da)."""
        return self.base.x0_from(xt, self.shaped(noise, t), t)

    def renewal(self, t: Tensor, like: Tensor) -> Tensor:
        """Return the share of the base noise that DDPM draws again from ``t`` to ``t - 1``."""
        return self.base.renewal(t, like)

    def log_slope(self, noise: Tensor, t: Tensor) -> Tensor:
        """Return the log slope of the elementwise part of M_t at ``noise``, (B, Tp, Da).

        The colouring's part of the volume is the same for every noise of one ``t``, so a ratio
        of two densities at ``t`` needs no more.
        """
        slope = self._at(t, noise).log_slope(noise)
        return self._where_shaped(torch.zeros_like(noise), slope, t)

    def prior(self, shape: tuple[int, ...], generator: Generators) -> Tensor:
        """Draw x_T, (B, Tp, Da): N(0, I), or shaped by what is left where T - 1 was left out."""
        noise = self.base.prior(shape, generator)
        last = torch.full((shape[0],), self.num_timesteps - 1, device=noise.device)
        return self.shaped(noise, last)

    def respaced(self, timesteps: Tensor) -> "ShapedProcess":
        """Return the process that visits only ``timesteps`` (K,), ascending."""
        kept = self.strengths[timesteps.to(self.strengths.device)]
        return ShapedProcess(self.base.respaced(timesteps), self.noise_map, kept, is_part=True)

    def _at(self, t: Tensor, like: Tensor) -> NoiseMap:
        return self.noise_map.to(like.device).at(self._strength(t))

    def _strength(self, t: Tensor) -> Tensor:
        return self.strengths.to(t.device)[t]

    def _where_shaped(self, plain: Tensor, shaped: Tensor, t: Tensor) -> Tensor:
        """Return ``shaped``, and exactly ``plain`` where the strength is 0."""
        is_plain = (self._strength(t) == 0).reshape(-1, *([1] * (plain.ndim - 1)))
        return torch.where(is_plain.to(plain.device), plain, shaped)


def falling_strengths(num_timesteps: int, full_until: int = 0) -> Tensor:
    """Return strengths of 1 up to ``full_until`` that then fall along half a cosine. (T,) float64.

    Args:
        num_timesteps: T; the last strength is exactly 0.
        full_until: The timestep whose noise is as strong as the recorded one: up to there it has
            its whole shape.

    Raises:
        ValueError: If ``full_until`` leaves no timestep to fall to 0.
    """
    if num_timesteps == 1:
        return torch.zeros(1, dtype=torch.float64)
    if not 0 <= full_until < num_timesteps - 1:
        raise ValueError(
            f"full_until must lie between 0 and T - 2 = {num_timesteps - 2}, got {full_until}"
        )
    steps = torch.arange(num_timesteps, dtype=torch.float64) - full_until
    share = (steps / (num_timesteps - 1 - full_until)).clamp(0.0, 1.0)
    strengths = 0.5 + 0.5 * torch.cos(math.pi * share)
    strengths[-1] = 0.0  # the cosine of pi is -1 only up to rounding
    return strengths


def matching_timestep(base: GaussianProcess, noise_to_signal: float) -> int:
    """Return the timestep whose noise, beside the signal, comes nearest to a recorded one.

    Args:
        base: One schedule for all elements.
        noise_to_signal: Standard deviation of the recorded noise in the units of x_0.

    Raises:
        ValueError: If it is not above 0, or the schedule has one for each element.
    """
    if not noise_to_signal > 0:
        raise ValueError(f"noise_to_signal must be above 0, got {noise_to_signal}")
    if base.betas.ndim != 1:
        raise ValueError(
            f"a matching timestep needs one schedule for all, got {tuple(base.betas.shape)}"
        )
    ratio = 0.5 * (torch.log1p(-base.alpha_bar) - base.alpha_bar.log())
    return int((ratio - math.log(noise_to_signal)).abs().argmin())
