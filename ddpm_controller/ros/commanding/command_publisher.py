"""The commands that leave the package: each output of the robot on its topic."""

from collections import deque
from collections.abc import Callable, Sequence

from rclpy.event_handler import PublisherEventCallbacks
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile

from ddpm_controller.control.command import Command
from ddpm_controller.robots.outputs import JOINT_TRAJECTORY, RobotOutput, columns_of
from ddpm_controller.ros.commanding.output_publisher import OutputPublisher
from ddpm_controller.ros.commanding.sent_positions import SentCommands
from ddpm_controller.ros.commanding.trajectory_messages import TrajectoryMessages
from ddpm_controller.ros.output_messages import MESSAGES, Part, message_of
from ddpm_controller.types import Trajectory

_RECORDED_DEPTH = 100


class CommandPublisher:
    """Sends commands as the messages that the robot takes.

    Goals of an action are not sent here: see ``gripper_goals``.

    Args:
        node: Owner of the publishers.
        outputs: Outputs of the robot, with their topics.
        period_s: A position is to be reached after one control period.
        depth: Commands kept for a reliable listener.
        whole_topic: Topic on which commands are recorded with all of their columns; empty: none.
        events: Topic -> what to call when a listener does not fit.

    Attributes:
        sent: What was sent lately.
    """

    def __init__(
        self,
        node: Node,
        outputs: Sequence[RobotOutput],
        period_s: float,
        depth: int,
        *,
        whole_topic: str = "",
        events: Callable[[str], PublisherEventCallbacks] | None = None,
    ) -> None:
        self._node, self.sent = node, SentCommands(outputs)
        columns = columns_of(outputs)
        self._publishers = [
            OutputPublisher(
                node, each, columns[each.name], period_s, depth, events and events(each.topic)
            )
            for each in outputs
            if not each.is_action
        ]
        self._period_s, self._ahead = period_s, deque[Command]()
        self._trajectory: Trajectory | None = None
        self._whole = _WholeCommands(node, outputs, period_s, whole_topic) if whole_topic else None

    @property
    def publishers(self) -> list[Publisher]:
        """Of the outputs, in order."""
        return [each.publisher for each in self._publishers]

    def send(self, command: Command) -> None:
        """Publish ``command``, which has a position, as that of its tick."""
        assert command.position is not None
        self.sent.note(command.position)
        self._trajectory = None
        for each in self._publishers:
            each.send(command)
        if self._whole is not None:
            self._whole.send(command)

    def send_ahead(
        self, trajectory: Trajectory | None, commands: Sequence[Command], now_s: float
    ) -> None:
        """Publish points that end at rest, and to other outputs what is due now.

        Args:
            trajectory: Points for the outputs that take several; None: none are due.
            commands: Commands that were decided for moments to come.
            now_s: The tick.
        """
        if trajectory is not None:
            self.sent.note(trajectory.positions[-1])
            self._send_trajectory(trajectory)
        due = self._due(commands, now_s)
        for each in self._publishers:
            if due is not None and not each.is_trajectory:
                each.send(due)

    @property
    def has_others(self) -> bool:
        """Whether an output takes only what is due at each tick."""
        return not all(each.is_trajectory for each in self._publishers)

    def repeat(self) -> None:
        """Send the last command again, where it carries its tick and so does no harm."""
        if self._trajectory is not None:
            self._send_trajectory(self._trajectory)
            return
        for each in self._publishers:
            each.repeat()

    def _send_trajectory(self, trajectory: Trajectory) -> None:
        self._trajectory = trajectory
        for each in self._publishers:
            if each.is_trajectory:
                each.send_trajectory(trajectory)
        if self._whole is not None:
            self._whole.send_trajectory(trajectory)

    def close(self) -> None:
        """Leave the topics."""
        for publisher in self.publishers:
            self._node.destroy_publisher(publisher)
        if self._whole is not None:
            self._node.destroy_publisher(self._whole.publisher)

    def _due(self, commands: Sequence[Command], now_s: float) -> Command | None:
        """Return the newest command whose moment has come; the others wait."""
        moved = [each for each in commands if each.position is not None]
        if moved and self._ahead and moved[0].stamp_s <= self._ahead[-1].stamp_s:
            self._ahead.clear()  # the clock or the motion began again
        self._ahead.extend(moved)
        due = None
        while self._ahead and self._ahead[0].stamp_s <= now_s + self._period_s / 2:
            due = self._ahead.popleft()
        if due is not None:
            assert due.position is not None
            self.sent.note(due.position)
        return due


class _WholeCommands:
    """Publishes all columns as one trajectory, for recordings, while there is a subscriber."""

    def __init__(
        self, node: Node, outputs: Sequence[RobotOutput], period_s: float, topic: str
    ) -> None:
        names = tuple(name for each in outputs for name in each.names)
        units = tuple(unit for each in outputs for unit in each.units)
        self._output = RobotOutput("whole", topic, JOINT_TRAJECTORY, names, units)
        self._period_s, self._trajectories = period_s, TrajectoryMessages(names)
        kind, _ = MESSAGES[JOINT_TRAJECTORY]
        self.publisher: Publisher = node.create_publisher(
            kind, topic, QoSProfile(depth=_RECORDED_DEPTH)
        )

    def send(self, command: Command) -> None:
        if self.publisher.get_subscription_count() == 0:
            return
        assert command.position is not None
        rows = (command.position, command.velocity, command.acceleration)
        part = Part(command.stamp_s, *rows, self._period_s)
        self.publisher.publish(message_of(self._output, part))

    def send_trajectory(self, trajectory: Trajectory) -> None:
        if self.publisher.get_subscription_count() > 0:
            self.publisher.publish(self._trajectories.message(trajectory))
