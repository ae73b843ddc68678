"""What diagnostic tools are told, once a second whether or not the time goes on."""

import math
import time
from collections.abc import Mapping

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile

from ddpm_controller.control.observing.stream_rules import StreamHealth
from ddpm_controller.control.states import Reason, State
from ddpm_controller.robots.robot import Robot
from ddpm_controller.ros.controller.topics import Health
from ddpm_controller.ros.qos_events import QosEvents, TopicEvents

_PERIOD_S = 1.0
_PATIENCE_S = 1.5
_SLOW = 0.5
"""A stream that comes at less than this share of its rate is worth a warning."""
OK, WARN = DiagnosticStatus.OK, DiagnosticStatus.WARN
ERROR, STALE = DiagnosticStatus.ERROR, DiagnosticStatus.STALE
_STREAM_LEVELS = {
    Reason.NO_OBSERVATION: STALE,
    Reason.STALE_OBSERVATION: STALE,
    Reason.INVALID_OBSERVATION: ERROR,
    Reason.FROZEN_IMAGE: ERROR,
}
_WAITING_LEVELS = {Reason.NONE: OK, Reason.NO_OBSERVATION: STALE, Reason.STALE_OBSERVATION: STALE}
_HOLDING_LEVELS = {Reason.NO_PLAN: WARN, Reason.DEACTIVATED: WARN, Reason.NO_OBSERVATION: STALE}


class Diagnostics:
    """Publishes ``/diagnostics`` from the executor's thread.

    Args:
        node: Owner of publisher and timer; its name is the first word of each entry.
        health: What the control thread fills.
        events: What the middleware tells.
    """

    def __init__(self, node: Node, health: Health, events: QosEvents) -> None:
        self._hardware_id = ""
        self._deadline_s = math.inf
        self._rates_hz: dict[str, float] = {}
        self._node, self._health, self._events = node, health, events
        self._out_of_order: dict[str, int] = {}
        self._publisher = node.create_publisher(
            DiagnosticArray, "/diagnostics", QoSProfile(depth=10)
        )
        node.create_timer(
            _PERIOD_S,
            self.tell,
            callback_group=ReentrantCallbackGroup(),
            clock=Clock(clock_type=ClockType.STEADY_TIME),
        )

    def watch(self, robot: Robot, deadline_s: float) -> None:
        """Tell of ``robot`` from now on; a plan may take ``deadline_s``."""
        self._hardware_id, self._deadline_s = robot.name, deadline_s
        self._rates_hz = {spec.name: spec.rate_hz for spec in robot.stream_specs}

    def tell(self) -> None:
        """Publish every entry now."""
        health = self._health
        message = DiagnosticArray(
            status=[
                control_status(health, time.monotonic()),
                checkpoint_status(health),
                inference_status(health, self._deadline_s),
                latency_status(health),
                qos_status(self._events.take()),
                *(self._stream(name, each) for name, each in health.streams.items()),
            ]
        )
        message.header.stamp = self._node.get_clock().now().to_msg()
        for status in message.status:
            status.name = f"{self._node.get_name()}: {status.name}"
            status.hardware_id = self._hardware_id
        self._publisher.publish(message)

    def _stream(self, name: str, stream: StreamHealth) -> DiagnosticStatus:
        # An activation counts from 0 again.
        more = max(stream.out_of_order - self._out_of_order.get(name, 0), 0)
        self._out_of_order[name] = stream.out_of_order
        return stream_status(name, stream, self._rates_hz.get(name, 0.0), more)


def control_status(health: Health, wall_s: float) -> DiagnosticStatus:
    """Return what the controller does; ``wall_s`` is of the monotonic clock."""
    level, text = _control_level(health), health.text or health.state.name.lower()
    silent_s = wall_s - health.ticked_s
    is_idle = health.state == State.WAITING and health.reason == Reason.NONE
    if health.state != State.INACTIVE and not is_idle and silent_s > _PATIENCE_S:
        level, text = ERROR, f"no tick for {silent_s:.1f} s; {text}"
    return _status(
        "control",
        level,
        text,
        {
            "state": health.state.name,
            "reason": health.reason.name,
            "control_rate_hz": health.control_rate_hz,
            "ticks": health.ticks,
            "missed_ticks": health.missed_ticks,
            **{
                f"limited_by_{name}": count
                for name, count in zip(health.limits.names, health.limits.counts, strict=True)
            },
        },
    )


