"""An episode as the messages of the robot that it is of, so that a bag of them is read as it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ddpm_controller.bags.message_types import blank
from ddpm_controller.bags.storages import BagTopic
from ddpm_controller.lerobot.dataset_writer import png_of
from ddpm_controller.lerobot.features import refuse_depth
from ddpm_controller.lerobot.libraries import LeRobotError
from ddpm_controller.messages.fields import MessageField
from ddpm_controller.messages.rotation_vectors import quaternion_from
from ddpm_controller.robots.outputs import (
    FLOAT64,
    JOINT_STATE,
    JOINT_TRAJECTORY,
    MULTI_ARRAY,
    POSE_STAMPED,
    TWIST,
    TWIST_STAMPED,
    RobotOutput,
    columns_of,
    numbers_of,
)
from ddpm_controller.robots.robot import Robot
from ddpm_controller.robots.streams import COMPRESSED_IMAGE, IMAGE, RobotStream, StreamSource

Message = tuple[str, Any]
"""Absolute topic and message."""
_FORMS = ("number", "entry", "vector")
"""Forms of fields that can be written back as they were read."""


def refuse_unwritable_streams(robot: Robot) -> None:
    """Refuse streams whose messages cannot be made from what a policy sees of them.

    Raises:
        LeRobotError: With the stream and what to do.
    """
    refuse_depth(robot)
    for stream in robot.streams:
        name, forms = stream.spec.name, {each.form for each in stream.fields}
        if stream.frames is not None or not forms <= set(_FORMS):
            raise LeRobotError(
                f"stream {name!r}: frames and rotations cannot be written back exactly: observe "
                "joints, numbers, rotation vectors, pictures or sentences"
            )


def bag_topics(robot: Robot) -> list[BagTopic]:
    """Return the topics of the messages of a robot's episodes."""
    kinds = {_absolute(s.topic): each.type for each in robot.streams for s in each.sources}
    texts = {_absolute(each.topic) for each in robot.streams if each.is_text}
    for output in robot.outputs:
        topic, kind = output.in_bags
        kinds.setdefault(_absolute(topic), kind)
    return [
        BagTopic(topic, kind, transient_local=topic in texts, depth=1 if topic in texts else 100)
        for topic, kind in kinds.items()
    ]


class EpisodeMessages:
    """Makes the messages of a moment.

    Args:
        robot: Whose messages they are; see ``refuse_unwritable_streams``.
        period_ns: Time from one moment to the next.
    """

    def __init__(self, robot: Robot, period_ns: int) -> None:
        self._robot = robot
        # A longer way would be read as a motion from where the robot is.
        self._reach_ns = min(period_ns, round(robot.period_s * 1e9))
        self._sources: dict[str, list[StreamSource]] = {}
        for stream in robot.streams:
            for source in stream.sources:
                self._sources.setdefault(source.topic, []).append(source)
        self._columns = columns_of(robot.outputs)

    def at(
        self, stamp_ns: int, values: Mapping[str, np.ndarray], action: np.ndarray
    ) -> Iterator[Message]:
        """Yield the messages of one moment.

        Args:
            stamp_ns: The moment.
            values: Stream -> (D,) in SI, or (H, W, 3) uint8 at the size of its messages.
            action: (Da,).
        """
        for topic, sources in self._sources.items():
            stream = sources[0].stream
            if stream.is_text:
                continue  # published once
            value = values[stream.spec.name]
            if stream.type == JOINT_STATE:
                yield _absolute(topic), _joint_state(stamp_ns, sources, values)
            elif stream.spec.kind == "image":
                yield _absolute(topic), _picture(stamp_ns, stream, value)
            else:
                yield _absolute(topic), _fields(stamp_ns, sources, values)
        for output in self._robot.outputs:
            topic, kind = output.in_bags
            if topic not in self._sources:  # else the measured joints stand for the command
                row = action[self._columns[output.name]]
                yield _absolute(topic), self._command(stamp_ns, output, kind, row)

    def text(self, sentence: str) -> Iterator[Message]:
        """Yield a sentence on the topics of texts."""
        for stream in self._robot.streams:
            if stream.is_text:
                message = blank(stream.type)
                message.data = sentence
                yield _absolute(stream.topic), message

    def _command(self, stamp_ns: int, output: RobotOutput, kind: str, row: np.ndarray) -> Any:
        message = blank(kind)
        if hasattr(message, "header"):
            _stamp(message.header, stamp_ns, output.frame_id)
        if kind == JOINT_TRAJECTORY:
            point = blank("trajectory_msgs/msg/JointTrajectoryPoint")
            point.positions = row
            after = point.time_from_start
            after.sec, after.nanosec = divmod(self._reach_ns, 1_000_000_000)
            message.joint_names, message.points = list(output.message_names), [point]
        elif kind == JOINT_STATE:
            field = "velocity" if output.kind == "joint_velocity" else "position"
            message.name = list(output.message_names)
            setattr(message, field, row)
        elif kind == MULTI_ARRAY:
            message.data = row
        elif kind == FLOAT64:
            message.data = float(row[0])
        else:
            _fill_cartesian(message, kind, numbers_of(output, row).tolist())
        return message


