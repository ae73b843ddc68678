"""Defects of recordings, each planted into the messages of a good one as a machine would make it.

A defect is a function of a scene and a generator that returns another scene; None where it cannot
be had there, as degrees of a robot that slides. The seed decides which joint, when, and how much.
"""

import copy
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ddpm_controller.bags.files import RecordedMessage
from ddpm_controller.bags.tape import Role
from ddpm_controller.lint.limits import Limits
from ddpm_controller.robots.outputs import RobotOutput
from ddpm_controller.robots.robot import Robot
from ddpm_controller.robots.streams import StreamSource

MS = 1_000_000
FEWEST = 10
"""A topic of fewer messages is of marks or texts."""


@dataclass(frozen=True)
class Scene:
    """One recording as messages.

    Attributes:
        name: Of the recording.
        robot: What was recorded.
        roles: Topic -> what it is.
        messages: In the order of recording.
        topics: Recorded topic -> type.
        limits: Positions of its joints; empty: not known.
    """

    name: str
    robot: Robot
    roles: Mapping[str, Sequence[Role]]
    messages: tuple[RecordedMessage, ...]
    topics: Mapping[str, str]
    limits: Limits

    @property
    def state_topic(self) -> str:
        """Topic of the joint states that measure the action."""
        joints = set(self.robot.action_spec.joint_names)
        return next(
            topic
            for topic, roles in self.roles.items()
            for role in roles
            if isinstance(role, StreamSource) and joints & set(role.stream.spec.names)
        )

    @property
    def command_topic(self) -> str:
        """Topic of the commands; empty: there are none."""
        for topic, roles in self.roles.items():
            if any(isinstance(each, RobotOutput) and not each.is_measured for each in roles):
                return topic
        return ""

    @property
    def image_topics(self) -> list[str]:
        """Topics of images."""
        return [t for t, kind in self.topics.items() if kind == "sensor_msgs/msg/Image"]

    @property
    def ends_ns(self) -> tuple[int, int]:
        """First and last time of recording."""
        return self.messages[0].log_ns, self.messages[-1].log_ns

    @property
    def duration_s(self) -> float:
        """Time between them."""
        return (self.ends_ns[1] - self.ends_ns[0]) * 1e-9

    def of(self, topic: str) -> list[RecordedMessage]:
        """Return the messages of a topic."""
        return [each for each in self.messages if each.topic == topic]

    def changed(self, messages: Iterable[RecordedMessage]) -> "Scene":
        """Return the same with other messages."""
        return replace(self, messages=tuple(sorted(messages, key=lambda each: each.log_ns)))

    def each(
        self, topics: Iterable[str], change: Callable[[RecordedMessage], RecordedMessage | None]
    ) -> "Scene":
        """Return the same with every message of some topics changed; None: dropped."""
        chosen = set(topics)
        new = (change(each) if each.topic in chosen else each for each in self.messages)
        return self.changed(each for each in new if each is not None)

    def joint(self, random: np.random.Generator, unit: str) -> str | None:
        """Return a commanded joint in a unit that moves; None: there is none."""
        spec = self.robot.action_spec
        rows = positions(self, self.state_topic)
        moving = [
            name
            for name, own in zip(spec.joint_names, spec.units, strict=True)
            if own == unit and name in rows and np.ptp(rows[name]) > LEAST[unit]
        ]
        return str(random.choice(moving)) if moving else None


LEAST = {"rad": 0.15, "m": 0.015}
Defect = Callable[[Scene, np.random.Generator], Scene | None]


def positions(scene: Scene, topic: str) -> dict[str, np.ndarray]:
    """Return joint -> what was measured."""
    found: dict[str, list[float]] = {}
    for each in scene.of(topic):
        for name, value in zip(each.message.name, each.message.position, strict=True):
            found.setdefault(name, []).append(float(value))
    return {name: np.array(values) for name, values in found.items()}


def with_stamp(each: RecordedMessage, stamp_ns: int) -> RecordedMessage:
    """Return a message with another stamp of its own."""
    message = copy.copy(each.message)
    message.header = copy.deepcopy(message.header)
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(int(stamp_ns), 10**9)
    return replace(each, message=message)


