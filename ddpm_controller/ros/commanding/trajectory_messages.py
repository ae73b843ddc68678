"""Trajectories as messages, without converting a point again that was sent before."""

from array import array

import numpy as np
from builtin_interfaces.msg import Time
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from ddpm_controller.types import Trajectory

_SECOND_NS = 1_000_000_000


class TrajectoryMessages:
    """Makes messages; most points of a stream are in several of them.

    Args:
        joint_names: Names of the joints in the order of the positions.
    """

    def __init__(self, joint_names: tuple[str, ...]) -> None:
        self._joint_names = list(joint_names)
        self._known: dict[tuple[int, bytes], JointTrajectoryPoint] = {}

    def message(self, trajectory: Trajectory) -> JointTrajectory:
        """Return the message, whose points count until the next call.

        Stamp and ``time_from_start`` are whole nanoseconds, whose sum is that of the moment.
        """
        moments_ns = _nanoseconds(trajectory)
        begin_ns = moments_ns[0] if trajectory.stamp_s else 0
        known: dict[tuple[int, bytes], JointTrajectoryPoint] = {}
        points = []
        for moment_ns, rows in zip(moments_ns, _rows(trajectory), strict=True):
            key = moment_ns, b"".join(rows)
            point = known[key] = self._known.get(key) or _point(rows)
            after = point.time_from_start
            after.sec, after.nanosec = divmod(moment_ns - begin_ns, _SECOND_NS)
            points.append(point)
        self._known = known
        message = JointTrajectory(joint_names=self._joint_names, points=points)
        sec, nanosec = divmod(begin_ns, _SECOND_NS)
        message.header.stamp = Time(sec=sec, nanosec=nanosec)
        return message


def _nanoseconds(trajectory: Trajectory) -> list[int]:
    """Return the moments; a float of the system clock times 1e9 would lose 256 ns."""
    moments_s = trajectory.stamp_s + trajectory.times_s
    whole = np.floor(moments_s)
    rest = np.rint((moments_s - whole) * 1e9).astype(np.int64)
    found: list[int] = (whole.astype(np.int64) * _SECOND_NS + rest).tolist()
    return found


def _rows(trajectory: Trajectory) -> list[tuple[bytes, ...]]:
    """Return positions, and what else there is, of each point as bytes."""
    given = (trajectory.positions, trajectory.velocities, trajectory.accelerations)
    size = 8 * len(trajectory.joint_names)
    begins = range(0, size * trajectory.size, size)
    whole = [each.tobytes() for each in given if each is not None]
    return [tuple(each[i : i + size] for each in whole) for i in begins]


def _point(rows: tuple[bytes, ...]) -> JointTrajectoryPoint:
    values = [array("d", row) for row in rows]
    names = ("positions", "velocities", "accelerations")
    return JointTrajectoryPoint(**dict(zip(names, values, strict=False)))
