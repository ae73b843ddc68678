"""The packets between the controller and its command process, as JSON in packets.

JSON gives every float back bit for bit, and a packet arrives whole or not at all.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np

from ddpm_controller.control.gripper import BinaryGripper, GripperRule
from ddpm_controller.control.moving.boxed_arm import BoxedArm, CartesianBox
from ddpm_controller.control.moving.interpolation import Motion
from ddpm_controller.control.moving.motion_loop import Order, Sent
from ddpm_controller.control.moving.safety import JointLimits, VelocityColumns
from ddpm_controller.control.moving.stream_settings import StreamSettings
from ddpm_controller.control.states import Reason, State, Verdict
from ddpm_controller.robots.outputs import RobotOutput
from ddpm_controller.types import ActionChunk

LARGEST_PACKET = 1 << 20


@dataclass(frozen=True)
class CommandSettings:
    """What a command process is begun with.

    Attributes:
        node_name: Node name of its node, whose only purpose are the publishers.
        namespace: Likewise.
        outputs: What is commanded, with topics that have their namespace.
        whole_topic: Topic on which commands are recorded whole; empty: none.
        status_topic: Topic on which it reports why it stopped when the controller cannot any more.
        period_s: Time between ticks.
        fade_s: As ``MotionLoop``.
        stop_s: As ``MotionLoop``.
        silence_s: When nothing came from the controller for so long, the robot is stopped.
        listeners: Listeners of each output's commands, known to the controller; it waits a while
            for all. Left out: one each.
        status_listeners: Listeners of its last words, likewise.
        priority: Priority of SCHED_FIFO, 1 to 99, where that is permitted; 0 asks for none.
        stream: Form of the trajectories; None: each message is the command of its tick.
        stands_by: Publish nothing, not even that there are topics, until settings come again.
    """

    node_name: str
    namespace: str
    outputs: tuple[RobotOutput, ...]
    status_topic: str
    period_s: float
    fade_s: float
    stop_s: float
    silence_s: float
    priority: int
    listeners: tuple[int, ...] = ()
    status_listeners: int = 0
    whole_topic: str = ""
    stream: StreamSettings | None = None
    stands_by: bool = False

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Columns of a command, in order."""
        return tuple(name for output in self.outputs for name in output.names)


@dataclass(frozen=True)
class Told:
    """Report of the command process on one tick.

    Attributes:
        stamp_s: The tick, system time; ahead of it where trajectories are streamed.
        sent_s: When its command was published, monotonic time; NaN when none was.
        state: What it did.
        reason: Why, or which limit changed the command.
        text: The reason in words.
        limited: Names of the limits that changed the command.
        took_over: Number of the order whose chunk is followed from this tick on; 0: none.
        missed: Ticks left out just before this one.
        motion: Position, velocity and acceleration that were sent last, if something was.
        motion_s: Moment of that motion, from which on a robot that gets nothing else stops; 0:
            the tick.
        began: Number of the order whose run begins with this tick; 0: none.
        before: Moment, position, velocity and acceleration of points that a trajectory has sent
            before that motion, behind those of the last report.
        follows: Whether those of earlier reports still count.
    """

    stamp_s: float
    sent_s: float
    state: State
    reason: Reason
    text: str = ""
    limited: tuple[str, ...] = ()
    took_over: int = 0
    missed: int = 0
    motion: tuple[tuple[float, ...], ...] = ()
    motion_s: float = 0.0
    began: int = 0
    before: tuple[tuple[float, tuple[tuple[float, ...], ...]], ...] = ()
    follows: bool = False

    @property
    def moves(self) -> bool:
        """Whether what was sent had a velocity."""
        return bool(self.motion) and any(self.motion[1])

    @property
    def sent(self) -> Sent | None:
        """What was sent, for another process to continue from."""
        if not self.motion:
            return None
        before = tuple(Sent(stamp_s, _motion(rows)) for stamp_s, rows in self.before)
        return Sent(self.motion_s or self.stamp_s, _motion(self.motion), before)


def packet(kind: str, content: Any) -> bytes:
    """Return one packet."""
    return json.dumps([kind, content], separators=(",", ":")).encode()


def opened(data: bytes) -> tuple[str, Any]:
    """Return kind and content of a packet."""
    kind, content = json.loads(data)
    return kind, content


def settings_packet(settings: CommandSettings) -> bytes:
    """Return the packet with which a command process begins."""
    return packet("settings", asdict(settings))


def settings_from(content: dict[str, Any]) -> CommandSettings:
    """Return what ``settings_packet`` was made of."""
    stream = content["stream"]
    told = {
        "outputs": tuple(_output_from(each) for each in content["outputs"]),
        "listeners": tuple(content["listeners"]),
        "stream": StreamSettings(**stream) if stream is not None else None,
    }
    return CommandSettings(**{**content, **told})


