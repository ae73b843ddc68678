"""A live graph compared with a robot file: what the controller would find there."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import rclpy
from rclpy.action import get_action_names_and_types
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState
from std_msgs.msg import String

from ddpm_controller.messages.camera_view import CameraView
from ddpm_controller.messages.message_classes import message_class
from ddpm_controller.robots.outputs import RobotOutput
from ddpm_controller.robots.robot import Robot
from ddpm_controller.robots.streams import StreamSource
from ddpm_controller.ros.camera_views import CameraViews
from ddpm_controller.ros.commanding.sent_positions import SentPositions
from ddpm_controller.ros.neighbours.endpoints import listed
from ddpm_controller.ros.neighbours.joint_contradictions import JointContradictions
from ddpm_controller.ros.neighbours.listeners import Listeners
from ddpm_controller.ros.neighbours.namespaces import mixed_namespaces
from ddpm_controller.ros.neighbours.other_commands import OtherCommands
from ddpm_controller.ros.neighbours.sources import several_publishers, volatile_descriptions
from ddpm_controller.survey.examination import Examination, Place, Row

_DEPTH = 200
_SPEED = 1.0
"""Speed, rad/s or m/s, of joints whose limits are not known."""


def examined_graph(
    robot: Robot,
    trained: Mapping[str, CameraView],
    namespace: str,
    duration_s: float,
    should_stop: Callable[[], bool],
    *,
    use_sim_time: bool = False,
) -> list[Row]:
    """Return what the graph has of all that a robot file names; ROS must be initialized.

    Args:
        robot: Robot file.
        trained: Stream -> field of view in training, where it is known.
        namespace: Namespace of the robot.
        duration_s: Time for which the graph is looked at.
        should_stop: Ends it earlier.
        use_sim_time: Stamps are of the topic /clock.
    """
    node = rclpy.create_node(
        "doctor",
        namespace=namespace,
        enable_rosout=False,
        start_parameter_services=False,
        parameter_overrides=[Parameter("use_sim_time", value=use_sim_time)],
    )
    try:
        return _GraphExamination(node, robot).look(trained, duration_s, should_stop)
    finally:
        node.destroy_node()


class _GraphExamination:
    """Subscribes as the controller does, and looks at who is on the topics of its commands."""

    def __init__(self, node: Node, robot: Robot) -> None:
        self._node, self._robot = node, robot
        self._examination, self._views = Examination(robot), CameraViews(node, robot)
        self._contradictions = JointContradictions(node, robot)
        self._contradicted: dict[str, str] = {}
        self._speeds = dict.fromkeys(robot.action_spec.joint_names, _SPEED)
        for topic, sources in robot.sources_of_topics.items():
            self._subscribe(topic, sources)
        for topic in robot.descriptions:
            take = partial(self._take_description, topic)
            node.create_subscription(String, topic, take, _latched())
        group = ReentrantCallbackGroup()
        self._outputs = [
            replace(each, topic=node.resolve_topic_name(each.topic)) for each in robot.outputs
        ]
        sent = [each for each in self._outputs if not each.is_action]
        self._listeners = {
            each.name: Listeners(node, each, group, time.monotonic()) for each in sent
        }
        self._others = {
            each.name: OtherCommands(node, each.topic, each.type, group, lambda *_: False)
            for each in sent
        }

    def look(
        self,
        trained: Mapping[str, CameraView],
        duration_s: float,
        should_stop: Callable[[], bool],
    ) -> list[Row]:
        """Return what is found within a time."""
        executor = SingleThreadedExecutor()
        executor.add_node(self._node)
        end_s = time.monotonic() + duration_s
        while time.monotonic() < end_s and not should_stop():
            for name, listeners in self._listeners.items():
                self._others[name].look(())
                listeners.look((self._node.get_fully_qualified_name(),), time.monotonic())
            executor.spin_once(timeout_sec=0.1)
        self._views.compare(trained)
        places = self._places()
        rows = [*self._examination.rows(places), *map(self._command_row, self._outputs)]
        rows += [self._other_row(each) for each in self._outputs if not each.is_action]
        return rows + self._noted_rows()

    def _subscribe(self, topic: str, sources: Sequence[StreamSource]) -> None:
        first = sources[0]
        qos = QoSProfile(depth=_DEPTH, reliability=ReliabilityPolicy.BEST_EFFORT)
        if first.stream.is_text or first.is_static:
            qos = _latched(_DEPTH)
        take = partial(self._take, topic)
        self._node.create_subscription(message_class(first.stream.type), topic, take, qos)

    def _take(self, topic: str, message: Any) -> None:
        self._examination.take(topic, message, self._node.get_clock().now().nanoseconds * 1e-9)
        if isinstance(message, JointState):
            problem = self._contradictions.problem(topic, message, self._speeds)
            if problem:
                self._contradicted[topic] = problem

    def _take_description(self, topic: str, message: String) -> None:
        self._examination.take_description(topic, message.data)

    def _places(self) -> dict[str, Place]:
        """Return where each topic of the robot file is, with what its publishers offer."""
        types = dict(self._node.get_topic_names_and_types())
        names = [*self._robot.sources_of_topics, *self._robot.descriptions]
        found = {}
        for name in names:
            topic = self._node.resolve_topic_name(name)
            infos = self._node.get_publishers_info_by_topic(topic)
            if infos:
                kinds = tuple(dict.fromkeys(info.topic_type for info in infos))
                offered = {_offered(info.qos_profile) for info in infos}
                found[name] = Place(
                    topic, kinds or tuple(types[topic]), ", ".join(sorted(offered))
                )
        return found

    def _command_row(self, output: RobotOutput) -> Row:
        what, expected = f"commands {output.name}", f"{output.topic}: {output.type} is taken"
        remedy = "load and activate the robot's controller, or correct topic, type and names"
        if output.is_action:
            served = dict(get_action_names_and_types(self._node)).get(output.topic, [])
            if output.type in served:
                return Row(what, expected, "it is served")
            return Row(what, expected, f"served there: {served or 'nothing'}", remedy, "fault")
        listeners = self._listeners[output.name]
        problem = listeners.problem(time.monotonic(), in_motion=False)
        infos = self._node.get_subscriptions_info_by_topic(output.topic)
        kinds = {info.topic_type for info in infos} - {output.type}
        if kinds and not problem:
            problem = f"{output.topic} is subscribed as {', '.join(sorted(kinds))}"
        if problem:
            return Row(what, expected, problem, remedy, "fault")
        return Row(what, expected, f"by {listed(listeners.names)}")

    def _other_row(self, output: RobotOutput) -> Row:
        what, expected = f"other commanders {output.name}", f"none on {output.topic}"
        others, now_s = self._others[output.name], time.monotonic()
        if problem := others.problem(SentPositions(), now_s, now_s):
            return Row(what, expected, problem, "end it before the controller starts", "fault")
        if others.names:
            text = f"{listed(others.names)} may publish there, and sends nothing"
            return Row(what, expected, text, "see that it stays silent", "look")
        return Row(what, expected, "none")

    def _noted_rows(self) -> list[Row]:
        """Return what is wrong between publishers, and with cameras; nothing where all is well."""
        node, robot = self._node, self._robot
        latched = [s.topic for s in robot.streams if s.is_text] + list(robot.descriptions)
        sources = [each for stream in robot.measuring_streams for each in stream.sources]
        states = [node.resolve_topic_name(each.topic) for each in sources]
        commands = [each.topic for each in self._outputs]
        faults = {
            "latched topics": volatile_descriptions(node, latched),
            **{f"joints on {topic}": text for topic, text in self._contradicted.items()},
            **{f"field of view {name}": text for name, text in self._views.problems.items()},
        }
        looks = {
            "namespaces": mixed_namespaces(states, commands) if states else "",
            **several_publishers(node, self._contradictions.shared),
            **self._views.notes,
        }
        remedy = "see the text"
        rows = [Row(what, "", text, remedy, "fault") for what, text in faults.items() if text]
        return rows + [Row(what, "", text, remedy, "look") for what, text in looks.items() if text]


def _latched(depth: int = 1) -> QoSProfile:
    return QoSProfile(depth=depth, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def _offered(profile: QoSProfile) -> str:
    is_reliable = profile.reliability == ReliabilityPolicy.RELIABLE
    is_kept = profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
    reliability = "reliable" if is_reliable else "best effort"
    return f"{reliability} {'transient local' if is_kept else 'volatile'}"
