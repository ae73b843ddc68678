"""One output of a robot: publishes its columns of every command, at its own rate."""

import numpy as np
from rclpy.event_handler import PublisherEventCallbacks
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile

from ddpm_controller.control.command import Command
from ddpm_controller.robots.outputs import JOINT_TRAJECTORY, STAMPED, RobotOutput
from ddpm_controller.ros.commanding.trajectory_messages import TrajectoryMessages
from ddpm_controller.ros.output_messages import MESSAGES, Part, message_of
from ddpm_controller.types import Trajectory


class OutputPublisher:
    """Sends an output what is commanded, as the message that its robot file names.

    Args:
        node: Owner of the publisher.
        output: What is sent where.
        columns: Columns of a command that are the output's.
        period_s: A position is to be reached after one control period.
        depth: Commands kept for a reliable listener.
        events: What to call when a listener does not fit.
    """

    def __init__(
        self,
        node: Node,
        output: RobotOutput,
        columns: slice,
        period_s: float,
        depth: int,
        events: PublisherEventCallbacks | None = None,
    ) -> None:
        self.output, self._columns, self._period_s = output, columns, period_s
        self._apart_s = 1.0 / output.rate_hz - period_s / 2 if output.rate_hz else 0.0
        self._last: Part | None = None
        self._sent: float | None = None
        self._trajectories = TrajectoryMessages(output.message_names)
        kind, _ = MESSAGES[output.type]
        self.publisher: Publisher = node.create_publisher(
            kind, output.topic, QoSProfile(depth=depth), event_callbacks=events
        )

    @property
    def is_trajectory(self) -> bool:
        """Whether it can be sent several points at once."""
        return self.output.type == JOINT_TRAJECTORY

    def send(self, command: Command) -> None:
        """Publish the output's columns of ``command``, which has a position, if they are due."""
        part = self._part(command)
        if self._last is not None and 0 <= part.stamp_s - self._last.stamp_s < self._apart_s:
            return
        if self.output.gripper is not None:
            place = self.output.gripper.due(float(part.position[0]), self._sent)
            if place is None:
                return
            self._sent = place
            part = Part(part.stamp_s, np.array([place]), None, None, self._period_s)
        self._last = part
        self.publisher.publish(message_of(self.output, part))

    def send_trajectory(self, trajectory: Trajectory) -> None:
        """Publish the output's columns of several points, which end at rest."""
        part = trajectory_part(trajectory, self.output.message_names, self._columns)
        self.publisher.publish(self._trajectories.message(part))

    def repeat(self) -> None:
        """Send the last command again, where it carries its tick and so does no harm."""
        if self._last is not None and self.output.type in STAMPED:
            self.publisher.publish(message_of(self.output, self._last))

    def _part(self, command: Command) -> Part:
        assert command.position is not None
        rows = (command.position, command.velocity, command.acceleration)
        position, velocity, acceleration = (
            None if row is None else row[self._columns] for row in rows
        )
        assert position is not None
        return Part(command.stamp_s, position, velocity, acceleration, self._period_s)


def trajectory_part(trajectory: Trajectory, names: tuple[str, ...], columns: slice) -> Trajectory:
    """Return some columns of a trajectory."""
    rows = (trajectory.positions, trajectory.velocities, trajectory.accelerations)
    parts = [None if each is None else each[:, columns] for each in rows]
    assert parts[0] is not None
    return Trajectory(trajectory.stamp_s, names, trajectory.times_s, parts[0], *parts[1:])
