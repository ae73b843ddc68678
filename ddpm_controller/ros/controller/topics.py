"""What the controller tells: its status and its chunks."""

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from ddpm_msgs.msg import ActionChunk, ControllerStatus
from ddpm_msgs.msg import Memory as MemoryMessage
from rclpy.duration import Duration as RosDuration
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from ddpm_controller.bags.memory_messages import packed
from ddpm_controller.control.observing.stream_rules import StreamHealth
from ddpm_controller.control.plan_request import Takeover
from ddpm_controller.control.planning.deadline import PlanCost
from ddpm_controller.control.states import LimitCounts, Reason, State
from ddpm_controller.policy import memory_kind
from ddpm_controller.ros.controller.policy_loader import LoadedPolicy
from ddpm_controller.ros.stamps import duration_from, time_from


class LatencyStatistics:
    """Percentiles of the last latencies, and the largest; times come in, no clock is read.

    One thread may add while another one asks.

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

    def __str__(self) -> str:
        """In words, ms."""
        if not self._kept:
            return "no plan yet"
        return (
            f"{1e3 * self.median_s:.0f} ms in the median, 95 % within {1e3 * self.p95_s:.0f} ms "
            f"({len(self._kept)} plans)"
        )


_FACT_QOS = QoSProfile(
    depth=10,  # a recorder must see every change of state, not only the last one
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)

OF_PLANS = ("surprise", "state_age_s", "prior_disagreement", "state_spread")
"""Of ``Plan.traces``, told in the status of the same name; NaN where a policy has none."""


@dataclass
class Health:
    """What a status tells beside state and reason; filled where it happens."""

    stamp_s: float = 0.0
    state: State = State.INACTIVE
    reason: Reason = Reason.NONE
    text: str = ""
    loaded: LoadedPolicy | None = None
    checkpoint_error: str = ""
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
    latencies: LatencyStatistics = field(default_factory=LatencyStatistics)
    num_inference_steps: int = 0
    plan_cost: PlanCost | None = None
    limits: LimitCounts = field(default_factory=LimitCounts)
    streams: Mapping[str, StreamHealth] = field(default_factory=dict)
    ticked_s: float = math.nan
    """When the last tick was, by the monotonic clock; NaN before the first."""

    def begin(self, seed: int, control_rate_hz: float) -> None:
        """Count from 0 again, with the checkpoint as it is."""
        fresh = Health(
            loaded=self.loaded,
            checkpoint_error=self.checkpoint_error,
            seed=seed,
            control_rate_hz=control_rate_hz,
        )
        vars(self).update(vars(fresh))

    def forget_plan(self) -> None:
        """Tell nothing of the last plan any more."""
        for name in OF_PLANS:
            setattr(self, name, math.nan)


class ControllerTopics:
    """Status and chunks; commands are published by ``CommandPublisher``.

    Args:
        node: Owner of the publishers.
    """

    def __init__(self, node: Node) -> None:
        self._status = node.create_publisher(ControllerStatus, "~/status", _FACT_QOS)
        self._chunks = node.create_publisher(ActionChunk, "~/action_chunk", QoSProfile(depth=10))
        self._memories = node.create_publisher(MemoryMessage, "~/memory", QoSProfile(depth=10))

    def tell(self, health: Health) -> None:
        """Publish a status."""
        loaded = health.loaded
        message = ControllerStatus(
            state=int(health.state),
            reason=int(health.reason),
            text=health.text,
            checkpoint=loaded.folder if loaded else "",
            checkpoint_hash=loaded.hash if loaded else "",
            checkpoint_error=health.checkpoint_error,
            plan_number=health.plan_number,
            seed=health.seed,
            control_rate_hz=health.control_rate_hz,
            ticks=health.ticks,
            missed_ticks=health.missed_ticks,
            tick_period_max_s=health.tick_period_max_s,
            inference_time_s=health.inference_time_s,
            observation_to_command_s=health.observation_to_command_s,
            limit_names=health.limits.names,
            limit_counts=health.limits.counts,
            surprise=health.surprise,
            out_of_distribution=health.out_of_distribution,
            out_of_distribution_limit=health.out_of_distribution_limit,
            state_age_s=health.state_age_s,
            prior_disagreement=health.prior_disagreement,
            state_spread=health.state_spread,
            state_resets=health.state_resets,
            state_reset_text=health.state_reset_text,
            departure=health.departure,
            departure_limit=health.departure_limit,
            stream_names=list(health.streams),
            stream_ages_s=[each.age_s for each in health.streams.values()],
            stream_arrival_ages_s=[each.arrival_age_s for each in health.streams.values()],
            stream_rates_hz=[each.rate_hz for each in health.streams.values()],
            stream_out_of_order=[each.out_of_order for each in health.streams.values()],
            masked_streams=[name for name, each in health.streams.items() if each.masked],
        )
        message.header.stamp = time_from(health.stamp_s)
        self._status.publish(message)

    def wait_until_heard(self, patience_s: float) -> None:
        """Return when every listener has the last status, or the patience is over."""
        self._status.wait_for_all_acked(RosDuration(seconds=patience_s))

    def tell_chunk(
        self,
        takeover: Takeover,
        used: LoadedPolicy,
        seed: int,
        stamp_s: float,
        inference_time_s: float,
    ) -> None:
        """Publish a chunk that is followed from the tick ``stamp_s`` on."""
        chunk, request = takeover.plan.chunk, takeover.request
        names = list(request.window[-1].values)
        sources_s = [o.source_stamps_s[name] for o in request.window for name in names]
        delay_s = request.expected_delay_s
        message = ActionChunk(
            start=time_from(chunk.start_s),
            period=duration_from(chunk.period_s),
            joint_names=list(chunk.joint_names),
            num_rows=len(chunk.actions),
            rows=chunk.actions.astype(np.float64).ravel().tolist(),
            plan_number=request.plan_number,
            seed=seed,
            # An approach is not the policy's: nobody could make it again with the checkpoint.
            checkpoint_hash="" if takeover.is_approach else used.hash,
            sampler=used.sampler,
            num_inference_steps=request.num_inference_steps or used.num_inference_steps,
            seam=used.seam.strategy,
            expected_delay_s=(used.seam.expected_delay_s or 0.0) if delay_s is None else delay_s,
            surprise_limit=used.seam.surprise,
            transition_scale=used.transition_scale,
            requested=time_from(request.requested_s),
            observation_stamp=time_from(max(sources_s)),
            stream_names=names,
            window_stamps=[time_from(o.stamp_s) for o in request.window],
            source_stamps=[time_from(source_s) for source_s in sources_s],
            masked_streams=list(request.window[-1].masked),
            inference_time_s=inference_time_s,
        )
        message.header.stamp = time_from(stamp_s)
        self._chunks.publish(message)

    def tell_memory(self, takeover: Takeover, used: LoadedPolicy, stamp_s: float) -> None:
        """Publish what the chunk that is followed from ``stamp_s`` on was made from."""
        arrays = packed(takeover.request.memory)
        message = MemoryMessage(
            plan_number=takeover.request.plan_number,
            memory_kind=memory_kind(used.policy),
            names=arrays.names,
            dtypes=arrays.dtypes,
            num_dimensions=arrays.num_dimensions,
            shapes=arrays.shapes,
            data=arrays.data,
        )
        message.header.stamp = time_from(stamp_s)
        self._memories.publish(message)
