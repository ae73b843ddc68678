"""Reports for diagnostic tools, once a second whether or not time advances."""

import math
import time
from collections.abc import Callable, Mapping

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile

from ddpm_controller.control.moving.stream_settings import StreamSettings
from ddpm_controller.control.observing.stream_rules import SLOW_SHARE, StreamHealth
from ddpm_controller.control.states import LimitCounts, Reason, State
from ddpm_controller.robots.robot import Robot
from ddpm_controller.ros.controller.report import ControlReport
from ddpm_controller.ros.controller.status import Status
from ddpm_controller.ros.qos_events import QosEvents, TopicEvents

_PERIOD_S = 1.0
_PATIENCE_S = 1.5
OK, WARN = DiagnosticStatus.OK, DiagnosticStatus.WARN
ERROR, STALE = DiagnosticStatus.ERROR, DiagnosticStatus.STALE
_STREAM_LEVELS = {
    Reason.NO_OBSERVATION: STALE,
    Reason.STALE_OBSERVATION: STALE,
    Reason.INVALID_OBSERVATION: ERROR,
    Reason.FROZEN_IMAGE: ERROR,
}
_WAITING_LEVELS = {
    Reason.NONE: OK,
    Reason.NO_OBSERVATION: STALE,
    Reason.STALE_OBSERVATION: STALE,
    Reason.NO_LISTENER: WARN,
}
_HOLDING_LEVELS = {Reason.NO_PLAN: WARN, Reason.DEACTIVATED: WARN, Reason.NO_OBSERVATION: STALE}


class Diagnostics:
    """Publishes ``/diagnostics`` from the executor's thread.

    Args:
        node: Owner of publisher and timer; its full name begins each entry.
        report: Returns that of the newest activation.
        events: Events of the middleware.
        notes: Returns what is worth a warning about other nodes, by subject.
    """

    def __init__(
        self,
        node: Node,
        report: Callable[[], ControlReport],
        events: QosEvents,
        notes: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self._hardware_id = ""
        self._deadline_s = math.inf
        self._rates_hz: dict[str, float] = {}
        self._clocks_s: dict[str, float] = {}
        self._off: frozenset[str] = frozenset()
        self._node, self._report, self._events = node, report, events
        self._notes = notes
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

    def watch(self, robot: Robot, deadline_s: float, stream: StreamSettings | None = None) -> None:
        """Tell of ``robot`` from now on.

        Args:
            robot: Its streams.
            deadline_s: Time that a plan may take.
            stream: Form of the trajectories: a robot whose clock is off takes them otherwise.
        """
        self._hardware_id, self._deadline_s = robot.name, deadline_s
        joints = set(robot.action_spec.joint_names)
        absolute = stream is not None and stream.stamp == "absolute"
        self._clocks_s = {
            each.spec.name: stream.past_s + each.latency_s
            for each in robot.streams
            if stream is not None and absolute and joints <= set(each.spec.names)
        }
        self._rates_hz = {spec.name: spec.rate_hz for spec in robot.stream_specs}

    def tell(self) -> None:
        """Publish every entry now."""
        report = self._report()
        status = report.status
        message = DiagnosticArray(
            status=[
                control_status(status, time.monotonic() - report.ticked_s),
                checkpoint_status(status),
                inference_status(status, self._deadline_s),
                latency_status(status),
                qos_status(self._events.take()),
                neighbours_status(self._notes()),
                *(self._stream(name, each) for name, each in status.streams.items()),
            ]
        )
        message.header.stamp = self._node.get_clock().now().to_msg()
        name = self._node.get_fully_qualified_name().lstrip("/")
        for entry in message.status:
            entry.name = f"{name}: {entry.name}"
            entry.hardware_id = self._hardware_id
        self._publisher.publish(message)

    def _stream(self, name: str, stream: StreamHealth) -> DiagnosticStatus:
        # An activation counts from 0 again.
        more = max(stream.out_of_order - self._out_of_order.get(name, 0), 0)
        self._out_of_order[name] = stream.out_of_order
        clock_s = self._clocks_s.get(name, math.inf)
        is_off = abs(stream.clock_lead_s) > clock_s
        if is_off and name not in self._off:
            text = _clock_text(stream.clock_lead_s, clock_s)
            self._node.get_logger().warning(f"{name}: {text}")
        self._off = self._off | {name} if is_off else self._off - {name}
        return stream_status(name, stream, self._rates_hz.get(name, 0.0), more, clock_s)


def control_status(status: Status, silent_s: float) -> DiagnosticStatus:
    """Return what the controller does; ``silent_s`` has passed since its last tick."""
    level, text = _control_level(status), status.text or status.state.name.lower()
    is_idle = status.state == State.WAITING and status.reason == Reason.NONE
    if status.state != State.INACTIVE and not is_idle and silent_s > _PATIENCE_S:
        level, text = ERROR, f"no tick for {silent_s:.1f} s; {text}"
    return _status(
        "control",
        level,
        text,
        {
            "state": status.state.name,
            "reason": status.reason.name,
            "control_rate_hz": status.control_rate_hz,
            "ticks": status.ticks,
            "missed_ticks": status.missed_ticks,
            **{
                f"limited_by_{name}": count
                for name, count in zip(LimitCounts().names, status.limit_counts, strict=True)
            },
        },
    )


def checkpoint_status(status: Status) -> DiagnosticStatus:
    """Return which checkpoint is in use, and why another one is not."""
    error, has_one = status.checkpoint_error, bool(status.checkpoint)
    level = (WARN if has_one else ERROR) if error else OK
    text = error or status.checkpoint or "no checkpoint is loaded"
    return _status(
        "checkpoint",
        level if has_one or error or status.state == State.INACTIVE else WARN,
        text,
        {
            "folder": status.checkpoint,
            "hash": status.checkpoint_hash,
            "error": error,
        },
    )


def inference_status(status: Status, deadline_s: float) -> DiagnosticStatus:
    """Return how long a plan takes, and may take; what its steps cost where they are chosen."""
    cost = status.plan_cost
    costs = {"plan_fixed_s": cost.fixed_s, "plan_per_step_s": cost.per_step_s} if cost else {}
    inference_s = status.inference_time_s
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
            "num_inference_steps": status.num_inference_steps,
            **costs,
            "observation_to_command_s": status.observation_to_command_s,
            "plan_number": status.plan_number,
        },
    )


