"""Goals that others send to the robot's controller, as MoveIt does, past the command topic."""

import time
from collections.abc import Callable, Sequence
from functools import partial

from action_msgs.msg import GoalStatus, GoalStatusArray
from rclpy.action import get_action_client_names_and_types_by_node
from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import qos_profile_action_status_default
from rclpy.subscription import Subscription

from ddpm_controller.ros.neighbours.endpoints import listed

_ACTION = "follow_joint_trajectory"
_RECENT_S = 1.0
_EXECUTED = (GoalStatus.STATUS_EXECUTING, GoalStatus.STATUS_CANCELING)


class OtherGoals:
    """Watches the action of the controllers that take our commands.

    A controller drops its goal when a trajectory comes by topic, and the trajectory when a goal
    comes: the arm follows each of two commanders in turn.

    Args:
        node: Owner of the subscriptions.
        group: Group of their callbacks.
        is_ours: Whether a goal of this identity was sent by us.
    """

    def __init__(
        self,
        node: Node,
        group: CallbackGroup,
        is_ours: Callable[[bytes], bool] = lambda goal: False,
    ) -> None:
        self._node, self._group, self._is_ours = node, group, is_ours
        self._subscriptions: dict[str, Subscription] = {}
        self._executed: set[str] = set()
        self._last_s: dict[str, float] = {}

    def look(self, listeners: Sequence[str]) -> None:
        """Watch the actions of the nodes ``listeners``, where they have one."""
        self.watch([f"{name}/{_ACTION}" for name in listeners])

    def watch(self, names: Sequence[str]) -> None:
        """Watch the actions ``names`` and no others, where they are served."""
        actions = set(names)
        for action in actions - self._subscriptions.keys():
            if self._node.count_publishers(_status_topic(action)):
                self._subscriptions[action] = self._node.create_subscription(
                    GoalStatusArray,
                    _status_topic(action),
                    partial(self._on_status, action),
                    qos_profile_action_status_default,
                    callback_group=self._group,
                )
        for action in self._subscriptions.keys() - actions:
            self._leave(action)

    def problem(self, now_s: float) -> str:
        """Return which controller executes a goal, or did a moment ago; else an empty text."""
        for action in sorted(self._subscriptions):
            recent = now_s - self._last_s.get(action, float("-inf")) < _RECENT_S
            if action in self._executed or recent:
                clients = listed(self._clients(action)) or "no node that is known"
                return (
                    f"the robot's controller executes a goal of {action}, whose clients are "
                    f"{clients}: cancel it, then activate or reset again"
                )
        return ""

    def close(self) -> None:
        """Leave the topics."""
        for action in list(self._subscriptions):
            self._leave(action)

    def _leave(self, action: str) -> None:
        self._node.destroy_subscription(self._subscriptions.pop(action))
        self._executed.discard(action)
        self._last_s.pop(action, None)

    def _on_status(self, action: str, message: GoalStatusArray) -> None:
        is_executed = any(
            each.status in _EXECUTED and not self._is_ours(bytes(each.goal_info.goal_id.uuid))
            for each in message.status_list
        )
        if is_executed or action in self._executed:
            self._last_s[action] = time.monotonic()
        (self._executed.add if is_executed else self._executed.discard)(action)

    def _clients(self, action: str) -> list[str]:
        found, own = [], self._node.get_fully_qualified_name()
        for name, namespace in self._node.get_node_names_and_namespaces():
            try:
                used = get_action_client_names_and_types_by_node(self._node, name, namespace)
            except RuntimeError:  # it has just left
                continue
            if action in dict(used):
                found.append(f"{namespace.rstrip('/')}/{name}")
        return [each for each in found if each != own]


def _status_topic(action: str) -> str:
    return f"{action}/_action/status"