def checkpoint_status(health: Health) -> DiagnosticStatus:
    """Return which checkpoint is in use, and why another one is not."""
    loaded, error = health.loaded, health.checkpoint_error
    level = (WARN if loaded else ERROR) if error else OK
    text = error or (loaded.folder if loaded else "no checkpoint is loaded")
    return _status(
        "checkpoint",
        level if loaded or error or health.state == State.INACTIVE else WARN,
        text,
        {
            "folder": loaded.folder if loaded else "",
            "hash": loaded.hash if loaded else "",
            "error": error,
        },
    )


def inference_status(health: Health, deadline_s: float) -> DiagnosticStatus:
    """Return how long a plan takes, and may take; what its steps cost where they are chosen."""
    cost = health.plan_cost
    costs = {"plan_fixed_s": cost.fixed_s, "plan_per_step_s": cost.per_step_s} if cost else {}
    inference_s = health.inference_time_s
    is_late = inference_s > deadline_s
    text = f"a plan took {inference_s:.3f} s"
    text = "no plan yet" if math.isnan(inference_s) else text
    return _status(
        "inference",
        WARN if is_late else OK,
        f"{text}, more than {deadline_s:g} s" if is_late else text,
        {
            "inference_time_s": inference_s,
            "deadline_s": deadline_s,
            "num_inference_steps": health.num_inference_steps,
            **costs,
            "observation_to_command_s": health.observation_to_command_s,
            "plan_number": health.plan_number,
        },
    )


def latency_status(health: Health) -> DiagnosticStatus:
    """Return how long it took from the newest observation to the first command of its chunk."""
    latencies = health.latencies
    return _status(
        "latency",
        OK,
        str(latencies),
        {
            "p50_s": latencies.median_s,
            "p95_s": latencies.p95_s,
            "max_s": latencies.max_s,
            "plans": latencies.count,
        },
    )


def qos_status(topics: Mapping[str, TopicEvents]) -> DiagnosticStatus:
    """Return which topics are not connected or fall silent."""
    texts = {topic: events.text for topic, events in topics.items() if events.text}
    text = "; ".join(f"{topic}: {each}" for topic, each in texts.items())
    return _status("qos", WARN if texts else OK, text or "all topics are connected", texts)


def stream_status(
    name: str, stream: StreamHealth, rate_hz: float, out_of_order: int
) -> DiagnosticStatus:
    """Return how a stream does; ``rate_hz`` is expected, ``out_of_order`` came since the last."""
    level, text = _STREAM_LEVELS.get(stream.reason, OK), stream.text or "good"
    if level == OK and stream.rate_hz < _SLOW * rate_hz:
        level, text = WARN, f"comes at {stream.rate_hz:.1f} Hz instead of {rate_hz:g} Hz"
    elif level == OK and out_of_order:
        level, text = WARN, f"{out_of_order} messages came out of order"
    return _status(
        f"stream {name}",
        level,
        text,
        {
            "rate_hz": stream.rate_hz,
            "age_s": stream.age_s,
            "arrival_age_s": stream.arrival_age_s,
            "out_of_order": stream.out_of_order,
            "masked": stream.masked,
        },
    )


def _control_level(health: Health) -> bytes:
    if health.state == State.INACTIVE:
        return OK
    if health.state == State.RUNNING:
        return OK if health.reason == Reason.NONE else WARN
    if health.state == State.WAITING:
        return _WAITING_LEVELS.get(health.reason, ERROR)
    return _HOLDING_LEVELS.get(health.reason, ERROR)


def _status(name: str, level: bytes, text: str, values: Mapping[str, object]) -> DiagnosticStatus:
    pairs = [KeyValue(key=key, value=_word(value)) for key, value in values.items()]
    return DiagnosticStatus(name=name, level=level, message=text, values=pairs)


def _word(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
