"""What a live graph shows of a robot: topics with their rates, and what takes commands."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import rclpy
from rcl_interfaces.srv import GetParameters
from rclpy.action import get_action_names_and_types
from rclpy.client import Client
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import parameter_value_to_python
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from rclpy.task import Future

from ddpm_controller.messages.message_classes import message_class
from ddpm_controller.robots.outputs import ACTIONS, JOINT_STATE
from ddpm_controller.robots.streams import COMPRESSED_IMAGE, IMAGE, STRING
from ddpm_controller.survey.messages import (
    COMMAND_TYPES,
    OTHER_TYPES,
    Survey,
)
from ddpm_controller.survey.seen_robot import SeenCommands, SeenRobot

_DEPTH = 200
_AGAIN_S, _ANSWER_S = 1.0, 5.0
_PARAMETERS = ("joints", "joint", "joint_names", "interface_name")
"""Of the nodes that take commands: of ros2_control's controllers, of its grippers, of Franka's."""
_COMPRESSED = "/compressed"
_TRANSPORTS = ("/compressedDepth", "/theora", "/zstd", "/ffmpeg")
_PICTURES = (IMAGE, COMPRESSED_IMAGE)


def robot_on_graph(
    namespace: str, duration_s: float, should_stop: Callable[[], bool]
) -> SeenRobot:
    """Return what is seen within a time, or until ``should_stop``; ROS must be initialized."""
    node = rclpy.create_node("new_robot", enable_rosout=False, start_parameter_services=False)
    try:
        return GraphSurvey(node, namespace).look(duration_s, should_stop)
    finally:
        node.destroy_node()


class GraphSurvey:
    """Subscribes to what a robot publishes, as it is offered, and counts.

    Args:
        node: Owner of the subscriptions; its executor is spun here.
        namespace: Namespace of the robot; empty: the whole graph.
    """

    def __init__(self, node: Node, namespace: str = "") -> None:
        self._node, self._namespace = node, namespace.strip("/")
        self._survey = Survey()
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(node)
        self._subscribed: set[str] = set()
        self._parameters = _Parameters(node)

    def look(self, duration_s: float, should_stop: Callable[[], bool]) -> SeenRobot:
        """Return what is seen within a time, or until ``should_stop``."""
        begin_s = time.monotonic()
        while (passed_s := time.monotonic() - begin_s) < duration_s and not should_stop():
            self._subscribe()
            self._commands()
            self._parameters.collect()
            self._spin()
        end_s = time.monotonic() + _ANSWER_S
        while time.monotonic() < end_s and self._parameters.are_awaited and not should_stop():
            self._parameters.collect()
            self._spin()
        where = f"namespace /{self._namespace}" if self._namespace else "the graph"
        return self._survey.robot(
            f"{where}, for {passed_s:.0f} s", self._namespace, self._commands()
        )

    def _spin(self) -> None:
        self._executor.spin_once(timeout_sec=0.1)

    def _topics(self) -> dict[str, str]:
        """Topic -> type of what belongs to the robot; of a picture the raw transport."""
        found = {
            topic: kinds[0]
            for topic, kinds in self._node.get_topic_names_and_types()
            if len(kinds) == 1 and not topic.endswith(_TRANSPORTS)
        }
        twice = {
            topic for topic in found if topic.removesuffix(_COMPRESSED) in found.keys() - {topic}
        }
        return {
            topic: kind
            for topic, kind in found.items()
            if topic not in twice and self._is_ours(topic, kind)
        }

    def _is_ours(self, topic: str, kind: str) -> bool:
        """Return whether a topic is the robot's; a camera may be elsewhere."""
        inside = not self._namespace or topic.startswith(f"/{self._namespace}/")
        return inside or kind in _PICTURES

    def _subscribe(self) -> None:
        for topic, kind in self._topics().items():
            is_read = kind in (JOINT_STATE, *_PICTURES, *OTHER_TYPES)
            is_read = is_read or (kind == STRING and topic.endswith("robot_description"))
            offers = self._node.get_publishers_info_by_topic(topic) if is_read else []
            if not offers or topic in self._subscribed:
                continue
            self._subscribed.add(topic)
            profiles = [offer.qos_profile for offer in offers]
            reliable = all(p.reliability != ReliabilityPolicy.BEST_EFFORT for p in profiles)
            durable = all(p.durability == DurabilityPolicy.TRANSIENT_LOCAL for p in profiles)
            qos = QoSProfile(
                depth=_DEPTH if kind == JOINT_STATE else 5,
                reliability=ReliabilityPolicy(1 if reliable else 2),
                durability=DurabilityPolicy(1 if durable else 2),
            )
            take = partial(self._take, topic, kind)
            self._node.create_subscription(message_class(kind), topic, take, qos, raw=True)

    def _take(self, topic: str, kind: str, serialized: bytes, info: Mapping[str, Any]) -> None:
        moment_s = info["source_timestamp"] * 1e-9
        if self._survey.has_picture(topic):
            self._survey.count(topic, moment_s)
            return
        message = deserialize_message(serialized, message_class(kind))
        self._survey.take(topic, kind, message, moment_s)

    def _commands(self) -> dict[str, SeenCommands]:
        """Topic -> commands that a node takes there, with the joints that its parameters name."""
        found = {}
        for topic, kind in self._topics().items():
            if kind in COMMAND_TYPES:
                nodes = self._nodes(self._node.get_subscriptions_info_by_topic(topic))
                known = [self._seen(topic, kind, node) for node in nodes]
                if known:
                    found[topic] = min(known, key=lambda each: not each.joints)
        for action, kinds in get_action_names_and_types(self._node):
            if kinds[0] in ACTIONS and self._is_ours(action, kinds[0]):
                infos = self._node.get_publishers_info_by_topic(f"{action}/_action/status")
                for node in self._nodes(infos)[:1]:
                    found[action] = self._seen(action, kinds[0], node)
        return found

    def _nodes(self, infos: Sequence[Any]) -> list[str]:
        own = self._node.get_fully_qualified_name()
        names = [f"{info.node_namespace.rstrip('/')}/{info.node_name}" for info in infos]
        return [name for name in dict.fromkeys(names) if name != own and "UNKNOWN" not in name]

    def _seen(self, topic: str, kind: str, node: str) -> SeenCommands:
        values = self._parameters.of(node)
        joints = values["joints"] or values["joint"] or values["joint_names"] or ()
        joints = (joints,) if isinstance(joints, str) else tuple(joints)
        joints = joints[:1] if kind in ACTIONS else joints
        interface = str(values["interface_name"] or _interface_by_name(node))
        return SeenCommands(topic, kind, joints, node, interface)


