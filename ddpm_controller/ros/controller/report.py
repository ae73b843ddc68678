"""What the control thread publishes while it runs: chunks, and a status on every change."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ddpm_controller.control.command import Command
from ddpm_controller.control.loop import ControlLoop
from ddpm_controller.control.observing.stream_rules import StreamHealth
from ddpm_controller.control.planning.deadline import PlanCost
from ddpm_controller.control.states import LimitCounts, Reason, State
from ddpm_controller.ros.commanding.commanding import Done
from ddpm_controller.ros.controller.planner import PlanAnswer
from ddpm_controller.ros.controller.policy_loader import LoadedPolicy
from ddpm_controller.ros.controller.status import OF_PLANS, LatencyStatistics, Status
from ddpm_controller.ros.controller.topics import ControllerTopics
from ddpm_controller.types import ActionChunk

_STATUS_PERIOD_S = 0.1
_TOLERANCE_S = 1e-6


class ControlReport:
    """Counts what one activation does, and publishes it.

    Only the control thread calls it, or the executor while there is no such thread. From any
    thread ``status`` and ``ticked_s`` may be read.

    Args:
        topics: Where to.
        in_use: Returns the policy that plans, or None.
        checkpoint_error: Returns why another checkpoint is not in use; mostly nothing.
        control_rate_hz: Rate of the activation; 0 where there is none.
        show: Called with every chunk that is taken over; must return at once; None: nothing.

    Attributes:
        status: The newest that was published.
        ticked_s: Time of the last tick by the monotonic clock; NaN before the first.
    """

    def __init__(
        self,
        topics: ControllerTopics,
        in_use: Callable[[], LoadedPolicy | None],
        checkpoint_error: Callable[[], str],
        *,
        control_rate_hz: float = 0.0,
        show: Callable[[ActionChunk], None] | None = None,
    ) -> None:
        self._topics, self._show = topics, show
        self._in_use, self._checkpoint_error = in_use, checkpoint_error
        self.status = self._figures = Status(control_rate_hz=control_rate_hz)
        self.ticked_s = math.nan
        self._limits, self._latencies = LimitCounts(), LatencyStatistics()
        self._ticks = self._missed = 0
        self._tick_period_max_s = 0.0
        self._state = (0, "", math.nan, math.nan)
        self._sent_s = self._told_s = math.nan

    def begin_run(self, seed: int) -> None:
        """Note that plans are counted from 0 again; the last one is reported no more."""
        nothing: dict[str, Any] = dict.fromkeys(OF_PLANS, math.nan)
        self._figures = replace(self._figures, seed=seed, plan_number=0, **nothing)

    def begin(self) -> None:
        """Note that commands begin; the pause before is no tick period."""
        self._sent_s = math.nan

    def sent(self, done: Done) -> None:
        """Note that a command was published, if it was, and what was missed before it."""
        self._missed += done.missed
        if math.isnan(done.sent_s):
            return
        if not math.isnan(self._sent_s):
            self._tick_period_max_s = max(self._tick_period_max_s, done.sent_s - self._sent_s)
        self._sent_s = done.sent_s

    def answered(self, plan_cost: PlanCost | None) -> None:
        """Note what plans take, where their steps are chosen."""
        self._figures = replace(self._figures, plan_cost=plan_cost)

    def accepted(self, answer: PlanAnswer, loop: ControlLoop) -> None:
        """Note how long a plan took that will be followed, and how strange it is."""
        self._figures = replace(
            self._figures,
            inference_time_s=answer.inference_time_s,
            out_of_distribution=loop.distribution.score,
            out_of_distribution_limit=loop.distribution.limit,
        )

    def took_over(self, command: Command, answer: PlanAnswer) -> None:
        """Publish the chunk that ``command`` is the first of."""
        assert command.takeover is not None
        request, traces = command.takeover.request, command.takeover.plan.traces
        sources_s = [s for o in request.window for s in o.source_stamps_s.values()]
        self._topics.tell_chunk(
            command.takeover,
            answer.used,
            self._figures.seed,
            command.stamp_s,
            answer.inference_time_s,
        )
        self._topics.tell_memory(command.takeover, answer.used, command.stamp_s)
        if self._show is not None:
            self._show(command.takeover.plan.chunk)
        latency_s = command.stamp_s - max(sources_s)
        self._latencies.add(latency_s)
        told: dict[str, Any] = {name: float(traces.get(name, math.nan)) for name in OF_PLANS}
        self._figures = replace(
            self._figures,
            plan_number=request.plan_number,
            observation_to_command_s=latency_s,
            latencies=self._latencies.figures,
            num_inference_steps=request.num_inference_steps
            or answer.used.policy.facts.num_inference_steps,
            **told,
        )

    def note_state(self, loop: ControlLoop) -> None:
        """Note what has become of the state that the policy carries from plan to plan."""
        memory, departure = loop.schedule.memory, loop.departure
        limit = departure.limit.limit if departure.limit else math.nan
        self._state = (memory.resets, memory.reset_text, departure.departure, limit)

    def tick(self, command: Command, streams: Mapping[str, StreamHealth]) -> None:
        """Count a tick, and report when something has changed or the last status is old."""
        self._ticks += 1
        self._limits.add(command.limited)
        self._tell_when_due(command.stamp_s, command.state, command.reason, command.text, streams)

    def idle(self, now_s: float, streams: Mapping[str, StreamHealth]) -> None:
        """Tell, when due, that nothing is commanded between two runs."""
        text = "no run_policy goal is running"
        self._tell_when_due(now_s, State.WAITING, Reason.NONE, text, streams)

    def tell(
        self,
        stamp_s: float,
        state: State,
        reason: Reason,
        text: str,
        streams: Mapping[str, StreamHealth],
    ) -> None:
        """Publish a status now."""
        loaded = self._in_use()
        resets, reset_text, departure, departure_limit = self._state
        self.status = replace(
            self._figures,
            stamp_s=stamp_s,
            state=state,
            reason=reason,
            text=text,
            checkpoint=loaded.folder if loaded else "",
            checkpoint_hash=loaded.hash if loaded else "",
            checkpoint_error=self._checkpoint_error(),
            engine=loaded.policy.facts.engine if loaded else "",
            ticks=self._ticks,
            missed_ticks=self._missed,
            tick_period_max_s=self._tick_period_max_s,
            state_resets=resets,
            state_reset_text=reset_text,
            departure=departure,
            departure_limit=departure_limit,
            limit_counts=tuple(self._limits.counts),
            streams=streams,
        )
        self._topics.tell(self.status)
        self._tick_period_max_s = 0.0
        self._told_s = stamp_s

    def _tell_when_due(
        self,
        stamp_s: float,
        state: State,
        reason: Reason,
        text: str,
        streams: Mapping[str, StreamHealth],
    ) -> None:
        self.ticked_s = time.monotonic()
        same = (state, reason) == (self.status.state, self.status.reason)
        if not same or not abs(stamp_s - self._told_s) < _STATUS_PERIOD_S - _TOLERANCE_S:
            self.tell(stamp_s, state, reason, text, streams)