def _fill_cartesian(message: Any, kind: str, numbers: Sequence[float]) -> None:
    """Write the numbers of a twist or a pose."""
    parts = {
        TWIST: ("linear", "angular"),
        TWIST_STAMPED: ("twist.linear", "twist.angular"),
        POSE_STAMPED: ("pose.position", "pose.orientation"),
    }[kind]
    for path, first in zip(parts, (0, 3), strict=True):
        for axis, number in zip(
            "xyzw", numbers[first:][: 4 if "ori" in path else 3], strict=False
        ):
            _set(message, f"{path}.{axis}", number)


def _joint_state(
    stamp_ns: int, sources: Sequence[StreamSource], values: Mapping[str, np.ndarray]
) -> Any:
    """Return one message with what all streams of a topic have of it; NaN where none has it."""
    message, found = blank(JOINT_STATE), dict[str, dict[str, float]]()
    for source in sources:
        numbers = _in_message(source.stream, values)
        for name, number in zip(source.stream.spec.names, numbers.tolist(), strict=True):
            if name.startswith(source.prefix):
                found.setdefault(source.stream.field, {})[name.removeprefix(source.prefix)] = (
                    number
                )
    names = list(dict.fromkeys(name for of_field in found.values() for name in of_field))
    _stamp(message.header, stamp_ns)
    message.name = names
    for field, of_field in found.items():
        setattr(message, field, np.array([of_field.get(name, np.nan) for name in names]))
    return message


def _picture(stamp_ns: int, stream: RobotStream, image: np.ndarray) -> Any:
    message = blank(stream.type)
    _stamp(message.header, stamp_ns, stream.spec.name)
    if stream.type == COMPRESSED_IMAGE:
        message.format = "rgb8; png compressed bgr8"
        message.data = np.frombuffer(png_of(image), np.uint8)
    else:
        assert stream.type == IMAGE
        message.height, message.width = image.shape[:2]
        message.encoding, message.step = "rgb8", 3 * image.shape[1]
        message.data = np.ascontiguousarray(image).reshape(-1)
    return message


def _fields(
    stamp_ns: int, sources: Sequence[StreamSource], values: Mapping[str, np.ndarray]
) -> Any:
    message = blank(sources[0].stream.type)
    if hasattr(message, "header"):
        _stamp(message.header, stamp_ns)
    for source in sources:
        numbers = iter(_in_message(source.stream, values).tolist())
        for field in source.stream.fields:
            _fill(message, field, [next(numbers) for _ in field.names])
    return message


def _fill(message: Any, field: MessageField, numbers: Sequence[float]) -> None:
    if field.form == "number":
        _set(message, field.path, numbers[0])
    elif field.form == "vector":
        turn = quaternion_from(np.array(numbers), np.array(field.reference))
        for axis, number in zip("xyzw", turn.tolist(), strict=True):
            _set(message, f"{field.path}.{axis}", number)
    else:
        owner, name = _owner(message, field.path)
        entries = np.asarray(getattr(owner, name))
        entries = np.pad(entries, (0, max(field.index + 1 - len(entries), 0)))
        entries[field.index] = numbers[0]
        setattr(owner, name, entries)


def _set(message: Any, path: str, number: float) -> None:
    """Write a number in the type that is there: a switch, a whole number or any."""
    owner, name = _owner(message, path)
    kind = type(getattr(owner, name))
    setattr(owner, name, kind(round(number)) if kind in (bool, int) else number)


def _owner(message: Any, path: str) -> tuple[Any, str]:
    *before, name = path.split(".")
    for each in before:
        message = getattr(message, each)
    return message, name


def _in_message(stream: RobotStream, values: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the values (D,) of a stream in the units of its messages."""
    numbers: np.ndarray = values[stream.spec.name] / stream.in_si(np.ones(stream.spec.shape))
    return numbers


def _stamp(header: Any, stamp_ns: int, frame: str = "") -> None:
    header.stamp.sec, header.stamp.nanosec = divmod(stamp_ns, 1_000_000_000)
    header.frame_id = frame


def _absolute(topic: str) -> str:
    return f"/{topic.lstrip('/')}"
