"""The controllers of a simulated robot, one for each output of its robot file."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ddpm_controller.robots.outputs import JOINT_TRAJECTORY, RobotOutput
from ddpm_controller.ros.simulation.robot_side import RobotSide
from ddpm_controller.simulation.drivers.forward_controller import Targets
from ddpm_controller.simulation.drivers.interpolation import Point
from ddpm_controller.types import Trajectory


@dataclass(frozen=True)
class _Part:
    """The controller of some joints.

    Attributes:
        columns: Their places among the joints of the world.
        side: What takes their commands.
    """

    columns: np.ndarray
    side: RobotSide


class RobotSides:
    """All controllers, whose joints together are those of the world.

    Args:
        outputs: One controller each, as its type needs.
        joint_names: Joints of the world.
        driver_hz: Rate of the updates.
        continuous: Joints that the robot description calls continuous.
        clock_offset_s: Time by which the robot's clock is ahead of the world's, s.

    Attributes:
        set_points: Updates of the newest tick, each (moment, set point of all joints).
    """

    def __init__(
        self,
        outputs: Sequence[RobotOutput],
        joint_names: Sequence[str],
        driver_hz: float,
        continuous: Sequence[str] = (),
        clock_offset_s: float = 0.0,
    ) -> None:
        self._num_joints = len(joint_names)
        self._parts: dict[str, _Part] = {}
        for output in outputs:
            kind = "joint_trajectory_controller" if output.type == JOINT_TRAJECTORY else "forward"
            turning = [each.removeprefix(output.prefix) for each in continuous]
            side = RobotSide(kind, output.message_names, driver_hz, turning, clock_offset_s)
            columns = np.array([joint_names.index(name) for name in output.names])
            self._parts[output.name] = _Part(columns, side)
        self.set_points: list[tuple[float, Point]] = []

    @property
    def _sides(self) -> list[RobotSide]:
        return [part.side for part in self._parts.values()]

    @property
    def accepted(self) -> int:
        """Number of messages that were taken."""
        return sum(side.accepted for side in self._sides)

    @property
    def refused(self) -> int:
        """Number of messages that were not."""
        return sum(side.refused for side in self._sides)

    def switch(self, *, stop: bool, refusal: bool, speed_scaling: float) -> None:
        """Let all controllers be as ``RobotSide`` names it, from the next update on."""
        for side in self._sides:
            side.stop.is_on, side.refusal.is_on = stop, refusal
            side.speed_scaling = speed_scaling

    def reset(self) -> None:
        """Begin where the robot is measured next: it was put there by hand."""
        for side in self._sides:
            side.reset()

    def receive(self, name: str, message: Trajectory | Targets, now_s: float) -> None:
        """Take a message for an output that has come at ``now_s``."""
        self._parts[name].side.receive(message, now_s)

    def note_refused(self, name: str) -> None:
        """Count a message that was no command at all."""
        self._parts[name].side.refused += 1

    def advance(self, now_s: float, measured: np.ndarray, velocity: np.ndarray) -> list[str]:
        """Make the updates up to ``now_s``; return why messages were refused.

        Args:
            now_s: Tick of the world.
            measured: (D,) positions of all joints.
            velocity: (D,) likewise.
        """
        refusals = []
        for part in self._parts.values():
            own = part.columns
            refusals += part.side.advance(now_s, measured[own], velocity[own])
        counts = [len(side.set_points) for side in self._sides]
        self.set_points = [self._joined(k - min(counts)) for k in range(min(counts))]
        return refusals

    def _joined(self, place: int) -> tuple[float, Point]:
        """Return one update of all controllers; ``place`` counts from the end, below 0."""
        rows = np.zeros((3, self._num_joints))
        for part in self._parts.values():
            moment_s, point = part.side.set_points[place]
            complete = point.completed()
            rows[:, part.columns] = complete.position, complete.velocity, complete.acceleration
        return moment_s, Point(*rows)