@dataclass
class _Question:
    """One parameter of one node: with one that a node lacks it answers nothing at all."""

    client: Client
    name: str
    future: Future | None = None
    asked_s: float = -math.inf

    def ask(self, now_s: float) -> None:
        """Send the request, or send it again where its answer is lost.

        A client that has found a service may not have been found by it yet.
        """
        if now_s - self.asked_s < _AGAIN_S or not self.client.service_is_ready():
            return
        if self.future is not None:
            self.client.remove_pending_request(self.future)
        self.future = self.client.call_async(GetParameters.Request(names=[self.name]))
        self.asked_s = now_s

    @property
    def has_answer(self) -> bool:
        return self.future is not None and self.future.done()

    @property
    def answer(self) -> Any:
        """Value of the parameter; None where the node does not have it."""
        response = self.future.result() if self.future is not None else None
        values = response.values if response is not None else ()
        return parameter_value_to_python(values[0]) if values else None


class _Parameters:
    """Asks nodes for the parameters that name joints, all at a time; waits for none."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._asked: dict[str, list[_Question]] = {}
        self._values: dict[str, dict[str, Any]] = {}

    def of(self, node: str) -> dict[str, Any]:
        """Return parameter -> value; None where it is not known, or not yet."""
        if node not in self._values and node not in self._asked:
            client = self._node.create_client(GetParameters, f"{node}/get_parameters")
            self._asked[node] = [_Question(client, name) for name in _PARAMETERS]
        return self._values.get(node, dict.fromkeys(_PARAMETERS))

    @property
    def are_awaited(self) -> bool:
        """Whether an answer is missing."""
        return bool(self._asked)

    def collect(self) -> None:
        """Take the answers that have come, and ask for the others."""
        now_s = time.monotonic()
        for node, questions in list(self._asked.items()):
            for each in questions:
                if not each.has_answer:
                    each.ask(now_s)
            if all(each.has_answer for each in questions):
                self._values[node] = {each.name: each.answer for each in questions}
                del self._asked[node]
                self._node.destroy_client(questions[0].client)


def _interface_by_name(node: str) -> str:
    """Return what a controller's name shows of its numbers, as forward_velocity_controller."""
    words = ("velocity", "effort")
    return next((word for word in words if word in node.rsplit("/", 1)[-1]), "position")
