"""Trajectories as messages, without converting a point again that was sent before."""

from array import array

from builtin_interfaces.msg import Duration, Time
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from ddpm_controller.bags.conversions import stamp_from
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
        begin_ns = _nanoseconds(trajectory.stamp_s)
        known: dict[tuple[int, bytes], JointTrajectoryPoint] = {}
        points = []
        for i, time_s in enumerate(trajectory.times_s.tolist()):
            moment_ns = _nanoseconds(trajectory.stamp_s + time_s)
            key = moment_ns, _content(trajectory, i)
            point = known[key] = self._known.get(key) or _point(trajectory, i)
            since_ns = moment_ns - begin_ns
            point.time_from_start = Duration(
                sec=since_ns // _SECOND_NS, nanosec=since_ns % _SECOND_NS
            )
            points.append(point)
        self._known = known
        message = JointTrajectory(joint_names=self._joint_names, points=points)
        sec, nanosec = divmod(begin_ns, _SECOND_NS)
        message.header.stamp = Time(sec=sec, nanosec=nanosec)
        return message


def _nanoseconds(moment_s: float) -> int:
    sec, nanosec = stamp_from(moment_s)
    return sec * _SECOND_NS + nanosec


def _content(trajectory: Trajectory, i: int) -> bytes:
    rows = (trajectory.positions, trajectory.velocities, trajectory.accelerations)
    return b"".join(each[i].tobytes() for each in rows if each is not None)


def _point(trajectory: Trajectory, i: int) -> JointTrajectoryPoint:
    point = JointTrajectoryPoint(positions=array("d", trajectory.positions[i].tobytes()))
    if trajectory.velocities is not None:
        point.velocities = array("d", trajectory.velocities[i].tobytes())
    if trajectory.accelerations is not None:
        point.accelerations = array("d", trajectory.accelerations[i].tobytes())
    return point
