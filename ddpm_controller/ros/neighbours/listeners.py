"""What takes the commands: nothing, another controller than meant, or the right one."""

from collections.abc import Sequence

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node

from ddpm_controller.robots.outputs import RobotOutput
from ddpm_controller.ros.neighbours.endpoints import foreign, listed, node_of
from ddpm_controller.ros.neighbours.listener_joints import ListenerJoints

PATIENCE_S = 2.0
"""Before none has been seen for so long nothing is missed: a busy machine finds others late."""
_GONE_S = 1.0
"""A listener that comes back within this time was not gone: the graph is not always complete."""


class Listeners:
    """Finds who is subscribed to the command topic, and whether it takes our joints.

    Without a listener a run does not begin: it waits and reports it. That is no refusal, as a
    simulation or a recorder may come later; but following a policy that nothing carries out
    would look as if it worked, and the robot would jump when its controller comes.

    Args:
        node: Looks at the graph.
        output: What is commanded; its topic has the namespace.
        group: Group of what arrives.
        since_s: Moment from which on others could be found, monotonic time.

    Attributes:
        names: Nodes that are subscribed.
        joints: What is known of their joints.
    """

    def __init__(
        self, node: Node, output: RobotOutput, group: CallbackGroup, since_s: float
    ) -> None:
        self._since_s = since_s
        self._node, self._topic, self._type = node, output.topic, output.type
        self.joints = ListenerJoints(node, output.type, output.message_names, group)
        self.names: list[str] = []
        self._seen_s = float("-inf")

    def look(self, own: Sequence[str], now_s: float) -> None:
        """Find the listeners that are neither the nodes ``own`` nor only watch as these do."""
        infos = self._node.get_subscriptions_info_by_topic(self._topic)
        self.names = [name for name in foreign(infos, own) if name not in own]
        if self.names:
            self._seen_s = now_s
        self.joints.look([name for name in self.names if "UNKNOWN" not in name], now_s)

    def is_awaited(self, now_s: float) -> bool:
        """Return whether one may still be found, or its joints."""
        is_early = not self.names and now_s < max(self._since_s, self._seen_s) + PATIENCE_S
        return is_early or self.joints.is_awaited(now_s)

    def problem(self, now_s: float, *, in_motion: bool) -> str:
        """Return why the commands would not be carried out, or an empty text.

        Args:
            now_s: Monotonic time.
            in_motion: Whether commands are being sent: then the joints have been compared.
        """
        if not self.names:
            is_gone = not in_motion or now_s - self._seen_s > _GONE_S
            return self._nothing_subscribed() if is_gone else ""
        return "" if in_motion else self.other_joints

    @property
    def other_joints(self) -> str:
        """Why no listener takes our joints, where that is known for certain."""
        problems = self.joints.problems
        if not problems or self.joints.fits:
            return ""
        texts = [f"{name} does not take these commands: {why}" for name, why in problems.items()]
        return "; ".join(texts)

    def close(self) -> None:
        """Ask no more."""
        self.joints.close()

    def _nothing_subscribed(self) -> str:
        text = (
            f"nothing is subscribed to {self._topic}: is the robot's controller loaded and "
            "active? Its topic may have another name: correct the robot file, or remap"
        )
        similar = self._similar()
        return f"{text}; subscribed of this type are {listed(similar)}" if similar else text

    def _similar(self) -> list[str]:
        """Topics of the same type on which another node waits for commands."""
        own = self._node.get_fully_qualified_name()
        found = []
        for topic, types in self._node.get_topic_names_and_types():
            if topic == self._topic or self._type not in types:
                continue
            infos = self._node.get_subscriptions_info_by_topic(topic)
            publishers = map(node_of, self._node.get_publishers_info_by_topic(topic))
            if own not in publishers and any(node_of(info) != own for info in infos):
                found.append(topic)
        return found
