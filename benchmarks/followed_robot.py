"""A robot that a default joint_trajectory_controller leads; the tests use it too."""

from collections.abc import Sequence

import numpy as np
from trajectory_msgs.msg import JointTrajectory

from ddpm_controller.ros.simulation.messages import trajectory_from
from ddpm_controller.ros.simulation.robot_side import RobotSide
from ddpm_controller.simulation.arm.arm import JOINT_NAMES
from ddpm_controller.simulation.drivers.interpolation import Point

UPDATE_S = 0.002
_STEP_S = 0.02
LONGEST_STOP_S = 2.0


class FollowedRobot:
    """Takes messages in the order of their arrival and makes the updates between them.

    Args:
        begin: Where it is at rest before the first message.
        update_s: Time between two updates of its controller.

    Attributes:
        moments_s: Moments for which the set points are, since the last ``forget``.
        points: The set points.
        refusals: Why messages were not taken.
    """

    def __init__(self, begin: Sequence[float], update_s: float = UPDATE_S) -> None:
        self._side = RobotSide("joint_trajectory_controller", JOINT_NAMES, 1 / update_s)
        self._update_s = update_s
        self._now_s = -np.inf
        self._at = Point(np.array(begin, dtype=np.float64)).completed()
        self.moments_s: list[float] = []
        self.points: list[Point] = []
        self.refusals: list[str] = []

    @property
    def position(self) -> list[float]:
        """Set point in force."""
        found: list[float] = self._at.position.tolist()
        return found

    def receive(self, message: JointTrajectory, arrived_s: float) -> None:
        """Take a message at the moment of its arrival."""
        self._side.receive(trajectory_from(message), arrived_s)

    def advance(self, now_s: float) -> None:
        """Make the updates up to ``now_s``, but not all of a longer time in which it rests."""
        until_s = min(now_s, self._now_s + LONGEST_STOP_S)
        steps = np.arange(self._now_s + _STEP_S, until_s, _STEP_S) if self._now_s > 0 else ()
        for step_s in (*steps, now_s):
            self._now_s = float(step_s)
            at = self._at.completed()
            self.refusals += self._side.advance(self._now_s, at.position, at.velocity)
            for moment_s, point in self._side.set_points:
                self.moments_s.append(moment_s + self._update_s)
                self.points.append(point)
                self._at = point

    def forget(self) -> None:
        """Keep only the newest set point."""
        del self.moments_s[:-1], self.points[:-1]

    def column(self, name: str) -> np.ndarray:
        """Return positions, velocities or accelerations of the set points, (N, D)."""
        return np.array([getattr(point, name) for point in self.points])