def ready_packet() -> bytes:
    """Return the packet by which a process reports that it stands by."""
    return packet("ready", None)


def _output_from(content: dict[str, Any]) -> RobotOutput:
    rule = content["gripper"]
    if rule is not None:
        binary = rule["binary"] and BinaryGripper(**rule["binary"])
        rule = GripperRule(**{**rule, "binary": binary})
    tuples = {name: tuple(content[name]) for name in ("names", "units", "reference")}
    return RobotOutput(**{**content, **tuples, "gripper": rule})


def limits_packet(limits: JointLimits) -> bytes:
    """Return the packet with the limits of the joints."""
    return packet("limits", _limits_content(limits))


def _limits_content(limits: JointLimits) -> dict[str, Any]:
    rows = {each.name: getattr(limits, each.name) for each in fields(limits)}
    arm, velocities = rows.pop("arm"), rows.pop("velocities")
    content: dict[str, Any] = {name: row.tolist() for name, row in rows.items()}
    content["arm"] = asdict(arm) if arm else None
    if velocities is not None:
        content["velocities"] = {
            "chosen": velocities.chosen.tolist(),
            "lower": velocities.lower.tolist(),
            "upper": velocities.upper.tolist(),
            "late_s": velocities.late_s,
        }
    return content


def limits_from(content: dict[str, Any]) -> JointLimits:
    """Return what ``limits_packet`` was made of."""
    told = content["arm"]
    arm = None
    if told is not None:
        box = CartesianBox(*(tuple(told["box"][name]) for name in ("lower", "upper")))
        arm = BoxedArm(box, told["urdf"], tuple(told["joint_names"]), told["link"])
    velocities = None
    if "velocities" in content:
        given = dict(content["velocities"])
        late_s = given.pop("late_s")
        arrays = {name: np.array(row) for name, row in given.items()}
        velocities = VelocityColumns(**arrays, late_s=late_s)
    others = ("arm", "velocities")
    rows = {name: np.array(values) for name, values in content.items() if name not in others}
    return JointLimits(**rows, arm=arm, velocities=velocities)


def order_packet(number: int, order: Order) -> bytes:
    """Return the packet of an order; numbers count from 1."""
    verdict, chunk = order.verdict, order.chunk
    content: dict[str, Any] = {
        "number": number,
        "verdict": [int(verdict.state), int(verdict.reason), verdict.text],
    }
    if chunk is not None:
        rows = [chunk.start_s, chunk.period_s, list(chunk.joint_names), chunk.actions.tolist()]
        content["chunk"] = rows
    if order.begin_at is not None:
        content["begin_at"] = order.begin_at.tolist()
        content["keep_position"] = order.keep_position
    if order.measured is not None:
        content["measured"] = order.measured.tolist()
    if order.limits is not None:
        content["limits"] = _limits_content(order.limits)
    if order.sent is not None:
        points = (order.sent, *order.sent.before)
        content["sent"] = [[each.stamp_s, *_rows(each.motion)] for each in points]
    return packet("order", content)


def order_from(content: dict[str, Any]) -> tuple[int, Order]:
    """Return what ``order_packet`` was made of."""
    state, reason, text = content["verdict"]
    chunk = None
    if "chunk" in content:
        start_s, period_s, names, rows = content["chunk"]
        chunk = ActionChunk(start_s, period_s, tuple(names), np.array(rows))
    begin_at, measured = (
        np.array(content[name]) if name in content else None for name in ("begin_at", "measured")
    )
    verdict = Verdict(State(state), Reason(reason), text)
    keep_position = content.get("keep_position", False)
    sent = None
    if "sent" in content:
        last, *before = (Sent(stamp_s, _motion(rows)) for stamp_s, *rows in content["sent"])
        sent = replace(last, before=tuple(before))
    limits = limits_from(content["limits"]) if "limits" in content else None
    order = Order(verdict, chunk, begin_at, keep_position, measured, sent, limits)
    return content["number"], order


def _motion(rows: Sequence[Sequence[float]]) -> Motion:
    return Motion(*(np.array(each) for each in rows))


def _rows(motion: Motion) -> list[list[float]]:
    return [each.tolist() for each in (motion.position, motion.velocity, motion.acceleration)]


def told_packet(told: Told) -> bytes:
    """Return the packet of what was done at a tick."""
    return packet("told", list(vars(told).values()))


def told_from(content: list[Any]) -> Told:
    """Return what ``told_packet`` was made of."""
    stamp_s, sent_s, state, reason, text, limited, took_over, missed, motion, *last = content
    motion_s, began, before, follows = last
    return Told(
        stamp_s,
        sent_s,
        State(state),
        Reason(reason),
        text,
        tuple(limited),
        took_over,
        missed,
        tuple(tuple(row) for row in motion),
        motion_s,
        began,
        tuple((moment_s, tuple(tuple(row) for row in rows)) for moment_s, rows in before),
        follows,
    )