def latency_status(status: Status) -> DiagnosticStatus:
    """Return how long it took from the newest observation to the first command of its chunk."""
    latencies = status.latencies
    return _status(
        "latency",
        OK,
        latencies.text,
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


def neighbours_status(notes: Mapping[str, str]) -> DiagnosticStatus:
    """Return what other nodes do that a person should know."""
    text = "; ".join(f"{subject}: {note}" for subject, note in notes.items())
    return _status("neighbours", WARN if notes else OK, text or "nothing unusual", notes)


def stream_status(
    name: str,
    stream: StreamHealth,
    rate_hz: float,
    out_of_order: int,
    most_clock_s: float = math.inf,
) -> DiagnosticStatus:
    """Return how a stream does.

    Args:
        name: Name of the stream.
        stream: Its health.
        rate_hz: Rate that is expected.
        out_of_order: Messages out of order since the last entry.
        most_clock_s: Time by which its clock may be off.
    """
    level, text = _STREAM_LEVELS.get(stream.reason, OK), stream.text or "good"
    if level == OK and stream.rate_hz < SLOW_SHARE * rate_hz:
        level, text = WARN, f"comes at {stream.rate_hz:.1f} Hz instead of {rate_hz:g} Hz"
    elif level == OK and out_of_order:
        level, text = WARN, f"{out_of_order} messages came out of order"
    elif level == OK and abs(stream.clock_lead_s) > most_clock_s:
        level, text = WARN, _clock_text(stream.clock_lead_s, most_clock_s)
    return _status(
        f"stream {name}",
        level,
        text,
        {
            "rate_hz": stream.rate_hz,
            "age_s": stream.age_s,
            "arrival_age_s": stream.arrival_age_s,
            "clock_lead_s": stream.clock_lead_s,
            "out_of_order": stream.out_of_order,
            "masked": stream.masked,
        },
    )


def _clock_text(lead_s: float, most_s: float) -> str:
    side, longer = ("ahead of", "lead") if lead_s > 0 else ("behind", "past")
    return (
        f"stamps are {abs(lead_s):.3f} s {side} their arrival, more than {most_s:g} s: the robot "
        "takes trajectories at other moments than they are meant for; set its clock, raise "
        f"command.stream_{longer}_s by as much, or set command.stream_stamp to zero"
    )


def _control_level(status: Status) -> bytes:
    if status.state == State.INACTIVE:
        return OK
    if status.state == State.RUNNING:
        return OK if status.reason == Reason.NONE else WARN
    if status.state == State.WAITING:
        return _WAITING_LEVELS.get(status.reason, ERROR)
    return _HOLDING_LEVELS.get(status.reason, ERROR)


def _status(name: str, level: bytes, text: str, values: Mapping[str, object]) -> DiagnosticStatus:
    pairs = [KeyValue(key=key, value=_word(value)) for key, value in values.items()]
    return DiagnosticStatus(name=name, level=level, message=text, values=pairs)


def _word(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
