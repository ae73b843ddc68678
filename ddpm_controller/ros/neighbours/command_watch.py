"""What other nodes do on the topic of one output: claim it, command on it, listen to it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node

from ddpm_controller.robots.outputs import RobotOutput
from ddpm_controller.ros.commanding.gripper_goals import GripperClient
from ddpm_controller.ros.commanding.sent_positions import SentPositions
from ddpm_controller.ros.neighbours.claims import Intent
from ddpm_controller.ros.neighbours.command_claims import CommandClaims
from ddpm_controller.ros.neighbours.endpoints import Nameless, listed
from ddpm_controller.ros.neighbours.listeners import PATIENCE_S, Listeners
from ddpm_controller.ros.neighbours.other_commands import OtherCommands
from ddpm_controller.ros.neighbours.other_goals import OtherGoals


@dataclass(frozen=True)
class CommandTopic:
    """The topic on which a controller commands one output.

    Attributes:
        output: What is commanded; its topic has the namespace.
        publishers: Nodes that publish our commands.
        sent: What was sent lately.
    """

    output: RobotOutput
    publishers: Sequence[str]
    sent: SentPositions


class CommandWatch:
    """Watches one topic of commands.

    Args:
        node: Owner of what is subscribed and published.
        topic: What is watched.
        group: Group of the callbacks.
        own_id: As ``CommandClaims``.
    """

    def __init__(self, node: Node, topic: CommandTopic, group: CallbackGroup, own_id: str) -> None:
        self._node, self._topic, self.name = node, topic, topic.output.topic
        self.claims = CommandClaims(node, self.name, group, own_id)
        explains = self.claims.book.explains
        self._others = OtherCommands(node, self.name, topic.output.type, group, explains)
        self._listeners = Listeners(node, topic.output, group, time.monotonic())
        self._goals = OtherGoals(node, group)
        self._counts, self._nameless = (0, 0), Nameless()

    def has_changed(self) -> bool:
        """Return whether publishers or subscribers have come or gone since the last call."""
        counts = self._node.count_publishers(self.name), self._node.count_subscribers(self.name)
        before, self._counts = self._counts, counts
        return counts != before

    def look_at_graph(self, now_s: float) -> None:
        """Find who publishes and who is subscribed."""
        watchers = {self._node.get_fully_qualified_name(), *self.claims.book.nodes}
        self._others.look(self._topic.publishers)
        self._listeners.look(tuple(watchers), now_s)
        self._goals.look(self._listeners.names)

    def look_at_joints(self, now_s: float) -> None:
        """Collect what listeners have answered about their joints."""
        if self._listeners.joints.is_pending:
            self._listeners.joints.look(self._listeners.names, now_s)

    @property
    def other_joints(self) -> str:
        """Why no listener takes our joints, where that is known for certain."""
        return self._listeners.other_joints

    def is_settled(self, now_s: float) -> bool:
        """Return whether all that matters for a begin would have arrived."""
        return self.claims.is_settled(now_s) and not self._listeners.is_awaited(now_s)

    def listener_problem(self, now_s: float, *, in_motion: bool) -> str:
        """Return why the commands would not be carried out, or an empty text."""
        return self._listeners.problem(now_s, in_motion=in_motion)

    def other_commander(self, intent: Intent, now_s: float, quiet_s: float) -> str:
        """Return who else commands, or an empty text.

        Args:
            intent: What this controller does.
            now_s: Monotonic time.
            quiet_s: Last time at which it did something; -inf: never.
        """
        problem = self.claims.problem(now_s) or self._goals.problem(now_s)
        return problem or self._foreign_commands(intent, now_s, quiet_s)

    def _foreign_commands(self, intent: Intent, now_s: float, quiet_s: float) -> str:
        sent = self._topic.sent
        # Without a control thread nothing is sent, so that all of it is known.
        known_s = sent.known_s if intent != Intent.NONE else now_s
        if intent == Intent.NONE and quiet_s > float("-inf"):
            sent.gap_s = max(sent.gap_s, quiet_s)
        return self._others.problem(sent, known_s, now_s)

    def notes(self, now_s: float) -> dict[str, str]:
        """Return what is worth a warning, by subject."""
        notes = {}
        if others := self._nameless.named(self._others.names, now_s):
            notes[f"other publishers of commands on {self.name}"] = (
                f"{listed(others)} may publish on {self.name}"
            )
        for name, why in self._listeners.joints.problems.items():
            notes[f"joints of {name}"] = f"{name} does not take these commands: {why}"
        if not self._listeners.names and not self._listeners.is_awaited(now_s):
            notes[f"commands on {self.name}"] = self._listeners.problem(now_s, in_motion=False)
        return notes

    def close(self) -> None:
        """Leave the topic."""
        self.claims.close()
        self._others.close()
        self._goals.close()
        self._listeners.close()


class GoalWatch:
    """Watches the action of one gripper, as ``CommandWatch`` does a topic.

    Args:
        node: Owner of what is subscribed and published.
        client: Client that sends our goals.
        name: Name of the action, with namespace.
        group: Group of the callbacks.
        own_id: As ``CommandClaims``.
    """

    def __init__(
        self, node: Node, client: GripperClient, name: str, group: CallbackGroup, own_id: str
    ) -> None:
        self.name, self._client = name, client
        self.claims = CommandClaims(node, name, group, own_id)
        self._goals = OtherGoals(node, group, is_ours=client.goals.__contains__)
        self._goals.watch([name])
        self._was_served, self._since_s = False, time.monotonic()

    def has_changed(self) -> bool:
        """Return whether the server has come or gone since the last call."""
        before, self._was_served = self._was_served, self._client.is_served
        return before != self._was_served

    def look_at_graph(self, now_s: float) -> None:
        """Find the server's status."""
        self._goals.watch([self.name])

    def look_at_joints(self, now_s: float) -> None:
        """A gripper has one joint, which no parameter names alike."""

    other_joints = ""

    def is_settled(self, now_s: float) -> bool:
        """Return whether all that matters for a begin would have arrived."""
        return self.claims.is_settled(now_s) and not self._is_awaited(now_s)

    def _is_awaited(self, now_s: float) -> bool:
        return not self._client.is_served and now_s < self._since_s + PATIENCE_S

    def listener_problem(self, now_s: float, *, in_motion: bool) -> str:
        """Return why the goals would not be carried out, or an empty text."""
        if in_motion or self._client.is_served:
            return ""
        return (
            f"nothing serves the action {self.name}: is the gripper's controller loaded and "
            "active? Its action may have another name: correct the robot file or remap"
        )

    def other_commander(self, intent: Intent, now_s: float, quiet_s: float) -> str:
        """Return who else commands, or an empty text; see ``CommandWatch``."""
        return self.claims.problem(now_s) or self._goals.problem(now_s)

    def notes(self, now_s: float) -> dict[str, str]:
        """Return what is worth a warning, by subject."""
        missed = "" if self._is_awaited(now_s) else self.listener_problem(now_s, in_motion=False)
        problem = self._client.problem or missed
        return {f"goals of {self.name}": problem} if problem else {}

    def close(self) -> None:
        """Leave the topics."""
        self.claims.close()
        self._goals.close()
