"""What stands between the command topics and the drives of a simulated robot in real time.

Updates come at the controller's own rate, with each message at the moment of its arrival; they are
made up for at every tick of the world, whose set point is that of the newest update.
"""

from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np

from ddpm_controller.simulation.drivers.forward_controller import ForwardController, Targets
from ddpm_controller.simulation.drivers.interpolation import Point
from ddpm_controller.simulation.drivers.trajectory_controller import (
    ControllerRules,
    TrajectoryController,
)
from ddpm_controller.simulation.drivers.variants import (
    Driver,
    OffClock,
    RefusesInSilence,
    StandsStill,
    Switch,
)
from ddpm_controller.types import Trajectory

_MOST_UPDATES = 1000
"""That are made up for at one tick; more have gone by while the world stood still."""


class RobotSide:
    """A controller of the robot, by the clock of the world.

    Args:
        driver: ``joint_trajectory_controller`` or ``forward``.
        joint_names: Joints of the robot.
        driver_hz: Rate of its updates.
        continuous: Joints that the robot description calls continuous.
        clock_offset_s: So much its clock is ahead of the world's.

    Attributes:
        stop: Protective stop: while it is on the robot stays where it was.
        refusal: While it is on no message is taken, without a reason.
        speed_scaling: Share of the speed at which a trajectory is followed.
        set_points: Updates of the newest tick, each (moment, set point).
        accepted: Number of messages that were taken.
        refused: Number of those that were not.
    """

    def __init__(
        self,
        driver: str,
        joint_names: Sequence[str],
        driver_hz: float,
        continuous: Sequence[str] = (),
        clock_offset_s: float = 0.0,
    ) -> None:
        self._driver, self._joint_names = driver, tuple(joint_names)
        self._period_s, self._continuous = 1.0 / driver_hz, tuple(continuous)
        self._offset_s = clock_offset_s
        self.stop, self.refusal, self.speed_scaling = Switch(), Switch(), 1.0
        self.accepted = self.refused = 0
        self._begin()

    def _begin(self) -> None:
        driver: Driver[Any]
        if self._driver == "forward":
            driver = ForwardController(self._joint_names)
        else:
            driver = TrajectoryController(
                ControllerRules(self._joint_names, self._period_s, self._continuous)
            )
        driver = OffClock(driver, self._offset_s) if self._offset_s else driver
        driver = RefusesInSilence(driver, self.refusal)
        self._follower: StandsStill[Any] = StandsStill(driver, self.stop)
        self._updated_s: float | None = None
        self._waiting: deque[tuple[float, Trajectory | Targets]] = deque()
        self.set_points: list[tuple[float, Point]] = []

    def reset(self) -> None:
        """Begin where the robot is measured next: it was put there by hand."""
        self._begin()

    def receive(self, message: Trajectory | Targets, now_s: float) -> None:
        """Take a message that has come at ``now_s``."""
        self._waiting.append((now_s, message))

    def advance(self, now_s: float, measured: np.ndarray, velocity: np.ndarray) -> list[str]:
        """Make the updates up to ``now_s``; return why messages were refused.

        Args:
            now_s: Tick of the world.
            measured: (D,) positions.
            velocity: (D,) likewise.
        """
        if self._updated_s is None or now_s < self._updated_s:
            self._updated_s = now_s - self._period_s
        count = int((now_s - self._updated_s) / self._period_s + 1e-6)
        if count > _MOST_UPDATES:
            self._updated_s, count = now_s - self._period_s, 1
        begin_s, refusals = self._updated_s, []
        self.set_points = []
        for k in range(1, count + 1):
            self._updated_s = begin_s + k * self._period_s
            refusals += self._take(self._updated_s)
            moment_s, scaling = self._updated_s, self.speed_scaling
            point = self._follower.update(moment_s, measured, velocity, scaling)
            self.set_points.append((self._updated_s, point))
        return refusals

    def _take(self, now_s: float) -> list[str]:
        refusals = []
        while self._waiting and self._waiting[0][0] <= now_s:
            came_s, message = self._waiting.popleft()
            text = self._follower.receive(message, came_s)
            self.accepted += not text
            self.refused += bool(text)
            refusals += [text] if text else []
        return refusals
