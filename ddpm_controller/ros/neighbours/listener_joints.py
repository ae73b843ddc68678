"""Which joints a controller takes commands for, as its parameters name them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rcl_interfaces.srv import GetParameters
from rclpy.callback_groups import CallbackGroup
from rclpy.client import Client
from rclpy.node import Node
from rclpy.parameter import parameter_value_to_python
from rclpy.task import Future

from ddpm_controller.robots.outputs import JOINT_TRAJECTORY, MULTI_ARRAY

_COMPARED = frozenset({JOINT_TRAJECTORY, MULTI_ARRAY})
"""Types whose controllers have a parameter with their joints."""
_SHORT_S = 1.5
"""A run does not begin before the answer, but no longer than this."""
_PATIENCE_S = 15.0
"""A node that has no answer after this time is not asked again."""
_AGAIN_S = 1.0
"""An answer counts as lost after this time: a client that has found a service may not have been
found by it yet."""


def mismatch(
    kind: str, own: Sequence[str], theirs: Sequence[str], *, allows_partial: bool = False
) -> str:
    """Return why a controller of the joints ``theirs`` cannot take our commands, or nothing.

    A trajectory names its joints, and they must be all that the controller has. An array does
    not, so that another order moves the wrong joints. Other types are not compared.

    Args:
        kind: Type of the commands, by its full name.
        own: Joints that are commanded.
        theirs: Joints of the controller.
        allows_partial: Whether it takes trajectories of some of its joints.
    """
    lists = f"its joints are {list(theirs)}, the robot file commands {list(own)}"
    if kind not in _COMPARED:
        return ""
    if kind == MULTI_ARRAY:
        same = set(own) == set(theirs)
        why = f"in another order: {lists}" if same else lists
        return "" if list(own) == list(theirs) else why
    missing = set(own) - set(theirs)
    left_out = set(theirs) - set(own)
    if missing or (left_out and not allows_partial):
        partial = "; or set its allow_partial_joints_goal" if not missing else ""
        return f"{lists}{partial}"
    return ""


@dataclass
class _Question:
    """The request to one node, sent again while its answer is lost."""

    client: Client
    since_s: float
    future: Future | None = None
    sent_s: float = -math.inf

    def ask(self, names: Sequence[str], now_s: float) -> None:
        if now_s - self.sent_s < _AGAIN_S or not self.client.service_is_ready():
            return
        if self.future is not None:
            self.client.remove_pending_request(self.future)
        self.future = self.client.call_async(GetParameters.Request(names=list(names)))
        self.sent_s = now_s


class ListenerJoints:
    """Asks the nodes that take commands for their joints; never waits for an answer.

    Args:
        node: Owner of the clients.
        kind: Type of the commands, by its full name.
        joint_names: Joints that are commanded.
        group: Group of the answers.
    """

    def __init__(
        self, node: Node, kind: str, joint_names: Sequence[str], group: CallbackGroup
    ) -> None:
        self._node, self._kind, self._joint_names = node, kind, tuple(joint_names)
        self._group = group
        self._asked: dict[str, _Question] = {}
        self._found: dict[str, str | None] = {}

    def look(self, nodes: Sequence[str], now_s: float) -> None:
        """Ask the nodes that have not been asked, and collect answers."""
        nodes = nodes if self._kind in _COMPARED else ()
        for name in set(self._found) - set(nodes):
            del self._found[name]  # one that comes back may have other joints
        for name in nodes:
            if name not in self._found and name not in self._asked:
                self._ask(name, now_s)
        for name in list(self._asked):
            self._collect(name, now_s)

    def is_awaited(self, now_s: float) -> bool:
        """Return whether an answer should come at any moment."""
        return any(now_s - each.since_s < _SHORT_S for each in self._asked.values())

    @property
    def is_pending(self) -> bool:
        """Whether an answer may still come."""
        return bool(self._asked)

    @property
    def problems(self) -> dict[str, str]:
        """Node -> why it cannot take our commands."""
        return {name: text for name, text in self._found.items() if text}

    @property
    def fits(self) -> bool:
        """Whether a controller of just our joints was found."""
        return any(text == "" for text in self._found.values())

    def close(self) -> None:
        """Ask no more."""
        for each in self._asked.values():
            self._node.destroy_client(each.client)
        self._asked.clear()

    def _ask(self, name: str, now_s: float) -> None:
        client = self._node.create_client(
            GetParameters, f"{name}/get_parameters", callback_group=self._group
        )
        self._asked[name] = _Question(client, now_s)

    def _collect(self, name: str, now_s: float) -> None:
        question = self._asked[name]
        if question.future is not None and question.future.done():
            self._found[name] = self._answered(question.future)
        elif now_s - question.since_s > _PATIENCE_S:
            self._found[name] = None
        else:
            names = ("joints", "allow_partial_joints_goal")
            question.ask(names if self._kind == JOINT_TRAJECTORY else names[:1], now_s)
        if name in self._found:
            del self._asked[name]
            self._node.destroy_client(question.client)

    def _answered(self, future: Future) -> str | None:
        """Return why the node does not fit, an empty text if it does; None: not known."""
        answer = future.result()
        values = [parameter_value_to_python(each) for each in answer.values] if answer else []
        joints = list(values[0]) if values and isinstance(values[0], list) else []
        if not joints or not all(isinstance(each, str) for each in joints):
            return None
        allows_partial = len(values) > 1 and values[1] is True
        return mismatch(self._kind, self._joint_names, joints, allows_partial=allows_partial)
