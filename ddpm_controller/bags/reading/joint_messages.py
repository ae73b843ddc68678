"""Joint states and trajectories out of CDR, whose names are the same from message to message.

Decoding the names is most of the work of reading them. So the bytes up to the end of the names are
compared with those of a message before, and only numbers are read. Whatever is otherwise, as
big-endian numbers, other names or bytes behind the end, is left to the reader for all types.
"""

import struct
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from rosbags.typesys.store import Typestore

JOINT_STATE = "sensor_msgs/msg/JointState"
TRAJECTORY = "trajectory_msgs/msg/JointTrajectory"
_POINT = "trajectory_msgs/msg/JointTrajectoryPoint"
_FIELDS = {
    "builtin_interfaces/msg/Time": ["sec", "nanosec"],
    "builtin_interfaces/msg/Duration": ["sec", "nanosec"],
    "std_msgs/msg/Header": ["stamp", "frame_id"],
    JOINT_STATE: ["header", "name", "position", "velocity", "effort"],
    TRAJECTORY: ["header", "joint_names", "points"],
    _POINT: ["positions", "velocities", "accelerations", "effort", "time_from_start"],
}
_LITTLE_ENDIAN = b"\x00\x01"
_BEGIN = 4
"""Bytes before the message, which its alignment does not count."""
_AFTER_STAMP = 12
_TIME = struct.Struct("<iI")
_COUNT = struct.Struct("<I")
_MOST_PADDING = 3

Read = Callable[[bytes], Any]


class _Names(NamedTuple):
    """The bytes of frame and names of a message, and what they are."""

    raw: bytes
    frame_id: str
    names: list[str]


class _OtherError(Exception):
    """A message that this file does not read."""


class JointMessages:
    """Reads messages of one type.

    Args:
        store: Types.
        message_type: ``JOINT_STATE`` or ``TRAJECTORY``.
        read: Reads every message.
    """

    def __init__(self, store: Typestore, message_type: str, read: Read) -> None:
        self._types, self._read = store.types, read
        self._numbers = self._state if message_type == JOINT_STATE else self._trajectory
        self._known = _Names(b"", "", [])

    def __call__(self, raw: bytes) -> Any:
        """Return a message of its CDR bytes, the same as ``read`` returns."""
        known = self._known  # one object: another thread may replace it
        end = _AFTER_STAMP + len(known.raw)
        if known.raw and raw[:2] == _LITTLE_ENDIAN and raw[_AFTER_STAMP:end] == known.raw:
            try:
                return self._numbers(raw, end, known)
            except (_OtherError, struct.error, ValueError):
                return self._read(raw)
        message = self._read(raw)
        if raw[:2] == _LITTLE_ENDIAN:
            names = message.name if hasattr(message, "name") else message.joint_names
            self._known = _known(raw, message.header.frame_id, names)
        return message

    def _header(self, raw: bytes, known: _Names) -> Any:
        stamp = self._types["builtin_interfaces/msg/Time"](*_TIME.unpack_from(raw, _BEGIN))
        return self._types["std_msgs/msg/Header"](stamp, known.frame_id)

    def _state(self, raw: bytes, at: int, known: _Names) -> Any:
        fields = []
        for _ in range(3):
            values, at = _doubles(raw, at)
            fields.append(values)
        _refuse_rest(raw, at)
        return self._types[JOINT_STATE](self._header(raw, known), known.names, *fields)

    def _trajectory(self, raw: bytes, at: int, known: _Names) -> Any:
        count, at = _count(raw, at)
        points = []
        for _ in range(count):
            fields = []
            for _ in range(4):
                values, at = _doubles(raw, at)
                fields.append(values)
            at = _aligned(at, 4)
            time = self._types["builtin_interfaces/msg/Duration"](*_TIME.unpack_from(raw, at))
            at += _TIME.size
            points.append(self._types[_POINT](*fields, time))
        _refuse_rest(raw, at)
        return self._types[TRAJECTORY](self._header(raw, known), known.names, points)


def is_usual(store: Typestore, message_type: str) -> bool:
    """Whether a type has the fields of today's ROS 2, in their order."""
    if message_type not in (JOINT_STATE, TRAJECTORY):
        return False
    return all(
        [name for name, _ in store.fielddefs[each][1]] == fields
        for each, fields in _FIELDS.items()
        if each in store.fielddefs
    )


def _known(raw: bytes, frame_id: str, names: list[str]) -> _Names:
    """Return the names of a message with the bytes that they were read from."""
    at = _AFTER_STAMP + 4 + len(frame_id.encode()) + 1
    _, at = _count(raw, at)
    for name in names:
        at = _aligned(at, 4) + 4 + len(name.encode()) + 1
    return _Names(raw[_AFTER_STAMP:at], frame_id, list(names))


def _aligned(at: int, size: int) -> int:
    return _BEGIN + (at - _BEGIN + size - 1) // size * size


def _count(raw: bytes, at: int) -> tuple[int, int]:
    """Return a number of elements, and where they begin."""
    at = _aligned(at, 4)
    return int(_COUNT.unpack_from(raw, at)[0]), at + 4


def _doubles(raw: bytes, at: int) -> tuple[np.ndarray, int]:
    """Return a list of float64, and where it ends."""
    count, at = _count(raw, at)
    if not count:
        return np.zeros(0), at
    at = _aligned(at, 8)
    return np.frombuffer(raw, "<f8", count, at), at + 8 * count


def _refuse_rest(raw: bytes, at: int) -> None:
    if not at <= len(raw) <= at + _MOST_PADDING:
        raise _OtherError
