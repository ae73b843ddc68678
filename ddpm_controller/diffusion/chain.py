"""The way back from noise that all samplers share: which timesteps, and what one step is."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ddpm_controller.diffusion.forward_process import ForwardProcess
from ddpm_controller.diffusion.noise import Generators, standard_normal

PredictX0 = Callable[[Tensor, Tensor], Tensor]
"""(xt (B, ...), t (B,)) -> x0 (B, ...). Clipping and guidance wrap it."""


@dataclass(frozen=True, eq=False)
class Chain:
    """The timesteps that a sampler visits, numbered 0 (least noisy) to K - 1.

    Every step is written through the noise of x_t: given an x_0, ``noise_from`` gives the noise
    of x_t, and the next x is made of the same x_0 and of that noise or some of it. So whatever
    noise a process has, and however much of it each element gets, the samplers are the same.

    Attributes:
        process: Visits the kept timesteps only.
        timesteps: (K,), what they are called in training; the denoiser is asked there.
    """

    process: ForwardProcess
    timesteps: Tensor

    @cached_property
    def _wholes(self) -> dict[tuple[int, int, torch.device], Tensor]:
        return {}

    @classmethod
    def of(
        cls, process: ForwardProcess, shape: tuple[int, ...], timesteps: Tensor | None
    ) -> "Chain":
        """Return the chain through ``timesteps`` (K,) of ``process``; None visits every one.

        Raises:
            ValueError: If the timesteps are not int64, ascending and below T, or the process is
                for rows of another shape than that of the sample, (B, ...).
        """
        if timesteps is None:
            chain = cls(process, torch.arange(process.num_timesteps))
        else:
            _refuse_timesteps(timesteps, process.num_timesteps)
            chain = cls(process.respaced(timesteps), timesteps)
        chain._refuse_shape(shape)
        return chain

    def __len__(self) -> int:
        return len(self.timesteps)

    def start(self, shape: tuple[int, ...], generator: Generators) -> Tensor:
        """Draw the x that the way back begins with, (B, ...)."""
        return self.process.prior(shape, generator)

    def ask(self, predict_x0: PredictX0, xt: Tensor, index: int) -> Tensor:
        """Return the denoiser's x_0 of x at ``index``, (B, ...).

        Raises:
            ValueError: If the answer has another shape or is not finite.
        """
        t = int(self.timesteps[index])
        x0 = predict_x0(xt, self._whole(t, xt))
        if x0.shape != xt.shape:
            raise ValueError(
                f"predict_x0 must answer in the shape of xt, {tuple(xt.shape)}, "
                f"got {tuple(x0.shape)} at t = {t}"
            )
        # A sum is quicker than a look at each: it is finite only where all are.
        if not math.isfinite(x0.sum()) and (wrong := int((~torch.isfinite(x0)).sum())):
            raise ValueError(
                f"predict_x0 must answer finite numbers: {wrong} of {x0.numel()} are not at "
                f"t = {t}, where x_t reaches {float(xt.abs().max()):.3g}; look at the network's "
                "weights and at its input"
            )
        return x0

    def step(
        self,
        xt: Tensor,
        x0: Tensor,
        index: int,
        kept: Tensor | float = 1.0,
        fresh: Tensor | None = None,
        plain: Tensor | None = None,
    ) -> Tensor:
        """Return x at ``index - 1``, made of x_0 and ``kept`` times the noise of x_t.

        Song et al. 2021 (DDIM), Eq. 12; ``fresh`` (B, ...) is added to the noise, which is what
        x_t has beside ``plain``, or beside x_0. At ``index = 0`` it is x_0 itself.
        """
        if index == 0:
            return x0
        noise = self.process.noise_from(xt, x0 if plain is None else plain, self._at(index, xt))
        if fresh is not None:
            noise = kept * noise + fresh
        return self.process.sample(x0, self._at(index - 1, xt), noise)

    def renewal(self, index: int, like: Tensor) -> Tensor:
        """Return the share of the noise that DDPM draws again from ``index``, float64."""
        return self.process.renewal(self._at(index, like), _exact(like))

    def spread(self, index: int, like: Tensor) -> Tensor:
        """Return the amount of noise in x at ``index``, float64."""
        return self.process.scales(self._at(index, like), _exact(like))[1]

    def log_snr(self, index: int, like: Tensor) -> Tensor:
        """Return log(signal / spread) at ``index``, the solvers' lambda, float64.

        The solvers divide by its small differences, which float32 does not hold.
        """
        signal, spread = self.process.scales(self._at(index, like), _exact(like))
        return signal.log() - spread.log()

    def _at(self, index: int, like: Tensor) -> Tensor:
        return self._whole(index, like)

    def _whole(self, number: int, like: Tensor) -> Tensor:
        """Return a number for each row of ``like``, (B,) int64; nothing may write into it."""
        key = number, like.shape[0], like.device
        if key not in self._wholes:
            self._wholes[key] = torch.full(key[1:2], number, device=like.device)
        return self._wholes[key]

    def _refuse_shape(self, shape: tuple[int, ...]) -> None:
        rows = torch.zeros(shape[0], *[1] * (len(shape) - 1))
        try:
            wanted = self.process.scales(self._at(0, rows), rows)[0].shape
        except IndexError as error:
            raise ValueError(f"the process is not for {shape[0]} rows: {error}") from error
        pairs = zip(wanted, shape, strict=False)
        if len(wanted) != len(shape) or any(each not in (1, size) for each, size in pairs):
            raise ValueError(
                f"shape {shape} does not fit the process, whose schedule is for {tuple(wanted)}"
            )


def fresh_noise(shape: tuple[int, ...], generator: Generators, like: Tensor) -> Tensor:
    """Draw N(0, I) on the device of ``like``."""
    return standard_normal(shape, generator).to(like.device)


def _exact(like: Tensor) -> Tensor:
    """Nothing but a number of dimensions, a device and float64."""
    return torch.empty([1] * like.ndim, dtype=torch.float64, device=like.device)


def _refuse_timesteps(timesteps: Tensor, num_timesteps: int) -> None:
    if timesteps.ndim != 1 or not len(timesteps) or timesteps.dtype != torch.int64:
        raise ValueError(
            f"timesteps must be (K,) int64 with K at least 1, got {tuple(timesteps.shape)} "
            f"{timesteps.dtype}"
        )
    inside = bool((timesteps[0] >= 0) & (timesteps[-1] < num_timesteps))
    if not inside or bool((timesteps.diff() <= 0).any()):
        raise ValueError(
            f"timesteps must ascend without repeats from 0 or more to T - 1 = {num_timesteps - 1} "
            f"or less, got {timesteps.tolist()}"
        )
