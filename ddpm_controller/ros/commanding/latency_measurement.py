"""Listens to a robot, moves it a little, and keeps when everything was sent and came."""

import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription
from std_msgs.msg import String

from ddpm_controller.bags.conversions import (
    ConversionError,
    observation_from,
    seconds,
)
from ddpm_controller.control.moving.cartesian_box import box_guard
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.control.moving.stopping import SafeStop, longest_stop_s
from ddpm_controller.control.observing.observation_buffer import (
    ObservationBuffer,
    ObservationError,
)
from ddpm_controller.identification.excitation import Excitation
from ddpm_controller.identification.picture_lag import thumbnail
from ddpm_controller.messages.message_classes import message_class
from ddpm_controller.robots.robot import Robot
from ddpm_controller.robots.robot_description import Descriptions
from ddpm_controller.robots.streams import StreamSource
from ddpm_controller.ros.commanding.governed_sender import GovernedSender, WishAt

_QUIET_S = 0.5
"""After a motion, for the states that are on their way."""
_STOP_S = 0.5
_PATIENCE_S = 10.0
_DISCOVERY_S = 0.7
"""Until everybody has found each other messages pile up, and come late once only."""


class MeasurementError(RuntimeError):
    """The robot cannot be measured, or was stopped while it was."""


@dataclass
class Recorded:
    """What was sent and measured during one motion.

    Attributes:
        sent_s: Moments of the commands.
        sent: Commands, (Da,) each.
        measured_s: Acquisition times.
        measured: Positions, (Da,) each.
        pictures: Camera -> (stamp, thumbnail) of each of its pictures.
    """

    sent_s: list[float] = field(default_factory=list)
    sent: list[np.ndarray] = field(default_factory=list)
    measured_s: list[float] = field(default_factory=list)
    measured: list[np.ndarray] = field(default_factory=list)
    pictures: dict[str, list[tuple[float, np.ndarray]]] = field(default_factory=dict)


