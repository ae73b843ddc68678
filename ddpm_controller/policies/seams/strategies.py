"""How a plan is joined to the one before: strategies that any denoised chunk can use.

A strategy gets a ``Sampling``, everything that a sampler takes, and the chunk before; it returns
the sample. It knows no network and no observation, so whatever denoises chunks has them all.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np
import torch
from torch import Tensor

from ddpm_controller.diffusion.chain import PredictX0
from ddpm_controller.diffusion.forward_process import ForwardProcess
from ddpm_controller.diffusion.inpainting import (
    MaskSchedule,
    prefix_weights,
    replaced,
    rtc_guided,
)
from ddpm_controller.diffusion.samplers import Sampler
from ddpm_controller.diffusion.warm_start import WarmStart, timesteps_below
from ddpm_controller.policy import EXPECTED_DELAY

WITHOUT_PREFIX = "rtc"
"""Strategy of a network that is given no rows, where its checkpoint names none."""


@dataclass(frozen=True)
class SeamSettings:
    """How a plan is joined to the one before.

    Attributes:
        strategy: Key of ``STRATEGIES``; in a recipe empty for ``prefix`` where rows are given in
            training, and ``rtc`` where none are.
        warm_level: Where a warm start begins, as a share of T - 1; 1 keeps nothing.
        expected_delay_s: Time that a plan takes: what the robot does meanwhile is settled. None
            (of a checkpoint 0 too): as plans of the run have taken.
        overlap_s: Time behind this in which the previous chunk counts less and less; None: as
            far as it reaches.
        schedule: How its weight falls there.
        beta: Largest step of real-time chunking.
        candidates: Chunks of bidirectional decoding among which the most coherent is taken.
        decay: Decay of their rows' weights, per row.
        ensemble_rate: m of temporal ensembling, per plan; the oldest plan counts most.
        surprise: Where a joint departs so much from what was expected, in units of
            ``surprise_scale``, the previous chunk is forgotten; 0: never.
        fade_s: Time in which the controller fades one chunk into another; until then the robot is
            expected between the two.
        surprise_scale: One per joint in SI units, see ``expected_scale``; empty: 2 % of half the
            range of the actions.
    """

    strategy: str = ""
    warm_level: float = 0.45
    expected_delay_s: float | None = None
    overlap_s: float | None = None
    schedule: MaskSchedule = "exp"
    beta: float = 5.0
    candidates: int = 16
    decay: float = 0.5
    ensemble_rate: float = 0.01
    surprise: float = 0.0
    fade_s: float = 0.2
    surprise_scale: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        known = self.strategy in STRATEGIES or not self.strategy
        self._require("strategy", known, f"must be one of {sorted(STRATEGIES)}")
        schedules = get_args(MaskSchedule)
        self._require("schedule", self.schedule in schedules, f"must be one of {schedules}")
        self._require("warm_level", 0 < self.warm_level <= 1, "must be above 0 and at most 1")
        self._require("decay", 0 < self.decay <= 1, "must be above 0 and at most 1")
        self._require("candidates", self.candidates >= 1, "must be at least 1")
        for name in ("expected_delay_s", "surprise", "fade_s", "ensemble_rate"):
            value = getattr(self, name)
            inside = value is None or 0 <= value < float("inf")
            self._require(name, inside, "must be finite and not below 0")
        self._require("beta", 0 < self.beta < float("inf"), "must be finite and above 0")
        inside = self.overlap_s is None or self.overlap_s >= 0
        self._require("overlap_s", inside, "must not be below 0")
        scales = self.surprise_scale
        self._require("surprise_scale", all(each > 0 for each in scales), "must be above 0")

    def chosen_for(self, prefix_rows: int) -> "SeamSettings":
        """Return the settings with a strategy, for a network that is given so many rows."""
        return replace(self, strategy="prefix" if prefix_rows else WITHOUT_PREFIX)

    def _require(self, name: str, fulfilled: bool, rule: str) -> None:
        if not fulfilled:
            raise ValueError(f"seam: {name} {rule}, got {getattr(self, name)!r}")

    @property
    def remembers(self) -> bool:
        """Whether a plan needs the one before it."""
        return self.strategy != "switch"

    @property
    def needs_gradient(self) -> bool:
        """Whether the denoiser is differentiated, which only torch can."""
        return self.strategy == "rtc_exact"

    @property
    def num_candidates(self) -> int:
        """Samples that are drawn for one plan."""
        return self.candidates if self.strategy == "bidirectional" else 1

    @property
    def delay_of_each_plan(self) -> dict[str, np.ndarray]:
        """What a memory has for the delay of each plan; nothing where it is set once for all."""
        return {EXPECTED_DELAY: np.array(0.0)} if self.expected_delay_s is None else {}

    @property
    def relative_cost_anew(self) -> float:
        """Time of a plan that starts afresh over that of one that continues, about."""
        return _COST_ANEW.get(self.strategy, 1.0) / self.num_candidates


@dataclass(frozen=True, eq=False)
class Sampling:
    """A sample about to be drawn.

    Attributes:
        sampler: Sampler of ``diffusion.samplers``.
        process: Its forward process.
        predict_x0: The denoiser, bound to the observations.
        shape: (B, Tp, Da).
        generators: Per candidate and row: (N, B), the first are those of a plain sample.
        timesteps: (K,).
        in_range: Holds an estimate of x_0 in the range of the actions.
        prefix_rows: First rows, at most, that the denoiser was trained to be given; 0: none.
        after: (rows (B, Tp, Da), which (B, Tp) bool) -> the same, with these rows known: they are
            in the sample exactly, and the denoiser is given them at every step.
    """

    sampler: Sampler
    process: ForwardProcess
    predict_x0: PredictX0
    shape: tuple[int, ...]
    generators: Sequence[Sequence[torch.Generator]]
    timesteps: Tensor
    in_range: Callable[[PredictX0], PredictX0] = lambda predict_x0: predict_x0
    prefix_rows: int = 0
    after: "Callable[[Tensor, Tensor], Sampling] | None" = None

    def drawn(self, candidate: int = 0) -> Tensor:
        """Return the sample, (B, Tp, Da)."""
        generators = self.generators[candidate]
        return self.sampler(self.process, self.predict_x0, self.shape, generators, self.timesteps)


@dataclass(frozen=True, eq=False)
class Target:
    """The chunk before, for the rows of a batch that have one.

    Attributes:
        rows: (B, Tp, Da) normalized.
        covered: (B,), rows that it covers.
        counts: (B, Tp), plans that have gone into it.
        delays_s: (B,), time that each plan is expected to take.
        first: Row of the newest observation, n_obs_steps - 1.
        period_s: Between rows.
    """

    rows: Tensor
    covered: Tensor
    counts: Tensor
    delays_s: Tensor
    first: int
    period_s: float

    def weights(self, settings: SeamSettings) -> Tensor:
        """Return how much each row is held to it, (B, Tp, 1)."""
        horizon = self.rows.shape[1]
        rows = []
        each = zip(self.settled().tolist(), self.covered.tolist(), strict=True)
        for frozen, covered in each:
            end = min(horizon, covered)
            if settings.overlap_s is not None:
                end = min(end, frozen + _rows(settings.overlap_s, self.period_s))
            rows.append(prefix_weights(horizon, min(frozen, end), end, settings.schedule))
        return torch.stack(rows)[:, :, None]

    def settled(self) -> Tensor:
        """Return how many first rows are settled while a plan is made, (B,), covered or not.

        With those before the newest observation, which is row ``first``, and the rows on both
        sides of the moment of take-over: position and velocity.
        """
        delays_s = self.delays_s.tolist()
        return torch.tensor([self.first + _rows(each, self.period_s) + 2 for each in delays_s])

    def holds(self) -> Tensor:
        """Return where a row is settled that the chunk before covers, (B, Tp) bool."""
        index = torch.arange(self.rows.shape[1])
        rows = torch.minimum(self.settled(), self.covered.cpu())
        return (index[None] < rows[:, None]).to(self.rows.device)

    def covers(self) -> Tensor:
        """Return 1 where it has a row and 0 behind, (B, Tp)."""
        index = torch.arange(self.rows.shape[1], device=self.rows.device)
        return (index[None] < self.covered[:, None]).to(self.rows)


def _rows(time_s: float, period_s: float) -> int:
    """Rows that begin within a time; what is a rounding of stamps short of one counts."""
    return int((time_s + 1e-6) / period_s)


Strategy = Callable[[Sampling, Target, SeamSettings], Tensor]
"""A sample (B, Tp, Da) that continues from a target."""


def switch(sampling: Sampling, target: Target, settings: SeamSettings) -> Tensor:
    """Return a sample that knows nothing of the chunk before."""
    return sampling.drawn()


def warm(sampling: Sampling, target: Target, settings: SeamSettings) -> Tensor:
    """Return the chunk before, partly noised and denoised again."""
    return _warmed(sampling, target, settings).drawn()


def replace_prefix(sampling: Sampling, target: Target, settings: SeamSettings) -> Tensor:
    """Return a sample that begins with the chunk before, exactly while a plan is made."""
    return _held(sampling, target, settings).drawn()


def warm_replace(sampling: Sampling, target: Target, settings: SeamSettings) -> Tensor:
    """Return the chunk before, denoised again behind its frozen beginning."""
    return _held(_warmed(sampling, target, settings), target, settings).drawn()


def prefix(sampling: Sampling, target: Target, settings: SeamSettings) -> Tensor:
    """Return a sample that begins with the settled rows of the chunk before, given clean.

    Black et al. 2025 (training-time RTC, arXiv:2512.05964): one plain pass a step. Rows that are
    settled beyond those of the training are held as by ``replace``, without a weight behind.

    Raises:
        ValueError: If the denoiser was not trained to be given rows.
    """
    if sampling.after is None:
        raise ValueError("seam 'prefix' needs a denoiser that was trained with prefix_rows")
    settled = target.holds()
    known = settled.clone()
    known[:, sampling.prefix_rows :] = False
    after = sampling.after(target.rows, known)
    if not torch.equal(known, settled):
        held = replaced(after.predict_x0, target.rows, settled.to(target.rows)[:, :, None])
        after = replace(after, predict_x0=held)
    return after.drawn()


def rtc(sampling: Sampling, target: Target, settings: SeamSettings) -> Tensor:
    """Return a sample guided to the chunk before, with a Jacobian of 1."""
    return _guided(sampling, target, settings, exact=False).drawn()


def rtc_exact(sampling: Sampling, target: Target, settings: SeamSettings) -> Tensor:
    """Return a sample guided to the chunk before, with the true Jacobian."""
    return _guided(sampling, target, settings, exact=True).drawn()


def ensemble(sampling: Sampling, target: Target, settings: SeamSettings) -> Tensor:
    """Return the mean of all plans for each moment, Zhao et al. 2023 (ACT), Alg. 2.

    Weights exp(-m i) with i = 0 for the oldest, so a mean of n plans that is remembered weighs
    1 + ... + exp(-m (n - 1)) and the newest plan exp(-m n).
    """
    drawn = sampling.drawn()
    ratio = torch.exp(torch.tensor(-settings.ensemble_rate, dtype=torch.float64))
    counts = target.counts.double()
    # The sum of a geometric series, that of equal weights too.
    before = counts if settings.ensemble_rate == 0 else (1 - ratio**counts) / (1 - ratio)
    newest = ratio**counts
    share = (newest / (before + newest))[:, :, None].to(drawn)
    return target.rows + share * (drawn - target.rows)


def bidirectional(sampling: Sampling, target: Target, settings: SeamSettings) -> Tensor:
    """Return of several samples the one nearest to the chunk before.

    The backward coherence of Liu et al. 2024 (BID, arXiv:2408.17355), Eq. 4: distances of rows
    weighted by decay^row. Their forward contrast needs a weaker checkpoint and is left out.
    """
    every = range(settings.candidates)
    drawn = torch.stack([sampling.drawn(candidate) for candidate in every])  # (N, B, Tp, Da)
    steps = torch.arange(drawn.shape[2], device=drawn.device) - target.first
    weights = settings.decay ** steps.double() * (steps >= 0) * target.covers()  # (B, Tp)
    distance = (drawn - target.rows).norm(dim=-1)  # (N, B, Tp)
    nearest = (weights * distance).sum(-1).argmin(0)  # (B,)
    return drawn[nearest, torch.arange(drawn.shape[1], device=drawn.device)]


def _warmed(sampling: Sampling, target: Target, settings: SeamSettings) -> Sampling:
    process = sampling.process
    kept = timesteps_below(sampling.timesteps, process.num_timesteps, settings.warm_level)
    return replace(sampling, process=WarmStart(process, target.rows), timesteps=kept)


def _held(sampling: Sampling, target: Target, settings: SeamSettings) -> Sampling:
    held = replaced(sampling.predict_x0, target.rows, target.weights(settings))
    return replace(sampling, predict_x0=held)


def _guided(sampling: Sampling, target: Target, settings: SeamSettings, exact: bool) -> Sampling:
    weights = target.weights(settings)
    guided = rtc_guided(
        sampling.predict_x0, sampling.process, target.rows, weights, settings.beta, exact
    )
    return replace(sampling, predict_x0=sampling.in_range(guided))


_COST_ANEW = {"rtc_exact": 1 / 3}
"""What is drawn without a backward pass for each step, of the time of what is drawn with it."""

STRATEGIES: dict[str, Strategy] = {
    "switch": switch,
    "warm": warm,
    "replace": replace_prefix,
    "warm_replace": warm_replace,
    "prefix": prefix,
    "rtc": rtc,
    "rtc_exact": rtc_exact,
    "ensemble": ensemble,
    "bidirectional": bidirectional,
}
