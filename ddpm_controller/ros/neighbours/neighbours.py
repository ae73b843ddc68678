"""All that a configured controller knows of the other nodes on its topics."""

import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node

from ddpm_controller.control.states import Reason, State, Verdict
from ddpm_controller.ros.commanding.gripper_goals import GripperGoals
from ddpm_controller.ros.neighbours.claims import Intent
from ddpm_controller.ros.neighbours.command_watch import CommandTopic, CommandWatch, GoalWatch
from ddpm_controller.ros.neighbours.sources import (
    other_types,
    several_publishers,
    volatile_descriptions,
)

LOOK_PERIOD_S = 0.2
"""Claims are repeated and publishers counted so often."""
_GRAPH_PERIOD_S = 1.0
"""The whole graph is looked at so often, and whenever a count has changed."""
_DISCOVERY_S = 0.5
"""Others are found within this time on a quiet network: Fast DDS announces a new process five
times in it, and this one has been there since before it was configured."""


class Neighbours:
    """Looks at the graph at a low rate, on the executor's thread and never for long.

    Args:
        node: Owner of what is subscribed and published.
        topics: Where we command, one for each output.
        shared_joints: Returns, of each topic of joint states, those with several publishers.
        goals: Sends the outputs that are actions.
        descriptions: Topics of the robot description.
        observed: Topic of a stream -> its type.

    Attributes:
        notes: What is worth a warning, by subject.
        no_description: Why a robot description cannot arrive, where that is seen.
    """

    def __init__(
        self,
        node: Node,
        topics: Sequence[CommandTopic],
        shared_joints: Callable[[], Mapping[str, Sequence[str]]],
        goals: GripperGoals,
        descriptions: Iterable[str] = ("robot_description",),
        observed: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._node, self._shared_joints = node, shared_joints
        self._descriptions, self._observed = tuple(descriptions), observed
        group, own_id = ReentrantCallbackGroup(), uuid.uuid4().hex
        clients = {each.output.name: each for each in goals.grippers}
        self._watches: list[CommandWatch | GoalWatch] = [
            GoalWatch(node, clients[each.output.name], each.output.topic, group, own_id)
            if each.output.is_action
            else CommandWatch(node, each, group, own_id)
            for each in topics
        ]
        self.notes: dict[str, str] = {}
        self.no_description = ""
        self._warned: set[str] = set()
        self._since_s = self._looked_s = time.monotonic()
        self._quiet_s = float("-inf")
        self._look_at_graph(self._since_s)

    def look(self, intent: Intent) -> Verdict | None:
        """Publish what this controller does; return what forbids it to command, or None."""
        now_s, since_s = time.monotonic(), time.time()
        for each in self._watches:
            each.claims.declare(intent, now_s, since_s)
        if intent != Intent.NONE:
            self._quiet_s = now_s
        changed = [each.has_changed() for each in self._watches]
        if any(changed) or now_s - self._looked_s >= _GRAPH_PERIOD_S:
            self._looked_s = now_s
            self._look_at_graph(now_s)
        else:
            for each in self._watches:
                each.look_at_joints(now_s)
        self._warn(now_s)
        return self._found(intent, now_s)

    def refusal(self) -> Verdict | None:
        """Return why an activation is refused: what is known for certain; None: it is not."""
        if problem := self._other_commander(Intent.NONE, time.monotonic()):
            return Verdict(State.INACTIVE, Reason.OTHER_COMMANDER, problem)
        if problem := _first(each.other_joints for each in self._watches):
            return Verdict(State.INACTIVE, Reason.NO_LISTENER, problem)
        return None

    def close(self) -> None:
        """Leave the topics."""
        for each in self._watches:
            each.close()

    def _found(self, intent: Intent, now_s: float) -> Verdict | None:
        if problem := self._other_commander(intent, now_s):
            return Verdict(State.WAITING, Reason.OTHER_COMMANDER, problem)
        in_motion = intent == Intent.COMMANDS
        if not in_motion and not self._is_settled(now_s):
            names = ", ".join(each.name for each in self._watches)
            return Verdict(State.WAITING, Reason.NONE, f"looking who else commands {names}")
        problem = _first(
            each.listener_problem(now_s, in_motion=in_motion) for each in self._watches
        )
        return Verdict(State.WAITING, Reason.NO_LISTENER, problem) if problem else None

    def _other_commander(self, intent: Intent, now_s: float) -> str:
        return _first(each.other_commander(intent, now_s, self._quiet_s) for each in self._watches)

    def _is_settled(self, now_s: float) -> bool:
        found = now_s - self._since_s >= _DISCOVERY_S
        return found and all(each.is_settled(now_s) for each in self._watches)

    def _look_at_graph(self, now_s: float) -> None:
        notes: dict[str, str] = {}
        for each in self._watches:
            each.look_at_graph(now_s)
            notes |= each.notes(now_s)
        self.no_description = volatile_descriptions(self._node, self._descriptions)
        notes |= several_publishers(self._node, self._shared_joints())
        notes |= other_types(self._node, self._observed)
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


def _first(texts: Iterable[str]) -> str:
    """Return the first text that is not empty; all are asked for."""
    return next((text for text in list(texts) if text), "")
