"""The commands that leave the package."""

import numpy as np
from rclpy.event_handler import PublisherEventCallbacks
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from ddpm_controller.control.command import Command
from ddpm_controller.ros.commanding.sent_positions import SentPositions
from ddpm_controller.ros.commanding.trajectory_messages import TrajectoryMessages
from ddpm_controller.ros.stamps import duration_from, time_from
from ddpm_controller.types import Trajectory


class CommandPublisher:
    """Sends commands as the message that the robot takes.

    A trajectory carries velocities and accelerations too, an array only positions.

    Args:
        node: Owner of the publisher.
        output: ``joint_trajectory`` or ``commands``.
        joint_names: In the order of the positions.
        period_s: A position is to be reached after one control period.
        depth: Commands kept for a reliable listener.
        topic: Topic of the commands; left out: the name of the output.
        events: What to call when a listener does not fit.

    Attributes:
        positions: Positions that were sent lately.
    """

    def __init__(
        self,
        node: Node,
        output: str,
        joint_names: tuple[str, ...],
        period_s: float,
        depth: int,
        topic: str = "",
        events: PublisherEventCallbacks | None = None,
    ) -> None:
        self._trajectory = output == "joint_trajectory"
        self._joint_names = list(joint_names)
        self._period = duration_from(period_s)
        kind = JointTrajectory if self._trajectory else Float64MultiArray
        self._sent: Command | None = None
        self.positions = SentPositions()
        self._messages = TrajectoryMessages(joint_names)
        self.publisher: Publisher = node.create_publisher(
            kind, topic or output, QoSProfile(depth=depth), event_callbacks=events
        )

    def send(self, command: Command) -> None:
        """Publish ``command``, which has a position, as that of its tick."""
        assert command.position is not None
        self._sent = command
        self.positions.note(command.position)
        if not self._trajectory:
            self.publisher.publish(Float64MultiArray(data=command.position.tolist()))
            return
        point = JointTrajectoryPoint(
            positions=command.position.tolist(),
            velocities=_numbers(command.velocity),
            accelerations=_numbers(command.acceleration),
            time_from_start=self._period,
        )
        message = JointTrajectory(joint_names=self._joint_names, points=[point])
        message.header.stamp = time_from(command.stamp_s)
        self.publisher.publish(message)

    def send_trajectory(self, trajectory: Trajectory) -> None:
        """Publish several points, which end at rest."""
        self.positions.note(trajectory.positions[-1])
        self.publisher.publish(self._messages.message(trajectory))

    def repeat(self) -> None:
        """Send the last command again, where it carries its tick and so does no harm."""
        if self._trajectory and self._sent is not None:
            self.send(self._sent)


def _numbers(values: np.ndarray | None) -> list[float]:
    return [] if values is None else values.tolist()
