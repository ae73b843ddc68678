"""What the controller does at one moment, as status message and diagnostics report it."""

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ddpm_controller.control.observing.stream_rules import StreamHealth
from ddpm_controller.control.planning.deadline import PlanCost
from ddpm_controller.control.states import LimitCounts, Reason, State

OF_PLANS = ("surprise", "state_age_s", "prior_disagreement", "state_spread")
"""Of ``Plan.traces``, published in the status of the same name; NaN where a policy has none."""


@dataclass(frozen=True)
class Latencies:
    """Percentiles of the last latencies when they were taken.

    Attributes:
        median_s: Median of those kept; NaN before the first.
        p95_s: Latency that 95 % of those kept do not exceed; NaN before the first.
        max_s: The largest since the beginning; NaN before the first.
        count: Latencies since the beginning.
        text: The same in words.
    """

    median_s: float = math.nan
    p95_s: float = math.nan
    max_s: float = math.nan
    count: int = 0
    text: str = "no plan yet"


class LatencyStatistics:
    """Percentiles of the last latencies, and the largest; times come in, no clock is read.

    Args:
        num_kept: Latencies that count.

    Attributes:
        count: Latencies since the beginning; what is not finite does not count.
        max_s: The largest since the beginning, s; NaN before the first.
    """

    def __init__(self, num_kept: int = 1000) -> None:
        if num_kept < 1:
            raise ValueError(f"num_kept must be at least 1, got {num_kept}")
        self._kept: deque[float] = deque(maxlen=num_kept)
        self.count = 0
        self.max_s = math.nan

    def add(self, latency_s: float) -> None:
        """Take one latency, s."""
        if math.isfinite(latency_s):
            self._kept.append(latency_s)
            self.count += 1
            self.max_s = max(latency_s, self.max_s) if self.count > 1 else latency_s

    @property
    def median_s(self) -> float:
        """Of those kept, s; NaN before the first."""
        return self.quantile_s(0.5)

    @property
    def p95_s(self) -> float:
        """What 95 % of those kept do not exceed, s; NaN before the first."""
        return self.quantile_s(0.95)

    def quantile_s(self, share: float) -> float:
        """Return a quantile of those kept, s, interpolated; NaN before the first."""
        kept = list(self._kept)  # in one go: another may come meanwhile
        return float(np.quantile(kept, share)) if kept else math.nan

    @property
    def figures(self) -> Latencies:
        """All of it, as it is now."""
        kept = len(self._kept)
        if not kept:
            return Latencies()
        median_s, p95_s = self.median_s, self.p95_s
        text = (
            f"{1e3 * median_s:.0f} ms in the median, 95 % within {1e3 * p95_s:.0f} ms "
            f"({kept} plans)"
        )
        return Latencies(median_s, p95_s, self.max_s, self.count, text)


@dataclass(frozen=True)
class Status:
    """A snapshot, taken when it is published; see ddpm_msgs/ControllerStatus for the fields.

    Attributes:
        latencies: From the newest observation of a plan to its first command.
        plan_cost: Cost of plans, where their steps are chosen.
        limit_counts: Ticks on which each limit changed the command, in the order of
            ``LimitCounts``.
        streams: Stream name -> how it does.
    """

    stamp_s: float = 0.0
    state: State = State.INACTIVE
    reason: Reason = Reason.NONE
    text: str = ""
    checkpoint: str = ""
    checkpoint_hash: str = ""
    checkpoint_error: str = ""
    engine: str = ""
    plan_number: int = 0
    seed: int = 0
    control_rate_hz: float = 0.0
    ticks: int = 0
    missed_ticks: int = 0
    tick_period_max_s: float = 0.0
    inference_time_s: float = math.nan
    observation_to_command_s: float = math.nan
    surprise: float = math.nan
    state_age_s: float = math.nan
    prior_disagreement: float = math.nan
    state_spread: float = math.nan
    state_resets: int = 0
    state_reset_text: str = ""
    departure: float = math.nan
    departure_limit: float = math.nan
    out_of_distribution: float = math.nan
    out_of_distribution_limit: float = math.nan
    num_inference_steps: int = 0
    plan_cost: PlanCost | None = None
    latencies: Latencies = Latencies()
    limit_counts: tuple[int, ...] = tuple(LimitCounts().counts)
    streams: Mapping[str, StreamHealth] = field(default_factory=dict)
