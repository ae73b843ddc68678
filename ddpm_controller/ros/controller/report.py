"""What the control thread tells while it runs: chunks, and a status on every change."""

import math
import time
from collections.abc import Callable, Mapping

from ddpm_controller.control.command import Command
from ddpm_controller.control.loop import ControlLoop
from ddpm_controller.control.observing.stream_rules import StreamHealth
from ddpm_controller.control.states import Reason, State
from ddpm_controller.ros.commanding.commanding import Done
from ddpm_controller.ros.controller.planner import PlanAnswer
from ddpm_controller.ros.controller.topics import OF_PLANS, ControllerTopics, Health
from ddpm_controller.types import ActionChunk

_STATUS_PERIOD_S = 0.1
_TOLERANCE_S = 1e-6


class ControlReport:
    """Keeps ``health`` up to date and publishes it.

    Args:
        topics: Where to.
        health: Filled here.
        show: Called with every chunk that is taken over; must return at once; None: nothing.
    """

    def __init__(
        self,
        topics: ControllerTopics,
        health: Health,
        show: Callable[[ActionChunk], None] | None = None,
    ) -> None:
        self.health = health
        self._show = show
        self._topics = topics
        self._sent_s = math.nan
        self._told_s = math.nan

    def begin(self) -> None:
        """Note that commands begin; the pause before is no tick period."""
        self._sent_s = math.nan

    def sent(self, done: Done) -> None:
        """Note that a command was published, if it was, and what was missed before it."""
        self.health.missed_ticks += done.missed
        if math.isnan(done.sent_s):
            return
        if not math.isnan(self._sent_s):
            longest_s = max(self.health.tick_period_max_s, done.sent_s - self._sent_s)
            self.health.tick_period_max_s = longest_s
        self._sent_s = done.sent_s

    def took_over(self, command: Command, answer: PlanAnswer) -> None:
        """Publish the chunk that ``command`` is the first of."""
        assert command.takeover is not None
        request, traces = command.takeover.request, command.takeover.plan.traces
        sources_s = [s for o in request.window for s in o.source_stamps_s.values()]
        self._topics.tell_chunk(
            command.takeover,
            answer.used,
            self.health.seed,
            command.stamp_s,
            answer.inference_time_s,
        )
        self._topics.tell_memory(command.takeover, answer.used, command.stamp_s)
        if self._show is not None:
            self._show(command.takeover.plan.chunk)
        self.health.plan_number = request.plan_number
        for name in OF_PLANS:
            setattr(self.health, name, float(traces.get(name, math.nan)))
        self.health.observation_to_command_s = command.stamp_s - max(sources_s)
        self.health.latencies.add(self.health.observation_to_command_s)
        self.health.num_inference_steps = (
            request.num_inference_steps or answer.used.policy.facts.num_inference_steps
        )

    def note_state(self, loop: ControlLoop) -> None:
        """Note what has become of the state that the policy carries from plan to plan."""
        memory, departure = loop.schedule.memory, loop.departure
        self.health.state_resets, self.health.state_reset_text = memory.resets, memory.reset_text
        self.health.departure = departure.departure
        limit = departure.limit
        self.health.departure_limit = limit.limit if limit else math.nan

    def tick(self, command: Command, streams: Mapping[str, StreamHealth]) -> None:
        """Count a tick, and tell when something has changed or the last status is old."""
        self.health.ticks += 1
        self.health.limits.add(command.limited)
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
        health = self.health
        health.stamp_s, health.state, health.reason, health.text = stamp_s, state, reason, text
        health.streams = streams
        self._topics.tell(health)
        health.tick_period_max_s = 0.0
        self._told_s = stamp_s

    def _tell_when_due(
        self,
        stamp_s: float,
        state: State,
        reason: Reason,
        text: str,
        streams: Mapping[str, StreamHealth],
    ) -> None:
        self.health.ticked_s = time.monotonic()
        same = (state, reason) == (self.health.state, self.health.reason)
        if not same or not abs(stamp_s - self._told_s) < _STATUS_PERIOD_S - _TOLERANCE_S:
            self.tell(stamp_s, state, reason, text, streams)
