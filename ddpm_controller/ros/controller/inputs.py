"""Everything that the controller listens to: streams, joint limits and the clock."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions, QoSPolicyKind
from rclpy.subscription import Subscription
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_msgs.msg import String

from ddpm_controller.bags.conversions import ConversionError, seconds
from ddpm_controller.bags.stream_reader import Read, StreamReader
from ddpm_controller.control.loop import NO_LIMITS
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.messages.message_classes import message_class
from ddpm_controller.robots.robot import Robot
from ddpm_controller.robots.robot_description import Descriptions
from ddpm_controller.robots.streams import StreamSource
from ddpm_controller.ros.camera_views import CameraViews
from ddpm_controller.ros.controller.session import ControlSession
from ddpm_controller.ros.neighbours.joint_contradictions import JointContradictions
from ddpm_controller.ros.polled_topic import POLLED_DEPTH, PolledTopic, Unattended
from ddpm_controller.ros.qos_events import QosEvents

_SLOW = 1.0
"""Speed, rad/s or m/s, of joints whose limits have not come: nothing is sent before they have."""
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

    A sentence is published once: it is kept for the next session too, as are the links of frames.
    Vectors are taken by the control thread before its ticks, but in lockstep, where they are what
    it waits for.

    Args:
        node: Owner of the subscriptions.
        robot: Streams and joints.
        lockstep: Nothing may be lost: reliable and deep; else the newest is what counts.
        events: Receiver of publishers that do not fit or fall silent.
        refuse_limits: Raises a ValueError for limits that the robot cannot be moved within.

    Attributes:
        views: Fields of view of the cameras.
        limits: From the newest ``robot_description``, for the next activation; None before one
            that can be used has come.
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
        self._described = Descriptions(robot.descriptions)
        self._in_force: JointLimits | None = None  # of the session
        self._speeds = dict.fromkeys(robot.action_spec.joint_names, _SLOW)
        self._node = node
        self._robot = robot
        self._lockstep = lockstep
        self._session: ControlSession | None = None
        self._on_clock: Callable[[float], None] | None = None
        self._contradictions = JointContradictions(node, robot)
        self._reader, self.views = StreamReader(robot.streams), CameraViews(node, robot)
        self._said: dict[str, tuple[StreamSource, String]] = {}
        self._others: dict[str, set[str]] = {}
        self._newest_s = 0.0
        reliability = ReliabilityPolicy.RELIABLE if lockstep else ReliabilityPolicy.BEST_EFFORT
        depth = 100 if lockstep else 5
        self._events, self._reliability, self._depth = events, reliability, depth
        self._unattended, self._polled = Unattended(), list[PolledTopic]()
        self._subscriptions: list[Subscription] = [
            self._subscribe(topic, sources) for topic, sources in robot.sources_of_topics.items()
        ]
        self._subscriptions += self._descriptions()
        if lockstep:
            qos = QoSProfile(depth=depth, reliability=reliability)
            self._subscriptions.append(self._clock(qos, events))

    def _descriptions(self) -> list[Subscription]:
        """A volatile publisher reaches the second one alone, when it publishes again."""
        several = (_latched(), QoSProfile(depth=1))
        return [
            self._node.create_subscription(
                String, topic, partial(self._on_description, topic), qos
            )
            for topic in self._robot.descriptions
            for qos in several
        ]

    def _subscribe(self, topic: str, sources: Sequence[StreamSource]) -> Subscription:
        first, take = sources[0].stream, partial(self._on_topic, topic, sources)
        is_static = sources[0].is_static
        # What has no stamp counts from when it came: not only at the next tick.
        waits = first.spec.kind == "vector" and (first.is_stamped or first.frames is not None)
        is_polled = waits and not self._lockstep
        # Each its own: what is set for one topic is written into it.
        depth = POLLED_DEPTH if is_polled else self._depth
        qos = QoSProfile(depth=depth, reliability=self._reliability)
        if first.is_text or is_static:
            qos = _latched(POLLED_DEPTH if is_static else 1)
        subscription = self._node.create_subscription(
            message_class(first.type),
            topic,
            take,
            qos,
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

    def shared_joints(self) -> dict[str, list[str]]:
        """Return, of each topic of joint states, the joints that several publishers give."""
        return self._contradictions.shared

    def connect(self, session: ControlSession, on_clock: Callable[[float], None]) -> None:
        """Send what comes from now on to ``session``."""
        self.disconnect()
        self._collect()  # what came before is compared for jumps, and does not count otherwise
        self._on_clock = on_clock
        self._session, self._in_force = session, self.limits
        self._others.clear()
        self._newest_s = 0.0
        session.collect_with(self._collect)
        for source, message in self._said.values():
            self._on_message(source, message)

    def explain_no_limits(self, why: str) -> None:
        """Add to the text, while no description has come, ``why`` none can."""
        text = f"{NO_LIMITS}: {why}" if why else NO_LIMITS
        is_explained = self.no_limits_text.startswith(NO_LIMITS)
        if self.limits is None and is_explained and text != self.no_limits_text:
            self.no_limits_text = text
            if self._session is not None:
                self._session.post(partial(self._session.loop.refuse_limits, text))

    def take_events(self) -> None:
        """Report the quality of service of the topics that the executor does not wait for."""
        for topic in self._polled:
            topic.take_events()

    def disconnect(self) -> None:
        """Drop what comes from now on."""
        self._session = self._on_clock = self._in_force = None

    def destroy(self) -> None:
        """Leave the topics."""
        self.disconnect()
        self.views.destroy()
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)

    def _collect(self) -> None:
        for topic in self._polled:
            topic.collect()

    def _on_topic(self, topic: str, sources: Sequence[StreamSource], message: Any) -> None:
        quarrel = self._contradictions.problem(topic, message, self._speeds)
        for source in sources:
            self._on_message(source, message, quarrel)

    def _on_message(self, source: StreamSource, message: Any, quarrel: str = "") -> None:
        session, stream, name = self._session, source.stream, source.stream.spec.name
        if stream.is_text:
            self._said[name] = (source, message)
        if session is None and not stream.frames:  # links from before count later too
            return
        if session is not None and stream.is_text:
            session.post(partial(session.hear, name, message.data))
        try:
            found = self._read(source, message, quarrel)
        except ConversionError as error:
            if session is not None:
                session.post(partial(session.loop.refuse, name, str(error), error.joints))
                self._node.get_logger().warning(f"refused: {error}", throttle_duration_sec=1.0)
            return
        if session is None:
            return
        if found is None or found.present is not None:
            self._note_others(session, source, message)
        if found is not None:
            observe = partial(session.loop.observe, name, found.stamp_s, found.value)
            session.post(partial(observe, found.present, self._arrived_s()))

    def _read(self, source: StreamSource, message: Any, quarrel: str) -> Read | None:
        if quarrel:
            _refuse_joints(source, message, quarrel)
        if problem := self.views.problems.get(source.stream.spec.name):
            raise ConversionError(problem)
        stream = source.stream
        may_lack_stamp = bool(stream.fields) or not stream.is_stamped
        came_s = self._came_s() if may_lack_stamp else math.nan  # the clock costs a little
        found = self._reader.read(source, message, came_s)
        if found is not None and stream.is_stamped:
            self._newest_s = max(self._newest_s, found.stamp_s)
        return found

    def _note_others(self, session: ControlSession, source: StreamSource, message: Any) -> None:
        """Let a stream that misses elements name what else its topic has, once of each."""
        stream = source.stream
        known = self._others.setdefault(stream.spec.name, set())
        new = set(self._reader.others(source, message)) - known - set(stream.spec.names)
        if new:
            known |= new
            session.post(partial(session.loop.watch.see_others, stream.spec.name, sorted(known)))

    def _arrived_s(self) -> float | None:
        """Return the time by the clock of the ticks; None where it does not count or not go.

        In lockstep everything due is awaited, and a run must not depend on when it came.
        """
        now_s = self._now_s()
        return None if self._lockstep or now_s <= 0 else now_s

    def _came_s(self) -> float:
        """Return when a message without a stamp came.

        In lockstep the clock of a tick follows its messages: the stamps of the others count.
        """
        return max(self._now_s(), self._newest_s) if self._lockstep else self._now_s()

    def _now_s(self) -> float:
        return seconds(self._node.get_clock().now().to_msg())

    def _on_time(self, message: Clock) -> None:
        if self._on_clock is not None:
            self._on_clock(seconds(message.clock))

    def renew_limits(self, robot: Robot) -> None:
        """Take the limits that ``robot`` gives the newest description, for the next activation."""
        self._robot = robot
        if not self._described.are_complete:
            return
        try:
            limits = robot.limits(self._described.text)
            self._refuse_limits(limits)
        except ValueError as error:
            # Those before do not count either: the robot is another one now.
            self.limits, self.no_limits_text = None, str(error)
            self._node.get_logger().error(str(error))
            return
        names = robot.action_spec.joint_names
        self._speeds = dict(zip(names, limits.velocity.tolist(), strict=True))
        self.limits = limits

    def _on_description(self, topic: str, message: String) -> None:
        if not self._described.take(topic, message.data):
            return  # it came to both subscriptions, or another one is awaited
        self.renew_limits(self._robot)
        session, before = self._session, self._in_force
        if session is None:
            return
        if before is not None:
            self._log_change(before)
            if self.limits is not None:
                session.post(partial(session.loop.note_newer_limits, self.limits))
        elif self.limits is None:
            session.post(partial(session.loop.refuse_limits, self.no_limits_text))
        else:
            self._in_force = self.limits
            session.post(partial(session.loop.take_limits, self.limits))

    def _log_change(self, before: JointLimits) -> None:
        """Log what becomes of a description that comes while ``before`` are in force."""
        names, text = self._robot.action_spec.joint_names, "another robot_description came"
        if self.limits is None:
            text += (
                " and cannot be used: the limits before count until the deactivation, then none"
            )
        elif stricter := before.stricter_in(self.limits, names):
            text += (
                f" with STRICTER limits: {stricter}; the robot slows down to them, or stops where "
                "it cannot; looser ones count from the next activation on"
            )
        else:
            text += ": its limits count from the next activation on"
        self._node.get_logger().warning(text)


def _refuse_joints(source: StreamSource, message: JointState, why: str) -> None:
    """Raise where a message that is not believed has joints of a stream."""
    have, spec = {source.prefix + name for name in message.name}, source.stream.spec
    if joints := [name for name in spec.names if name in have]:
        raise ConversionError(f"{spec.name}: {why}", joints)


def _latched(depth: int = 1) -> QoSProfile:
    """Return the quality of service of what is published once, for all who come later too."""
    return QoSProfile(depth=depth, durability=DurabilityPolicy.TRANSIENT_LOCAL)