def later(each: RecordedMessage, by_ns: int) -> RecordedMessage:
    """Return a message that came and was made later."""
    moved = replace(each, log_ns=each.log_ns + by_ns)
    if each.topic.endswith("camera_info") or not each.header_ns:
        return moved
    return with_stamp(moved, each.header_ns + by_ns)


def with_joint(each: RecordedMessage, joint: str, change: Callable[[float], float]) -> Any:
    """Return a joint state or a trajectory with another number of a joint."""
    message = copy.deepcopy(each.message)
    names = list(getattr(message, "name", ()) or getattr(message, "joint_names", ()))
    if joint not in names:
        return each
    column = names.index(joint)
    for point in [message] if hasattr(message, "position") else message.points:
        numbers = point.position if hasattr(point, "position") else point.positions
        numbers[column] = change(float(numbers[column]))
    return replace(each, message=message)


def middle_ns(scene: Scene, random: np.random.Generator) -> int:
    """Return a moment between a quarter and three quarters of a recording."""
    begin_ns, end_ns = scene.ends_ns
    return int(begin_ns + random.uniform(0.25, 0.75) * (end_ns - begin_ns))


def idle(scene: Scene, random: np.random.Generator) -> Scene | None:
    """Keep the recorder running before or after, the robot standing and holding its command."""
    idle_ns, at_end = int(random.uniform(2.6, 8.0) * 1e9), random.random() < 0.5
    found = list(scene.messages) if at_end else [later(each, idle_ns) for each in scene.messages]
    marks = [each for each in found if each.topic.endswith("episode")]
    for topic in scene.roles:
        messages = scene.of(topic)
        if len(messages) < FEWEST:
            continue
        step_ns = int(np.median(np.diff([each.log_ns for each in messages]))) or 20 * MS
        for k in range(idle_ns // step_ns):
            by_ns = (k + 1) * step_ns if at_end else idle_ns - (k + 1) * step_ns
            found.append(later(messages[-1 if at_end else 0], by_ns))
    found = [each for each in found if each not in marks]
    for mark in marks:
        if (mark.message.mark != 0) == at_end:
            mark = later(mark, idle_ns if at_end else -idle_ns)
        found.append(mark)
    return scene.changed(found)


def _spike(scene: Scene, random: np.random.Generator, topic: str) -> Scene | None:
    unit = "rad" if random.random() < 0.7 else "m"
    joint = scene.joint(random, unit) or scene.joint(random, "m" if unit == "rad" else "rad")
    messages = scene.of(topic) if topic else []
    if joint is None or len(messages) < 40:
        return None
    spread = float(np.ptp(positions(scene, scene.state_topic)[joint]))
    size = float(random.choice([0.4, 1.0, 5.0, 1e3])) * spread * random.choice([-1, 1])
    at = random.integers(10, len(messages) - 10)
    hit = {id(each) for each in messages[at : at + random.integers(1, 3)]}
    return scene.each(
        [topic], lambda e: with_joint(e, joint, lambda x: x + size) if id(e) in hit else e
    )


def spike_in_state(scene: Scene, random: np.random.Generator) -> Scene | None:
    """Have an encoder fail for one or two messages."""
    return _spike(scene, random, scene.state_topic)


def spike_in_command(scene: Scene, random: np.random.Generator) -> Scene | None:
    """Have a commander send one or two other numbers."""
    return _spike(scene, random, scene.command_topic)


def _scaled(scene: Scene, random: np.random.Generator, unit: str, scale: float) -> Scene | None:
    if scene.joint(random, unit) is None:
        return None
    spec = scene.robot.action_spec
    chosen = [n for n, own in zip(spec.joint_names, spec.units, strict=True) if own == unit]
    sides = [[scene.state_topic], [scene.command_topic], [scene.state_topic, scene.command_topic]]
    topics = [each for each in sides[random.integers(3)] if each] or [scene.state_topic]

    def change(each: RecordedMessage) -> RecordedMessage:
        for joint in chosen:
            each = with_joint(each, joint, lambda x: x * scale)
        return each

    return scene.each(topics, change)


def degrees(scene: Scene, random: np.random.Generator) -> Scene | None:
    """Publish degrees on one side or on both."""
    return _scaled(scene, random, "rad", 180 / math.pi)


def millimetres(scene: Scene, random: np.random.Generator) -> Scene | None:
    """Publish millimetres on one side or on both."""
    return _scaled(scene, random, "m", 1000.0)


def wrapped_angle(scene: Scene, random: np.random.Generator) -> Scene | None:
    """Mount a joint so that it passes pi, where its driver has it jump by a turn."""
    joint = scene.joint(random, "rad")
    if joint is None:
        return None
    values = positions(scene, scene.state_topic)[joint]
    offset = math.pi - float(np.mean(np.percentile(values, [20, 80])))
    wrapped = scene.each(
        [scene.state_topic],
        lambda e: with_joint(e, joint, lambda x: (x + offset + math.pi) % math.tau - math.pi),
    )
    commands = [scene.command_topic] if scene.command_topic else []
    return wrapped.each(commands, lambda e: with_joint(e, joint, lambda x: x + offset))


def dropout(scene: Scene, random: np.random.Generator) -> Scene | None:
    """Lose the messages of a stream for a while."""
    topic = str(random.choice([scene.state_topic, *scene.image_topics]))
    usual_s = float(np.median(np.diff([each.log_ns for each in scene.of(topic)]))) * 1e-9
    begin_ns = middle_ns(scene, random)
    end_ns = begin_ns + int(max(8 * usual_s, random.uniform(0.15, 1.2)) * 1e9)
    return scene.each([topic], lambda e: None if begin_ns < e.log_ns < end_ns else e)


def zero_stamps(scene: Scene, random: np.random.Generator) -> Scene | None:
    """Leave the stamps of a stream empty, all of them or a tenth."""
    share = float(random.choice([1.0, 0.1]))
    topic = str(random.choice([scene.state_topic, *scene.image_topics]))
    return scene.each([topic], lambda e: with_stamp(e, 0) if random.random() < share else e)


def stamps_since_boot(scene: Scene, random: np.random.Generator) -> Scene | None:
    """Record with a clock of today what a driver stamps with the time since it started."""
    today_ns = 1_790_000_000 * 10**9
    boot_ns = int(random.uniform(10, 1e5) * 1e9)
    every = [scene.state_topic, scene.command_topic, *scene.image_topics]
    topics = [every[:1], [t for t in every if t]][random.integers(2)]
    zero_ns = scene.ends_ns[0]
    shifted = scene.changed(later(each, today_ns - zero_ns) for each in scene.messages)
    return shifted.each(topics, lambda e: with_stamp(e, e.header_ns - today_ns + boot_ns))


def stamps_ahead(scene: Scene, random: np.random.Generator) -> Scene | None:
    """Have the clock of a driver ahead of that of the recorder."""
    ahead_ns = int(random.choice([0.03, 0.1, 0.5, 3.0]) * random.uniform(0.8, 1.2) * 1e9)
    topic = str(random.choice([scene.state_topic, *scene.image_topics]))
    return scene.each([topic], lambda e: with_stamp(e, e.header_ns + ahead_ns))


def stamps_go_back(scene: Scene, random: np.random.Generator) -> Scene | None:
    """Have messages arrive in another order than they were stamped."""
    messages = scene.of(scene.state_topic)
    at = random.integers(5, len(messages) - 6, size=random.integers(1, 6))
    swapped = {id(messages[i]): messages[i + 1].header_ns for i in at}
    swapped |= {id(messages[i + 1]): messages[i].header_ns for i in at}
    return scene.each(
        [scene.state_topic],
        lambda e: with_stamp(e, swapped[id(e)]) if id(e) in swapped else e,
    )


def two_clocks(scene: Scene, random: np.random.Generator) -> Scene | None:
    """Set a clock while it is recorded, have two drivers of two clocks, or let one drift."""
    off_ns = int(random.uniform(0.8, 20) * random.choice([-1, 1]) * 1e9)
    begin_ns, end_ns = scene.ends_ns
    moment_ns, how = middle_ns(scene, random), random.integers(3)
    drift = off_ns / (end_ns - begin_ns)

    def change(each: RecordedMessage) -> RecordedMessage:
        passed_ns = each.log_ns - begin_ns
        shifts = (
            off_ns * (each.log_ns > moment_ns),
            off_ns * (each.log_ns // (20 * MS) % 2),
            int(drift * passed_ns),
        )
        return with_stamp(each, max(each.header_ns + shifts[how], 1))

    return scene.each([scene.state_topic], change)


def frozen_images(scene: Scene, random: np.random.Generator) -> Scene | None:
    """Have a camera send its last image for a while, with new stamps."""
    if not scene.image_topics:
        return None
    topic = str(random.choice(scene.image_topics))
    begin_ns = int(scene.ends_ns[0] + random.uniform(0.1, 0.4) * scene.duration_s * 1e9)
    end_ns = begin_ns + int(random.uniform(1.2, 2.5) * 1e9)
    kept: list[Any] = []

    def change(each: RecordedMessage) -> RecordedMessage:
        if not begin_ns <= each.log_ns <= end_ns:
            return each
        kept.append(each.message.data)
        message = copy.copy(each.message)
        message.data = kept[0]
        return replace(each, message=message)

    return scene.each([topic], change)


def swapped_images(scene: Scene, random: np.random.Generator) -> Scene | None:
    """Exchange two cameras, from the beginning or from a moment on."""
    if len(scene.image_topics) < 2:
        return None
    one, other = scene.image_topics[:2]
    from_ns = scene.ends_ns[0] if random.random() < 0.5 else middle_ns(scene, random)
    names = {one: other, other: one}
    return scene.each(
        names, lambda e: replace(e, topic=names[e.topic]) if e.log_ns >= from_ns else e
    )


def outside_limits(scene: Scene, random: np.random.Generator) -> Scene | None:
    """Calibrate a joint wrongly, so that it is measured outside its limits."""
    rows = positions(scene, scene.state_topic)
    limits = {
        name: high
        for name, (_, high) in scene.limits.items()
        if math.isfinite(high) and name in rows
    }
    if not limits:
        return None
    name = str(random.choice(sorted(limits)))
    offset = limits[name] - float(np.max(rows[name])) + random.uniform(0.7, 1.5)
    topics = [scene.state_topic, scene.command_topic]
    return scene.each(topics, lambda e: with_joint(e, name, lambda x: x + offset))


def not_followed(scene: Scene, random: np.random.Generator) -> Scene | None:
    """Have the robot stop, as after its emergency stop, while commands continue."""
    if not scene.command_topic:
        return None
    begin_ns = int(scene.ends_ns[0] + random.uniform(0.1, 0.35) * scene.duration_s * 1e9)
    kept: list[Any] = []

    def change(each: RecordedMessage) -> RecordedMessage:
        if each.log_ns < begin_ns:
            return each
        kept.append(each.message.position)
        message = copy.copy(each.message)
        message.position = kept[0]
        return replace(each, message=message)

    return scene.each([scene.state_topic], change)


def commands_stop(scene: Scene, random: np.random.Generator) -> Scene | None:
    """Have commands end, or pause, while the robot moves."""
    if not scene.command_topic:
        return None
    begin_ns = int(scene.ends_ns[0] + random.uniform(0.1, 0.35) * scene.duration_s * 1e9)
    last_ns = int(
        random.choice([scene.ends_ns[1], begin_ns + max(1.5e9, 0.4 * scene.duration_s * 1e9)])
    )
    return scene.each(
        [scene.command_topic], lambda e: None if begin_ns < e.log_ns < last_ns else e
    )


def one_command(scene: Scene, random: np.random.Generator) -> Scene | None:
    """Record one command, or the same one again and again."""
    if not scene.command_topic:
        return None
    messages = scene.of(scene.command_topic)
    first, again = messages[0], random.random() < 0.5

    def change(each: RecordedMessage) -> RecordedMessage | None:
        if each is first:
            return each
        if not again:
            return None
        message = copy.copy(each.message)
        message.points = first.message.points
        return replace(each, message=message)

    return scene.each([scene.command_topic], change)


def duplicate_names(scene: Scene, random: np.random.Generator) -> Scene | None:
    """Have two drivers fill in one joint of a message."""
    joint = next(iter(scene.robot.action_spec.joint_names))
    off = float(random.choice([0.0, 0.3]))

    def change(each: RecordedMessage) -> RecordedMessage:
        message = copy.deepcopy(each.message)
        at = list(message.name).index(joint)
        message.name = [*message.name, joint]
        message.position = np.append(message.position, message.position[at] + off)
        message.velocity = message.effort = np.zeros(0)
        return replace(each, message=message)

    return scene.each([scene.state_topic], change)


def mixed_namespaces(scene: Scene, random: np.random.Generator) -> Scene | None:
    """Record the states of one robot with the commands of another one."""
    if not scene.command_topic:
        return None
    one, other = ("", "/right") if random.random() < 0.5 else ("/left", "/right")
    names = {scene.state_topic: one, scene.command_topic: other}
    topics = {names.get(topic, "") + topic: kind for topic, kind in scene.topics.items()}
    return replace(scene, topics=topics)


def exchanged_joints(scene: Scene, random: np.random.Generator) -> Scene | None:
    """Give the names of the states in another order, or a joint the other sign."""
    unit = "rad" if scene.joint(random, "rad") else "m"
    joint = scene.joint(random, unit)
    if not scene.command_topic or joint is None:
        return None
    topic = scene.state_topic
    other = next(
        (n for n in (scene.joint(random, unit) for _ in range(20)) if n and n != joint), None
    )
    if other is None or random.random() < 0.3:
        return scene.each([topic], lambda e: with_joint(e, joint, lambda x: -x))
    names = {joint: other, other: joint}

    def change(each: RecordedMessage) -> RecordedMessage:
        message = copy.copy(each.message)
        message.name = [names.get(name, name) for name in message.name]
        return replace(each, message=message)

    return scene.each([topic], change)


def near_duplicate(scene: Scene, random: np.random.Generator) -> Scene | None:
    """Record the same motion again, as of a robot that repeats a program."""
    joints = scene.robot.action_spec.joint_names

    def change(each: RecordedMessage) -> RecordedMessage:
        for joint in joints:
            each = with_joint(each, joint, lambda x: x + random.normal(0, 1e-5))
        return each

    again = scene.each([scene.state_topic], change)
    return replace(again, name=f"{scene.name}_again")


def outlier_episode(scene: Scene, random: np.random.Generator) -> Scene | None:
    """Have somebody demonstrate something else: from a moment on the robot leaves."""
    rows = positions(scene, scene.state_topic)
    joints = [n for n in scene.robot.action_spec.joint_names if n in rows]
    begin_ns, end_ns = scene.ends_ns[0], scene.ends_ns[1]
    ways = {n: random.choice([-1, 1]) * 2.5 * max(np.ptp(rows[n]), 0.05) for n in joints}

    def change(each: RecordedMessage) -> RecordedMessage:
        share = (each.log_ns - begin_ns) / (end_ns - begin_ns)
        for joint, way in ways.items():
            by = way * min(share / 0.5, 1.0)
            each = with_joint(each, joint, lambda x, by=by: x + by)
        return each

    return scene.each([t for t in (scene.state_topic, scene.command_topic) if t], change)


DEFECTS: Mapping[str, tuple[Defect, tuple[str, ...]]] = {
    "idle ends": (idle, ("idle_ends",)),
    "spike in a state": (spike_in_state, ("spike_in_state",)),
    "spike in a command": (spike_in_command, ("spike_in_command",)),
    "degrees": (degrees, ("degrees",)),
    "millimetres": (millimetres, ("millimetres",)),
    "wrapped angle": (wrapped_angle, ("wrapped_angle",)),
    "dropout": (dropout, ("dropout",)),
    "stamps of zero": (zero_stamps, ("zero_stamps",)),
    "stamps since boot": (stamps_since_boot, ("stamps_since_boot",)),
    "stamps ahead": (stamps_ahead, ("stamps_ahead",)),
    "stamps that go back": (stamps_go_back, ("stamps_go_back",)),
    "two clocks": (two_clocks, ("two_clocks", "stamps_ahead")),
    "frozen images": (frozen_images, ("frozen_images",)),
    "exchanged cameras": (swapped_images, ("swapped_images",)),
    "outside limits": (outside_limits, ("outside_limits",)),
    "not followed": (not_followed, ("not_followed",)),
    "commands stop": (commands_stop, ("commands_stop",)),
    "one command": (one_command, ("one_command",)),
    "duplicate names": (duplicate_names, ("duplicate_names",)),
    "mixed namespaces": (mixed_namespaces, ("mixed_namespaces",)),
    "near duplicate": (near_duplicate, ("near_duplicate",)),
    "outlier episode": (outlier_episode, ("outlier_episode",)),
    "exchanged joints": (exchanged_joints, ("exchanged_joints",)),
}
"""Name -> what plants it, and the kinds of findings that name it."""
