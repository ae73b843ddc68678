"""Messages to values and back, the same for a live topic and for a bag.

Duck-typed on purpose: a message is whatever has the fields, from rclpy or from rosbags, so bags
are read where there is no ROS.
"""

import array
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ddpm_controller.data.text_features import TextError, text_features
from ddpm_controller.messages.fields import FieldError
from ddpm_controller.messages.image_encodings import ImageError
from ddpm_controller.messages.images import image_from, refuse_size
from ddpm_controller.messages.stamps import seconds
from ddpm_controller.robots.streams import RobotStream


class ConversionError(ValueError):
    """A message does not hold what the robot file names.

    Attributes:
        joints: Joints of the robot file that the message names; empty where it has no joints.
    """

    def __init__(self, text: str, joints: Sequence[str] = ()) -> None:
        super().__init__(text)
        self.joints = tuple(joints)


def observation_from(
    message: Any, stream: RobotStream, came_s: float = math.nan, prefix: str = ""
) -> tuple[float, np.ndarray, np.ndarray | None] | None:
    """Return what one message of a topic brings of ``stream``; None: nothing.

    It is the acquisition time, the value, and which elements of a vector the message has, (D,);
    None: all. The others are NaN in the value: another message brings them. Whether the numbers
    are finite is for the buffer. Frames are read by ``StreamReader``.

    Args:
        message: Message of the stream's type.
        stream: What is read.
        came_s: When it came, which stands for the acquisition where a message has no stamp.
        prefix: Stands before the joints of the message in the names of the stream.

    Raises:
        ConversionError: Sizes or encoding are not those of the robot file, a joint has two
            numbers or none, a field is not there or not measured, or a text has no word.
    """
    try:
        stamp_s = _stamp_s(message, stream, came_s)
        if stream.is_text:
            return stamp_s, text_features(message.data, stream.spec.shape[0]), None
        if stream.fields:
            return stamp_s, values_of(message, stream), None
        if stream.spec.kind == "vector":
            found = part_of_vector(message, stream.spec.names, stream.field, prefix)
            return None if found is None else (stamp_s, stream.in_si(found[0]), found[1])
        height, width = stream.message_size
        part = (stream.spec.shape[:2], stream.crop, stream.spec.depth_range_m)
        return stamp_s, image_from(message, height, width, *part), None
    except (ConversionError, FieldError, ImageError, TextError) as error:
        joints = error.joints if isinstance(error, ConversionError) else ()
        raise ConversionError(f"{stream.spec.name}: {error}", joints) from None


def refuse_other_size(message: Any, stream: RobotStream) -> None:
    """Refuse a CompressedImage of another size than the stream's; nothing is decoded.

    Raises:
        ConversionError: It is, or has no header.
    """
    try:
        refuse_size(message, *stream.message_size)
    except ImageError as error:
        raise ConversionError(f"{stream.spec.name}: {error}") from None


def values_of(message: Any, stream: RobotStream) -> np.ndarray:
    """Return the fields of a message that a stream observes, in SI; (D,) float64.

    Raises:
        FieldError: One is not there, or not measured.
    """
    return stream.in_si(
        np.array([x for each in stream.fields for x in each.values(message)], dtype=np.float64)
    )


def _stamp_s(message: Any, stream: RobotStream, came_s: float) -> float:
    """Return the acquisition time; of fields without one, also with a stamp of 0, the arrival."""
    if not stream.is_stamped:
        return came_s
    stamp_s = seconds(message.header.stamp)
    return came_s if stream.fields and stamp_s == 0 else stamp_s


def part_of_vector(
    message: Any, names: Sequence[str], field: str = "position", prefix: str = ""
) -> tuple[np.ndarray, np.ndarray | None] | None:
    """Return the elements of ``names`` that a JointState has; None: it has none of them.

    ``prefix`` stands before each of its joints.

    Returns:
        Values, (D,) float64, NaN where the message has no such joint; and which it has, (D,), or
        None where it has all.

    Raises:
        ConversionError: The field is empty or of another length than the names, or a joint has
            two numbers.
    """
    have = [prefix + name for name in message.name] if prefix else message.name
    places = {name: i for i, name in enumerate(have)}  # once for all of the names
    wanted = [name for name in names if name in places]
    if not wanted:
        return None
    numbers = _numbers(have, getattr(message, field), f"field {field!r}", wanted)
    if len(places) != len(have):
        _refuse_contradiction(list(have), numbers, wanted)
    if len(wanted) == len(names):
        row, present = numbers[[places[name] for name in names]], None
    else:
        present = np.array([name in places for name in names])
        row = np.full(len(names), math.nan)
        row[present] = numbers[[places[name] for name in wanted]]
    return row, present


def vector_from(message: Any, names: Sequence[str], field: str = "position") -> np.ndarray:
    """Return one field of a JointState in the order of ``names``; (D,) float64.

    Raises:
        ConversionError: A name is missing, or the field is empty or of another length.
    """
    return _by_name(list(message.name), getattr(message, field), names, f"field {field!r}")


def positions_from(message: Any, names: Sequence[str], moment_s: float = -math.inf) -> np.ndarray:
    """Return the positions of a JointTrajectory's point in this order; (D,) float64.

    Args:
        message: JointTrajectory.
        names: Order of the positions.
        moment_s: The last point up to this moment counts; the first one where none is.

    Raises:
        ConversionError: A name is missing, or there are no points or too few positions.
    """
    if len(message.points) == 0:
        raise ConversionError("command has no points")
    point = message.points[0]
    for each in message.points[1:] if moment_s > -math.inf else ():
        if seconds(message.header.stamp) + seconds(each.time_from_start) <= moment_s:
            point = each
    return _by_name(list(message.joint_names), point.positions, names, "positions")


def byte_array(pixels: np.ndarray) -> "array.array[int]":
    """Return bytes as the array that rclpy takes as it is; a list would cost 0.1 s per image."""
    data = array.array("B")
    data.frombytes(np.ascontiguousarray(pixels, dtype=np.uint8).tobytes())
    return data


def _by_name(have: list[str], numbers: Any, names: Sequence[str], what: str) -> np.ndarray:
    missing = [name for name in names if name not in have]
    if missing:
        raise ConversionError(
            f"joints {missing} are missing: the message has {have}, the robot file {list(names)}"
        )
    row = _numbers(have, numbers, what, names)
    if len(set(have)) != len(have):
        _refuse_contradiction(have, row, names)
    return row[[have.index(name) for name in names]]


def _numbers(have: Sequence[str], numbers: Any, what: str, wanted: Sequence[str]) -> np.ndarray:
    row = np.asarray(numbers, dtype=np.float64)
    if row.shape != (len(have),):
        raise ConversionError(
            f"{len(have)} joint names but {row.size} numbers in {what}, which has to have "
            f"{list(wanted)}",
            wanted,
        )
    return row


def _refuse_contradiction(have: list[str], row: np.ndarray, wanted: Sequence[str]) -> None:
    """Refuse a joint that is in a message twice with two values: one of them is wrong."""
    for name in wanted:
        values = {float(x) for each, x in zip(have, row, strict=True) if each == name}
        if len(values) > 1:
            raise ConversionError(
                f"joint {name!r} is in one message twice, with {sorted(values)}: only one driver "
                "may fill in a joint",
                wanted,
            )
