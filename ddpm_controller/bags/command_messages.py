"""Messages of a command topic to the columns of an action, the same live and from a bag.

Duck-typed as ``conversions``: a message is whatever has the fields.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ddpm_controller.bags.conversions import (
    ConversionError,
    part_of_vector,
    positions_from,
    vector_from,
)
from ddpm_controller.data.commanded_motion import CommandedPoints
from ddpm_controller.messages.rotation_vectors import rotation_vector_from
from ddpm_controller.robots.outputs import (
    FLOAT64,
    JOINT_STATE,
    JOINT_TRAJECTORY,
    MULTI_ARRAY,
    POSE_STAMPED,
    TWIST,
    TWIST_STAMPED,
    RobotOutput,
    component,
)


def command_from(message: Any, output: RobotOutput, kind: str) -> np.ndarray | None:
    """Return what one message commands, in the order of the output's columns.

    Args:
        message: From a topic of the output, or of its recording.
        output: Whose columns they are.
        kind: Type of the message, by its full name.

    Returns:
        (D,) float64; None of a joint state that has none of the joints, as where the measured
        joints stand for the command.

    Raises:
        ConversionError: Names, sizes or frame are not those of the robot file.
    """
    return _READERS[kind](message, output)


def commanded_points(message: Any, output: RobotOutput, stamp_ns: int) -> CommandedPoints | None:
    """Return what one recorded message commands as a motion; None as ``command_from``.

    Raises:
        ConversionError: Names or sizes are not those of the robot file, or its points go back in
            time.
    """
    first = command_from(message, output, output.in_bags[1])
    if first is None:
        return None
    points = getattr(message, "points", ())
    if len(points) < 2:
        after_ns = np.array([_after_ns(point) for point in points] or [0])
        return CommandedPoints(stamp_ns, after_ns, first[None])
    after_ns = np.array([_after_ns(point) for point in points])
    if (np.diff(after_ns) <= 0).any():
        raise ConversionError(
            f"the points of a command are at {(after_ns / 1e9).tolist()} s from its start: the "
            "times must rise"
        )
    names = list(message.joint_names)
    columns = [names.index(name) for name in output.message_names]
    positions = _rows([point.positions for point in points], names, "positions")[:, columns]
    velocities = None
    if all(len(point.velocities) == len(names) for point in points):
        velocities = _rows([point.velocities for point in points], names, "velocities")
        velocities = velocities[:, columns]
    return CommandedPoints(stamp_ns, after_ns, positions, velocities)


def _trajectory(message: Any, output: RobotOutput) -> np.ndarray:
    """Return the positions of the first point, by name."""
    return positions_from(message, output.message_names)


def _array(message: Any, output: RobotOutput) -> np.ndarray:
    """Return the numbers, which have no names and must be in the order of the robot file."""
    row = np.asarray(message.data, dtype=np.float64)
    if row.shape != (len(output.names),):
        raise ConversionError(
            f"command has {row.size} numbers, the robot file has {len(output.names)} joints: "
            f"{list(output.names)}"
        )
    return row


def _number(message: Any, output: RobotOutput) -> np.ndarray:
    return np.array([message.data], dtype=np.float64)


def _joint_state(message: Any, output: RobotOutput) -> np.ndarray | None:
    field = "velocity" if output.kind == "joint_velocity" else "position"
    found = part_of_vector(message, output.message_names, field)
    if found is None or found[1] is None:
        return None if found is None else found[0]
    return vector_from(message, output.message_names, field)  # refuses, as some are missing


def _twist(message: Any, output: RobotOutput) -> np.ndarray:
    """Return the named parts; what is not named must be 0, or it would be lost silently."""
    parts = {
        f"{part}.{axis}": float(getattr(getattr(message, part), axis))
        for part in ("linear", "angular")
        for axis in "xyz"
    }
    named = [component(name) for name in output.names]
    lost = {name: value for name, value in parts.items() if name not in named and value != 0}
    if lost:
        raise ConversionError(f"command has {lost}, the robot file only {list(output.names)}")
    return np.array([parts[name] for name in named])


def _twist_stamped(message: Any, output: RobotOutput) -> np.ndarray:
    _refuse_frame(message, output)
    return _twist(message.twist, output)


def _pose(message: Any, output: RobotOutput) -> np.ndarray:
    """Return the place and the rotation vector from the reference orientation."""
    _refuse_frame(message, output)
    place, turn = message.pose.position, message.pose.orientation
    quaternion = np.array([turn.x, turn.y, turn.z, turn.w], dtype=np.float64)
    try:
        vector = rotation_vector_from(quaternion, np.array(output.reference))
    except ValueError as error:
        raise ConversionError(f"command: {error}") from None
    return np.concatenate([[place.x, place.y, place.z], vector])


def _refuse_frame(message: Any, output: RobotOutput) -> None:
    frame = str(message.header.frame_id)
    if output.frame_id and frame != output.frame_id:
        raise ConversionError(
            f"command is in frame {frame!r}, the robot file has {output.frame_id!r}"
        )


def _rows(points: Sequence[Any], names: Sequence[str], what: str) -> np.ndarray:
    sizes = {len(point) for point in points}
    if sizes != {len(names)}:
        raise ConversionError(
            f"{len(names)} joint names but points with {sorted(sizes)} numbers in {what}"
        )
    return np.array([np.asarray(point, dtype=np.float64) for point in points])


def _after_ns(point: Any) -> int:
    after = point.time_from_start
    return int(after.sec) * 1_000_000_000 + int(after.nanosec)


_READERS: dict[str, Callable[[Any, RobotOutput], np.ndarray | None]] = {
    JOINT_TRAJECTORY: _trajectory,
    MULTI_ARRAY: _array,
    FLOAT64: _number,
    JOINT_STATE: _joint_state,
    TWIST: _twist,
    TWIST_STAMPED: _twist_stamped,
    POSE_STAMPED: _pose,
}
"""Type of a recorded command -> what reads it."""
