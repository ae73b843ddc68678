"""THE seam: everything that thinks turns a window of observations into a plan."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np

from ddpm_controller.types import ActionSpec, Memory, Observation, Plan, StreamSpec

Window = Sequence[Observation]
"""The last ``n_obs_steps`` observations, oldest first, ``action_spec.period_s`` apart."""

EXPECTED_DELAY = "expected_delay_s"
"""In a memory: time that the plan to make will take, s, as plans of the run have taken; where a
policy has it, it goes before its setting ``expected_delay_s``."""
DEPARTURE_UNIT = 0.02
"""Unit of a departure from a plan as a share of half the range of the actions, where none is
given."""
SET_FOR_EACH_PLAN = ("plan_number", "num_inference_steps", EXPECTED_DELAY)
"""Keys of a memory whose numbers are set when a plan is asked for, where a policy has them."""


@dataclass(frozen=True)
class PlanSettings:
    """How a checkpoint is run.

    Attributes:
        n_action_steps: Rows of a chunk that are sent to the robot; None: as in the checkpoint.
        device: Torch device.
        overrides: Settings of its system in place of the checkpoint's, by name, as
            ``PolicyFacts.settings`` has them; the system checks them.
        engine: What computes the denoiser's answers, a key of ``inference.engines.ENGINES``, or
            ``auto``: the fastest that is installed and equal to torch.
    """

    n_action_steps: int | None = None
    device: str = "cpu"
    overrides: Mapping[str, float | str] = field(default_factory=dict)
    engine: str = "torch"


def overrides_from(words: Sequence[str]) -> dict[str, float | str]:
    """Return the settings of ``name=value`` words.

    Raises:
        ValueError: If a word has another form, or a name repeats.
    """
    found: dict[str, float | str] = {}
    for word in words:
        name, sign, value = (part.strip() for part in word.partition("="))
        if not (name and sign and value):
            raise ValueError(f"an override must be name=value, as sampler=ddpm, got {word!r}")
        if name in found:
            raise ValueError(f"override {name!r} is given twice: {found[name]!r} and {value!r}")
        found[name] = value
    return found


def words_from(overrides: Mapping[str, float | str]) -> list[str]:
    """Return the ``name=value`` words of overrides, the reverse of ``overrides_from``."""
    return [f"{name}={value}" for name, value in overrides.items()]


@dataclass(frozen=True)
class TrainingRange:
    """Where the commanded joints were in training, (Da,) each, rad or m.

    Attributes:
        state_low: Lowest measured position.
        state_high: Highest.
        action_low: Lowest commanded position.
        action_high: Highest.
    """

    state_low: np.ndarray
    state_high: np.ndarray
    action_low: np.ndarray
    action_high: np.ndarray


def _equal_cost(window: Window, memory: Memory) -> float:
    return 1.0


@dataclass(frozen=True, eq=False)
class PolicyFacts:
    """All that the runtime may ask of a policy; what a system does not have keeps its default.

    Attributes:
        streams: What it observes.
        action_spec: What its chunks command.
        n_obs_steps: Observations of a window.
        checkpoint_hash: Digest of the checkpoint; empty without one.
        settings: Every setting of its system, by name, as it is run.
        num_inference_steps: Denoising steps of a plan; 0 where there are none.
        expected_delay_s: Time that a plan is expected to take; None: as plans of the run have
            taken.
        replan_period_s: Longest time between two requests for a plan that it is made for, as of a
            feedback law; infinite: as the deployment has it.
        remembers_plans: Whether a plan depends on the ones before it.
        memory_kind: Name of its memory; a policy with an equal name can continue with it. Empty
            when nothing but a seed and the plan before survives.
        maskable: Streams without which it can plan; it looks at ``Observation.masked``.
        goal_ranges: Smallest and largest value in training of every goal that it takes; it
            refuses goals outside.
        training_range: Where the commanded joints were in training; None where that is not known.
        out_of_distribution_limit: Distance above which an observation is out of distribution; NaN
            where none was fitted.
        text: Facts that people should know, in one line.
        warning: Fault of the checkpoint; empty when there is none.
        warm_up: Window of trial plans before the first real one; empty: ``warm_up_window`` makes
            one.
        relative_cost: Window, memory -> time of a plan over that of one that continues the plan
            before, about.
        engine: What computes the denoiser's answers.
        engine_text: Why this one, in one line.

    Raises:
        ValueError: If a number is out of range, or a name is not that of a stream.
    """

    streams: tuple[StreamSpec, ...]
    action_spec: ActionSpec
    n_obs_steps: int
    checkpoint_hash: str = ""
    settings: Mapping[str, float | str] = field(default_factory=dict)
    num_inference_steps: int = 0
    expected_delay_s: float | None = None
    replan_period_s: float = math.inf
    remembers_plans: bool = False
    memory_kind: str = ""
    maskable: tuple[str, ...] = ()
    goal_ranges: Mapping[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    training_range: TrainingRange | None = None
    out_of_distribution_limit: float = math.nan
    text: str = ""
    warning: str = ""
    warm_up: Window = ()
    relative_cost: Callable[[Window, Memory], float] = _equal_cost
    engine: str = "torch"
    engine_text: str = ""

    def __post_init__(self) -> None:
        if self.n_obs_steps < 1 or self.num_inference_steps < 0:
            raise ValueError(
                "n_obs_steps must be at least 1 and num_inference_steps at least 0, got "
                f"{self.n_obs_steps} and {self.num_inference_steps}"
            )
        if not self.replan_period_s > 0:
            raise ValueError(f"replan_period_s must be above 0, got {self.replan_period_s}")
        if len(self.warm_up) not in (0, self.n_obs_steps):
            raise ValueError(
                f"warm_up must have n_obs_steps = {self.n_obs_steps} observations, got "
                f"{len(self.warm_up)}"
            )
        names = {stream.name for stream in self.streams}
        if unknown := sorted({*self.maskable, *self.goal_ranges} - names):
            raise ValueError(
                f"maskable and goal_ranges must name streams of {sorted(names)}, got {unknown}"
            )

    @property
    def warm_up_window(self) -> Window:
        """``warm_up``, or else a window in the middle of the ranges that are known."""
        if self.warm_up:
            return self.warm_up
        values = {stream.name: self._resting(stream) for stream in self.streams}
        first, period_s = 1 - self.n_obs_steps, self.action_spec.period_s
        return [Observation(index * period_s, values) for index in range(first, 1)]

    def _resting(self, stream: StreamSpec) -> np.ndarray:
        """Return the middle of a goal's range, or a pose in the middle of the joints' ranges."""
        if stream.kind == "image":
            return np.zeros(stream.shape, np.uint8)
        if stream.name in self.goal_ranges:
            low, high = self.goal_ranges[stream.name]
            return np.asarray((low + high) / 2, np.float64)
        middle = {}
        if (known := self.training_range) is not None:
            centre = (known.state_low + known.state_high) / 2
            middle = dict(zip(self.action_spec.joint_names, centre, strict=True))
        return np.array([middle.get(name, 0.0) for name in stream.names], np.float64)


class Policy(Protocol):
    """A learned policy or a planner."""

    facts: PolicyFacts

    def initial_memory(self, seed: int) -> Memory:
        """Return the memory of a run that begins; everything random comes from ``seed``."""
        ...

    def plan(self, window: Window, memory: Memory) -> Plan:
        """Return the next chunk; its first row is for the moment of ``window[-1]``.

        A pure function: the same window and memory give the same plan, bit for bit.
        """
        ...


@runtime_checkable
class BatchPolicy(Protocol):
    """A policy that plans many independent runs at once, faster than one by one."""

    def plan_batch(self, windows: Sequence[Window], memories: Sequence[Memory]) -> list[Plan]:
        """Return one plan per run; equal to ``plan`` up to rounding."""
        ...


@dataclass(frozen=True)
class Likelihood:
    """A bound on -log p(actions | observations) of B windows, term by term, nats per number.

    Attributes:
        prior: (B, Tp, Da), what the start from pure noise costs.
        steps: (K, B, Tp, Da), what each step of denoising costs; index 0 is the last one.
        timesteps: (K,), what the steps are called in training, ascending.
        log_scale: (Da,), takes nats of normalized numbers to those in physical units.
        mask: (B, Tp) bool, False for rows beyond the episode, which count in nothing.
    """

    prior: np.ndarray
    steps: np.ndarray
    timesteps: np.ndarray
    log_scale: np.ndarray
    mask: np.ndarray

    @property
    def total(self) -> np.ndarray:
        """(B, Tp, Da)."""
        total: np.ndarray = self.prior + self.steps.sum(axis=0) + self.log_scale
        return total


@dataclass(frozen=True)
class BoundSettings:
    """Which bound is measured.

    Attributes:
        num_steps: Number of steps of the denoising chain; None: every timestep of training.
        variance: Variance of its steps, ``fixed_small``, ``fixed_large`` or ``learned_range``;
            None: as the checkpoint has it.
        ticks: Widths of an encoder's counts, one per joint in SI units: the bound is then on the
            probability of these very counts; None: on the density.
        seed: Seed of the noise.
    """

    num_steps: int | None = None
    variance: str | None = None
    ticks: tuple[float, ...] | None = None
    seed: int = 0


@runtime_checkable
class LikelihoodPolicy(Protocol):
    """A policy that can bound the likelihood of demonstrations."""

    horizon: int

    def likelihood(
        self,
        values: Mapping[str, np.ndarray],
        actions: np.ndarray,
        mask: np.ndarray,
        settings: BoundSettings,
    ) -> Likelihood:
        """Return the bound of windows: values (B, To, ...), actions (B, Tp, Da), mask (B, Tp)."""
        ...


@dataclass(frozen=True)
class DepartureLimit:
    """How far joints may be from the plan in force before a state starts afresh.

    Attributes:
        scale: (Da,) how far they usually are, rad or m.
        limit: In these units.
    """

    scale: np.ndarray
    limit: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.scale).all() and (self.scale > 0).all() and self.limit > 0):
            raise ValueError(
                f"a limit of departure and its units must be above 0, got {self.limit} and "
                f"{self.scale.tolist()}"
            )


def memory_difference(first: Memory, second: Memory) -> str:
    """Return the name of an array that two memories do not share bit for bit, or an empty text.

    The numbers that are set for each plan, ``SET_FOR_EACH_PLAN``, do not count.
    """
    for name in sorted({*first, *second} - set(SET_FOR_EACH_PLAN)):
        if name not in first or name not in second:
            return name
        one, other = np.asarray(first[name]), np.asarray(second[name])
        if (one.dtype, one.shape) != (other.dtype, other.shape):
            return name
        if one.tobytes() != other.tobytes():  # not by value: NaN is a value too
            return name
    return ""


def deviation(
    measured: np.ndarray, one: np.ndarray, other: np.ndarray, scale: np.ndarray
) -> float:
    """Return how far a joint is outside what lies between two expectations, at the most.

    All (Da,), SI units; the answer is in units of ``scale``.
    """
    outside = np.maximum(np.minimum(one, other) - measured, measured - np.maximum(one, other))
    return float(np.max(np.maximum(outside, 0.0) / scale))


def plan_batch(
    policy: Policy, windows: Sequence[Window], memories: Sequence[Memory]
) -> list[Plan]:
    """Plan for many independent runs, in one batch where the policy can."""
    if isinstance(policy, BatchPolicy):
        return policy.plan_batch(windows, memories)
    return [policy.plan(window, memory) for window, memory in zip(windows, memories, strict=True)]
