"""All that a configured controller knows of the other nodes on its topics."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory

from ddpm_controller.control.states import Reason, State, Verdict
from ddpm_controller.ros.commanding.sent_positions import SentPositions
from ddpm_controller.ros.neighbours.claims import Intent
from ddpm_controller.ros.neighbours.command_claims import CommandClaims
from ddpm_controller.ros.neighbours.endpoints import listed
from ddpm_controller.ros.neighbours.listeners import Listeners
from ddpm_controller.ros.neighbours.other_commands import OtherCommands
from ddpm_controller.ros.neighbours.other_goals import OtherGoals
from ddpm_controller.ros.neighbours.sources import several_publishers, volatile_descriptions

LOOK_PERIOD_S = 0.2
"""Claims are repeated and publishers counted so often."""
_GRAPH_PERIOD_S = 1.0
"""The whole graph is looked at so often, and whenever a count has changed."""
_DISCOVERY_S = 0.5
"""Others are found within this time on a quiet network: Fast DDS announces a new process five
times in it, and this one has been there since before it was configured."""
_KINDS = {"joint_trajectory": JointTrajectory, "commands": Float64MultiArray}


@dataclass(frozen=True)
class CommandTopic:
    """The topic on which a controller commands.

    Attributes:
        name: Name with namespace.
        output: ``joint_trajectory`` or ``commands``.
        joint_names: Joints that are commanded.
        publishers: Nodes that publish our commands.
        sent: What was sent lately.
    """

    name: str
    output: str
    joint_names: tuple[str, ...]
    publishers: Sequence[str]
    sent: SentPositions


class Neighbours:
    """Looks at the graph at a low rate, on the executor's thread and never for long.

    Args:
        node: Owner of what is subscribed and published.
        commands: Topic of our commands.
        state_topics: Topics of joint states, with namespaces.

    Attributes:
        notes: What is worth a warning, by subject.
        no_description: Why a robot description cannot arrive, where that is seen.
    """

    def __init__(self, node: Node, commands: CommandTopic, state_topics: Sequence[str]) -> None:
        self._node, self._topic, self._state_topics = node, commands, tuple(state_topics)
        group = ReentrantCallbackGroup()
        self._claims = CommandClaims(node, commands.name, group)
        self._others = OtherCommands(
            node, commands.name, _KINDS[commands.output], group, self._claims.book.explains
        )
        self._listeners = Listeners(
            node, commands.name, commands.output, commands.joint_names, group
        )
        self._goals = OtherGoals(node, group)
        self.notes: dict[str, str] = {}
        self.no_description = ""
        self._warned: set[str] = set()
        self._since_s = self._looked_s = time.monotonic()
        self._counts = (0, 0)
        self._quiet_s = float("-inf")
        self._look_at_graph(self._since_s)

    def look(self, intent: Intent) -> Verdict | None:
        """Publish what this controller does; return what forbids it to command, or None."""
        now_s = time.monotonic()
        self._claims.declare(intent, now_s)
        if intent != Intent.NONE:
            self._quiet_s = now_s
        topic = self._topic.name
        counts = self._node.count_publishers(topic), self._node.count_subscribers(topic)
        if counts != self._counts or now_s - self._looked_s >= _GRAPH_PERIOD_S:
            self._counts, self._looked_s = counts, now_s
            self._look_at_graph(now_s)
        elif self._listeners.joints.is_pending:
            self._listeners.joints.look(self._listeners.names, now_s)
        self._warn(now_s)
        return self._found(intent, now_s)

    def refusal(self) -> Verdict | None:
        """Return why an activation is refused: what is known for certain; None: it is not."""
        if problem := self._other_commander(Intent.NONE, time.monotonic()):
            return Verdict(State.INACTIVE, Reason.OTHER_COMMANDER, problem)
        if problem := self._listeners.other_joints:
            return Verdict(State.INACTIVE, Reason.NO_LISTENER, problem)
        return None

    def close(self) -> None:
        """Leave the topics."""
        self._claims.close()
        self._others.close()
        self._goals.close()
        self._listeners.close()

    def _found(self, intent: Intent, now_s: float) -> Verdict | None:
        if problem := self._other_commander(intent, now_s):
            return Verdict(State.WAITING, Reason.OTHER_COMMANDER, problem)
        in_motion = intent == Intent.COMMANDS
        if not in_motion and not self._is_settled(now_s):
            text = f"looking who else commands {self._topic.name}"
            return Verdict(State.WAITING, Reason.NONE, text)
        if problem := self._listeners.problem(now_s, in_motion=in_motion):
            return Verdict(State.WAITING, Reason.NO_LISTENER, problem)
        return None

    def _other_commander(self, intent: Intent, now_s: float) -> str:
        problem = self._claims.problem(now_s) or self._goals.problem(now_s)
        return problem or self._foreign_commands(intent, now_s)

    def _foreign_commands(self, intent: Intent, now_s: float) -> str:
        sent = self._topic.sent
        # Without a control thread nothing is sent, so that all of it is known.
        known_s = sent.known_s if intent != Intent.NONE else now_s
        if intent == Intent.NONE and self._quiet_s > float("-inf"):
            sent.gap_s = max(sent.gap_s, self._quiet_s)
        return self._others.problem(sent, known_s, now_s)

    def _is_settled(self, now_s: float) -> bool:
        found = now_s - self._since_s >= _DISCOVERY_S and self._claims.is_settled(now_s)
        return found and not self._listeners.joints.is_awaited(now_s)

    def _look_at_graph(self, now_s: float) -> None:
        watchers = {self._node.get_fully_qualified_name(), *self._claims.book.nodes}
        self._others.look(self._topic.publishers)
        self._listeners.look(tuple(watchers), now_s)
        self._goals.look(self._listeners.names)
        self.no_description = volatile_descriptions(self._node)
        notes = several_publishers(self._node, self._state_topics)
        if self._others.names:
            notes["other publishers of commands"] = (
                f"{listed(self._others.names)} may publish on {self._topic.name}"
            )
        for name, why in self._listeners.joints.problems.items():
            notes[f"joints of {name}"] = f"{name} does not take these commands: {why}"
        if not self._listeners.names:
            notes["commands"] = self._listeners.problem(now_s, in_motion=False)
        if self.no_description:
            notes["robot_description"] = self.no_description
        self.notes = notes

    def _warn(self, now_s: float) -> None:
        """Log what is new, once; what is expected so early is not there yet."""
        if now_s - self._since_s < _DISCOVERY_S:
            return
        notes = set(self.notes.values())
        for text in sorted(notes - self._warned):
            self._node.get_logger().warning(text)
        self._warned = notes
