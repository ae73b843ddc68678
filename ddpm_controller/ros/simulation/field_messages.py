"""Messages whose fields a robot file observes, as Imu, made of what a world measures."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from geometry_msgs.msg import Quaternion

from ddpm_controller.messages.fields import MessageField
from ddpm_controller.messages.message_classes import message_class
from ddpm_controller.robots.streams import RobotStream
from ddpm_controller.ros.stamps import time_from
from ddpm_controller.simulation.world import NamedVector


def field_topics(
    streams: Sequence[RobotStream], vectors: Mapping[str, NamedVector]
) -> dict[str, tuple[RobotStream, ...]]:
    """Return topic -> the streams whose numbers it has, of those that a world measures."""
    measured = [each for each in streams if each.fields and each.spec.name in vectors]
    topics = dict.fromkeys(each.topic for each in measured)
    return {topic: tuple(each for each in measured if each.topic == topic) for topic in topics}


def field_message(
    streams: Sequence[RobotStream], vectors: Mapping[str, NamedVector], stamp_s: float
) -> Any:
    """Return the message of a topic, with the numbers of its streams; the others are 0.

    Args:
        streams: Streams of one topic.
        vectors: Stream -> what the world measures, with every element of the stream.
        stamp_s: Goes into the header, where the type has one.
    """
    message = message_class(streams[0].type)()
    if hasattr(message, "header"):
        message.header.stamp = time_from(stamp_s)
    for stream in streams:
        vector = vectors[stream.spec.name]
        order = [vector.names.index(name) for name in stream.spec.names]
        left = vector.values[order].tolist()
        for field in stream.fields:
            count = len(field.names)
            _set(message, field, left[:count])
            left = left[count:]
    return message


def _set(message: Any, field: MessageField, values: Sequence[float]) -> None:
    *path, last = field.path.split(".")
    for name in path:
        message = getattr(message, name)
    if field.form == "number":
        setattr(message, last, values[0])
    elif field.form == "rotation":
        x, y, z, w = quaternion_of(np.array(values))
        setattr(message, last, Quaternion(x=x, y=y, z=z, w=w))
    else:
        raise ValueError(
            f"{field.path}: a simulated world publishes numbers and orientations of six numbers, "
            f"not the form {field.form}: name the whole field in the robot file"
        )


def quaternion_of(six: np.ndarray) -> tuple[float, float, float, float]:
    """Return x, y, z, w of the first two columns of a rotation matrix, (6,).

    By the largest of the four, Shepperd 1978: no other is exact for every orientation.
    """
    first, second = six[:3], six[3:]
    third = np.cross(first, second)
    matrix = np.column_stack([first, second, third])
    trace = float(np.trace(matrix))
    squares = np.append(np.diag(matrix) * 2 - trace, trace) + 1.0  # 4 x^2, 4 y^2, 4 z^2, 4 w^2
    largest = int(squares.argmax())
    skew = np.array(
        [matrix[2, 1] - matrix[1, 2], matrix[0, 2] - matrix[2, 0], matrix[1, 0] - matrix[0, 1]]
    )
    if largest == 3:
        found = np.append(skew, squares[3])
    else:
        found = np.append(matrix[largest] + matrix[:, largest], skew[largest])
        found[largest] = squares[largest]
    found /= np.linalg.norm(found)
    x, y, z, w = found.tolist()
    return x, y, z, w
