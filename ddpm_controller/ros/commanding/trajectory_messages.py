"""Trajectories as the bytes that a JointTrajectory is sent as.

rclpy converts a message number by number, which at ten points takes as long as all that led to
them. Here numpy lays the same bytes out at once (CDR, little endian: each value aligned to its
size, strings and sequences behind their lengths).
"""

import numpy as np

from ddpm_controller.types import Trajectory

_SECOND_NS = 1_000_000_000
_FORMAT = b"\0\1\0\0"
"""In front of the bytes, and not counted in any alignment: CDR, little endian."""
_FIRST_CAPACITY = 32
_STAMP = 8
"""Bytes that a stamp or a duration takes."""


class TrajectoryMessages:
    """Makes the bytes of messages that have points for the same joints.

    Args:
        joint_names: Names of the joints in the order of the positions.
    """

    def __init__(self, joint_names: tuple[str, ...]) -> None:
        self._num_joints = len(joint_names)
        self._names = _names(joint_names)
        self._points: dict[int, _Points] = {}

    def message(self, trajectory: Trajectory) -> bytes:
        """Return the message, serialized.

        Stamp and ``time_from_start`` are whole nanoseconds, whose sum is that of the moment.

        Raises:
            ValueError: Rows that are not as wide as there are joints.
        """
        given = (trajectory.positions, trajectory.velocities, trajectory.accelerations)
        rows = [each for each in given if each is not None]
        shape = (trajectory.size, self._num_joints)
        if any(each.shape != shape for each in rows):
            raise ValueError(f"rows of {[each.shape for each in rows]}, each must be {shape}")
        if len(rows) not in self._points:
            self._points[len(rows)] = _Points(len(rows), self._num_joints)
        moments_ns = _nanoseconds(trajectory)
        begin_ns = moments_ns[0] if trajectory.stamp_s else 0
        stamp = np.array(divmod(begin_ns, _SECOND_NS), dtype="<u4").tobytes()
        count = trajectory.size.to_bytes(4, "little")
        points = self._points[len(rows)].of(rows, moments_ns - begin_ns)
        begin = _padded(stamp + self._names + count + self._num_joints.to_bytes(4, "little"), 8)
        return b"".join((_FORMAT, begin, points))


class _Points:
    """Points laid out in words of 8 bytes, a row of words each.

    A row begins with the positions and ends with the length of those of the next point, so that
    all rows are alike, wherever the first one begins.

    Args:
        num_rows: How many of positions, velocities and accelerations there are.
        num_joints: Number of joints.
    """

    def __init__(self, num_rows: int, num_joints: int) -> None:
        self._num_joints = num_joints
        lengths = [num_joints] * (num_rows - 1) + [0] * (4 - num_rows)  # the last is of efforts
        self._columns = [0]  # words at which positions, velocities and accelerations begin
        row = bytes(8 * num_joints)
        for length in lengths:
            row += length.to_bytes(4, "little")
            if length:
                row = _padded(row, 8)
                self._columns.append(len(row) // 8)
                row += bytes(8 * num_joints)
        self._after = len(row) // 4  # half word at which the time from the start is
        end = len(row) + _STAMP
        row = _padded(row + bytes(_STAMP) + num_joints.to_bytes(4, "little"), 8)
        self._surplus = len(row) - end
        self._row = np.frombuffer(row, dtype="<f8")
        self._make_room(_FIRST_CAPACITY)

    def of(self, rows: list[np.ndarray], after_ns: np.ndarray) -> bytes:
        """Return the bytes of points with ``rows``, (N, Da) each, ``after_ns`` the start."""
        count = len(after_ns)
        if count > len(self._words):
            self._make_room(2 * count)
        words = self._words[:count]
        for column, values in zip(self._columns, rows, strict=True):
            words[:, column : column + self._num_joints] = values
        seconds = after_ns // _SECOND_NS
        self._halves[:count, self._after] = seconds
        self._halves[:count, self._after + 1] = after_ns - seconds * _SECOND_NS
        return words.tobytes()[: -self._surplus]

    def _make_room(self, count: int) -> None:
        self._words = np.tile(self._row, (count, 1))
        self._halves = self._words.view("<u4")


def _names(joint_names: tuple[str, ...]) -> bytes:
    """Return what follows the stamp up to the points: an empty frame, and the joints."""
    found = bytes(_STAMP) + _string("")
    found = _padded(found, 4) + len(joint_names).to_bytes(4, "little")
    for name in joint_names:
        found = _padded(found, 4) + _string(name)
    return _padded(found, 4)[_STAMP:]


def _string(text: str) -> bytes:
    content = text.encode() + b"\0"
    return len(content).to_bytes(4, "little") + content


def _padded(content: bytes, size: int) -> bytes:
    return content + bytes(-len(content) % size)


def _nanoseconds(trajectory: Trajectory) -> np.ndarray:
    """Return the moments; a float of the system clock times 1e9 would lose 256 ns."""
    moments_s = trajectory.stamp_s + trajectory.times_s
    whole = np.floor(moments_s)
    rest = np.rint((moments_s - whole) * 1e9).astype(np.int64)
    found: np.ndarray = whole.astype(np.int64) * _SECOND_NS + rest
    return found
