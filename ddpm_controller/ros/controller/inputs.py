"""Everything that the controller listens to: streams, joint limits and the clock."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions, QoSPolicyKind
from rclpy.subscription import Subscription
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import String

from ddpm_controller.bags.conversions import ConversionError, observation_from, seconds
from ddpm_controller.control.loop import NO_LIMITS
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.robots.robot import (
    COMPRESSED_IMAGE,
    IMAGE,
    JOINT_STATE,
    STRING,
    Robot,
    RobotStream,
)
from ddpm_controller.ros.controller.session import ControlSession
from ddpm_controller.ros.polled_topic import POLLED_DEPTH, PolledTopic, Unattended
from ddpm_controller.ros.qos_events import QosEvents

_TYPES = {
    JOINT_STATE: JointState,
    IMAGE: Image,
    COMPRESSED_IMAGE: CompressedImage,
    STRING: String,
}
_MAY_BE_SET = (
    QoSPolicyKind.HISTORY,
    QoSPolicyKind.DEPTH,
    QoSPolicyKind.RELIABILITY,
    QoSPolicyKind.DEADLINE,
    QoSPolicyKind.LIVELINESS,
    QoSPolicyKind.LIVELINESS_LEASE_DURATION,
)
"""By the parameters qos_overrides.<topic>.subscription."""


class ControllerInputs:
    """Subscriptions of a configured controller; what comes goes to the session, if there is one.

    A sentence is published once: it is kept for the next session too. Joint states are taken by
    the control thread before its ticks, but in lockstep, where they are what it waits for.

    Args:
        node: Owner of the subscriptions.
        robot: Streams and joints.
        lockstep: Nothing may be lost: reliable and deep; else the newest is what counts.
        events: Receiver of publishers that do not fit or fall silent.
        refuse_limits: Raises a ValueError for limits that the robot cannot be moved within.

    Attributes:
        limits: From ``robot_description``; None before it came.
        no_limits_text: Why there are no limits.
    """

    def __init__(
        self,
        node: Node,
        robot: Robot,
        lockstep: bool,
        events: QosEvents,
        refuse_limits: Callable[[JointLimits], None] = lambda limits: None,
    ) -> None:
        self._refuse_limits = refuse_limits
        self.limits: JointLimits | None = None
        self.no_limits_text = NO_LIMITS
        self._node = node
        self._robot = robot
        self._lockstep = lockstep
        self._session: ControlSession | None = None
        self._on_clock: Callable[[float], None] | None = None
        self._said: dict[str, tuple[RobotStream, String]] = {}
        self._others: dict[str, set[str]] = {}
        reliability = ReliabilityPolicy.RELIABLE if lockstep else ReliabilityPolicy.BEST_EFFORT
        depth = 100 if lockstep else 5
        self._events, self._reliability, self._depth = events, reliability, depth
        self._unattended, self._polled = Unattended(), list[PolledTopic]()
        self._subscriptions: list[Subscription] = [
            self._subscribe(topic, streams) for topic, streams in robot.streams_of_topics.items()
        ]
        self._subscriptions.append(
            node.create_subscription(String, "robot_description", self._on_description, _latched())
        )
        if lockstep:
            qos = QoSProfile(depth=depth, reliability=reliability)
            self._subscriptions.append(self._clock(qos, events))

    def _subscribe(self, topic: str, streams: Sequence[RobotStream]) -> Subscription:
        first, take = streams[0], partial(self._on_topic, streams)
        is_polled = first.type == JOINT_STATE and not self._lockstep
        # Each its own: what is set for one topic is written into it.
        depth = POLLED_DEPTH if is_polled else self._depth
        qos = QoSProfile(depth=depth, reliability=self._reliability)
        subscription = self._node.create_subscription(
            _TYPES[first.type],
            topic,
            take,
            _latched() if first.is_text else qos,
            callback_group=self._unattended if is_polled else None,
            event_callbacks=self._events.of_subscription(topic),
            qos_overriding_options=QoSOverridingOptions(_MAY_BE_SET),
        )
        if is_polled:
            self._polled.append(PolledTopic(subscription, take))
        return subscription

    def _clock(self, qos: QoSProfile, events: QosEvents) -> Subscription:
        heard = events.of_subscription("/clock")
        return self._node.create_subscription(
            Clock, "/clock", self._on_time, qos, event_callbacks=heard
        )

    def connect(self, session: ControlSession, on_clock: Callable[[float], None]) -> None:
        """Send what comes from now on to ``session``."""
        self._on_clock = on_clock
        self._session = session
        self._others.clear()
        for topic in self._polled:
            topic.drop()
        session.collect_with(self._collect)
        for stream, message in self._said.values():
            self._on_message(stream, message)

    def disconnect(self) -> None:
        """Drop what comes from now on."""
        self._session = self._on_clock = None

    def destroy(self) -> None:
        """Leave the topics."""
        self.disconnect()
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)

    def _collect(self) -> None:
        for topic in self._polled:
            topic.collect()

    def _on_topic(self, streams: Sequence[RobotStream], message: Any) -> None:
        for stream in streams:
            self._on_message(stream, message)

    def _on_message(self, stream: RobotStream, message: Any) -> None:
        session, name = self._session, stream.spec.name
        if stream.is_text:
            self._said[name] = (stream, message)
        if session is None:
            return
        if stream.is_text:
            session.post(partial(session.hear, name, message.data))
        try:
            found = observation_from(message, stream, self._now_s())
        except ConversionError as error:
            session.post(partial(session.loop.refuse, name, str(error), error.joints))
            self._node.get_logger().warning(f"refused: {error}", throttle_duration_sec=1.0)
            return
        if found is None or found[2] is not None:
            self._note_others(session, stream, message)
        if found is not None:
            session.post(partial(session.loop.observe, name, *found, self._arrived_s()))

    def _note_others(self, session: ControlSession, stream: RobotStream, message: Any) -> None:
        """Let a stream that misses joints name what else its topic has, once of each."""
        known = self._others.setdefault(stream.spec.name, set())
        new = set(message.name) - known - set(stream.spec.names)
        if new:
            known |= new
            session.post(partial(session.loop.watch.see_others, stream.spec.name, sorted(known)))

    def _arrived_s(self) -> float | None:
        """Return the time by the clock of the ticks; None where it does not count or not go.

        In lockstep everything due is awaited, and a run must not depend on when it came.
        """
        now_s = self._now_s()
        return None if self._lockstep or now_s <= 0 else now_s

    def _now_s(self) -> float:
        return seconds(self._node.get_clock().now().to_msg())

    def _on_time(self, message: Clock) -> None:
        if self._on_clock is not None:
            self._on_clock(seconds(message.clock))

    def _on_description(self, message: String) -> None:
        session = self._session
        try:
            limits = self._robot.limits(message.data)
            self._refuse_limits(limits)
        except ValueError as error:
            self.no_limits_text = str(error)
            self._node.get_logger().error(str(error))
            if session is not None:
                session.post(partial(session.loop.refuse_limits, str(error)))
            return
        if session is None:
            self.limits = limits
        elif self.limits is None:
            self.limits = limits
            session.post(partial(session.loop.take_limits, limits))
        else:
            self._node.get_logger().warning(
                "another robot_description came: its limits count from the next activation on",
                throttle_duration_sec=10.0,
            )


def _latched() -> QoSProfile:
    """Return the quality of service of what is published once, for all who come later too."""
    return QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