class LatencyMeasurement:
    """One thread: callbacks run between the ticks.

    Args:
        node: Owner of subscriptions and of the command publisher.
        robot: What to listen to.
        should_stop: Asked at every tick; True stops the robot smoothly.

    Attributes:
        arrivals: Stream -> (stamp, arrival) of every message, s.
        limits: From robot_description and the joint-limits file; None before it came.
    """

    def __init__(self, node: Node, robot: Robot, should_stop: Callable[[], bool]) -> None:
        self.arrivals: dict[str, list[tuple[float, float]]] = {
            stream.spec.name: [] for stream in robot.streams if stream.is_stamped
        }
        self.limits: JointLimits | None = None
        self._node, self._robot, self._should_stop = node, robot, should_stop
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(node)
        self._others = 0
        self._recorded = Recorded()
        self._sender: GovernedSender | None = None
        self._measures = robot.measuring
        spec = self._measures.spec
        self._columns = [spec.names.index(name) for name in robot.action_spec.joint_names]
        self._states = ObservationBuffer((spec,), {spec.name: self._measures.max_age_s}, 0.0)
        newest = QoSProfile(depth=20, reliability=ReliabilityPolicy.BEST_EFFORT)
        for stream in robot.streams:
            if not stream.is_stamped:  # how late it comes cannot be seen
                continue
            kind = message_class(stream.type)
            for source in stream.sources:
                take = partial(self._on_message, source)
                node.create_subscription(kind, source.topic, take, newest)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._described = Descriptions(robot.descriptions)
        for topic in robot.descriptions:
            take_text = partial(self._on_description, topic)
            node.create_subscription(String, topic, take_text, latched)
        self._listeners: list[Subscription] = [
            node.create_subscription(
                message_class(each.type), each.topic, self._on_foreign_command, newest
            )
            for each in robot.outputs
            if not each.is_action
        ]

    @property
    def now_s(self) -> float:
        """This machine's clock."""
        return seconds(self._node.get_clock().now().to_msg())

    def listen(self, duration_s: float, on_progress: Callable[[float], None]) -> None:
        """Receive for a while.

        Raises:
            MeasurementError: Somebody else commands the robot.
            KeyboardInterrupt: It was asked to stop.
        """
        begin_s = time.monotonic()
        while (waited_s := time.monotonic() - begin_s) < _DISCOVERY_S or (
            waited_s < _PATIENCE_S and not all(self.arrivals.values())
        ):
            if self._should_stop():
                raise KeyboardInterrupt
            self._executor.spin_once(timeout_sec=0.1)
        for arrivals in self.arrivals.values():
            arrivals.clear()
        end_s = time.monotonic() + duration_s
        while (left_s := end_s - time.monotonic()) > 0:
            if self._should_stop():
                raise KeyboardInterrupt
            self._executor.spin_once(timeout_sec=min(left_s, 0.1))
            on_progress(duration_s - max(left_s, 0.0))
        if self._others:
            raise MeasurementError(
                f"another node commands the robot: {self._others} messages came on "
                f"{self._topics}; deactivate the controller first"
            )

    def pose(self) -> np.ndarray:
        """Return the measured positions in the order of the action, (Da,).

        Raises:
            MeasurementError: None came, the limits did not, or it is outside of them.
        """
        names = self._robot.action_spec.joint_names
        if self.limits is None:
            raise MeasurementError(
                "no joint limits: nothing that can be used has come on robot_description; start "
                "robot_state_publisher"
            )
        position = self._position
        if position is None:
            raise MeasurementError(f"no position has come on {self._measures.topic}")
        if outside := self.limits.violations(position, names):
            raise MeasurementError(f"measured {outside}: move the robot inside its limits first")
        guard = box_guard(self.limits)
        if guard is not None and (outside := guard.start_problem(position)):
            raise MeasurementError(outside)
        return position

    def begin_to_command(self, rate_hz: float) -> np.ndarray:
        """Be ready to move, at rest where the robot is; return that pose (Da,).

        Raises:
            MeasurementError: See ``pose``; or nothing subscribes to commands.
        """
        pose = self.pose()
        assert self.limits is not None
        for listener in self._listeners:
            self._node.destroy_subscription(listener)
        self._listeners.clear()
        self._sender = GovernedSender(
            self._node, self._robot, self.limits, 1.0 / rate_hz, _STOP_S, pose
        )
        end_s = time.monotonic() + _PATIENCE_S
        while not self._sender.is_heard:
            if time.monotonic() > end_s:
                raise MeasurementError(f"nothing subscribes to one of {self._topics}")
            self._executor.spin_once(timeout_sec=0.1)
        return pose

    def move(
        self, motion: Excitation, farthest: float, on_progress: Callable[[float], None]
    ) -> Recorded:
        """Send a motion through the governor and return what was sent and measured.

        Args:
            motion: Around the pose in which the last one has ended.
            farthest: A measured joint may be this far from its command, rad or m.
            on_progress: Called with the seconds that have passed.

        Raises:
            MeasurementError: States were late or far from the commands; the robot was stopped.
            KeyboardInterrupt: It was asked to stop; the robot was stopped smoothly.
        """
        assert self.limits is not None
        assert self._sender is not None
        self._recorded = recorded = Recorded()
        sender = self._sender
        begin_s = sender.begin(self.now_s)
        try:
            while (passed_s := self.now_s - begin_s) < motion.duration_s + _QUIET_S:
                if self._should_stop():
                    raise KeyboardInterrupt
                self._refuse_danger(sender.led(self.now_s), farthest)
                self._send(sender, lambda moment_s: motion.at(moment_s - begin_s))
                on_progress(max(passed_s, 0.0))
        except (KeyboardInterrupt, MeasurementError):
            self._come_to_rest(sender)
            raise
        return recorded

    def close(self) -> None:
        """Leave the graph."""
        self._executor.shutdown()
        self._node.destroy_node()

    # Parts

    def _send(self, sender: GovernedSender, wish_at: WishAt) -> None:
        assert self._position is not None
        for sent in sender.send(wish_at, self.now_s, self._position):
            self._recorded.sent_s.append(sent.stamp_s)
            self._recorded.sent.append(sent.motion.position)
        due_s = sender.due_s
        while (left_s := due_s - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left_s)

    def _come_to_rest(self, sender: GovernedSender) -> None:
        begin_s = max(self.now_s, sender.sent.stamp_s)
        stop = SafeStop(begin_s, sender.sent.motion, _STOP_S, sender.limits)
        stopped_s = begin_s + longest_stop_s(_STOP_S, sender.limits)
        # Late ticks take from the motion: then it is at rest a little later.
        while (now_s := self.now_s) < stopped_s + _PATIENCE_S:
            if now_s >= stopped_s and not sender.sent.motion.velocity.any():
                break
            self._send(sender, stop.at)

    def _refuse_danger(self, led: np.ndarray, farthest: float) -> None:
        position, name = self._position, self._measures.spec.name
        assert position is not None
        age_s = self._states.ages(self.now_s)[name]
        if age_s > self._measures.max_age_s:
            raise MeasurementError(
                f"{name} is {age_s:.2f} s old, more than "
                f"{self._measures.max_age_s:g} s: the robot was stopped"
            )
        distances = np.abs(position - led)
        joint = int(distances.argmax())
        if distances[joint] > farthest:
            name = self._robot.action_spec.joint_names[joint]
            raise MeasurementError(
                f"{name} is {distances[joint]:.4f} from its command, more than {farthest:.4f}: "
                "the robot was stopped"
            )

    @property
    def _topics(self) -> str:
        """Topics of the commands."""
        return ", ".join(each.topic for each in self._robot.outputs if not each.is_action)

    @property
    def _position(self) -> np.ndarray | None:
        """Newest measured positions in the order of the action, (Da,); None before they came."""
        row = self._states.newest(self._measures.spec.name, math.inf)
        return None if row is None else row[self._columns]

    def _on_message(self, source: StreamSource, message: Any) -> None:
        arrived_s, stream, name = self.now_s, source.stream, source.stream.spec.name
        try:
            if stream.spec.kind == "image" and self._sender is None:
                self.arrivals[name].append((seconds(message.header.stamp), arrived_s))
                return
            found = observation_from(message, stream, prefix=source.prefix)
        except ConversionError as error:
            self.arrivals[name].append((seconds(message.header.stamp), arrived_s))
            self._node.get_logger().warning(f"refused: {error}", throttle_duration_sec=1.0)
            return
        if found is None:  # joints of another part of the robot
            return
        stamp_s, value, present = found
        self.arrivals[name].append((stamp_s, arrived_s))
        if stream is self._measures:
            self._take_position(stamp_s, value, present)
        elif stream.spec.kind == "image":
            pictures = self._recorded.pictures.setdefault(name, [])
            pictures.append((stamp_s, thumbnail(value)))

    def _take_position(
        self, stamp_s: float, value: np.ndarray, present: np.ndarray | None
    ) -> None:
        with suppress(ObservationError):  # out of order
            self._states.add(self._measures.spec.name, stamp_s, value, present)
        position, stamps_s = self._position, self._recorded.measured_s
        if position is not None and (not stamps_s or stamp_s > stamps_s[-1]):
            stamps_s.append(stamp_s)
            self._recorded.measured.append(position)

    def _on_description(self, topic: str, message: String) -> None:
        if self._described.take(topic, message.data):
            self.limits = self._robot.limits(self._described.text)

    def _on_foreign_command(self, message: Any) -> None:
        self._others += 1
