"""Publishers and listeners that do not fit, fall silent or die, as the middleware reports."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from rclpy.event_handler import (
    PublisherEventCallbacks,
    QoSLivelinessChangedInfo,
    QoSLivelinessLostInfo,
    QoSRequestedDeadlineMissedInfo,
    QoSRequestedIncompatibleQoSInfo,
    QoSSubscriptionMatchedInfo,
    SubscriptionEventCallbacks,
)
from rclpy.qos import qos_policy_name_from_kind


@dataclass
class TopicEvents:
    """Reports of the middleware on one topic.

    Attributes:
        incompatible: Publishers or listeners that could not be connected.
        policy: The setting for which the last of them does not fit.
        deadlines_missed: How often nothing came in the time that was promised.
        is_late: Whether that was since the last ``QosEvents.take``.
        alive: Why nothing can come at all; empty when there is a publisher.
    """

    incompatible: int = 0
    policy: str = ""
    deadlines_missed: int = 0
    is_late: bool = False
    alive: str = ""

    @property
    def text(self) -> str:
        """What is wrong now; empty when nothing is."""
        parts = [self.alive] if self.alive else []
        if self.incompatible:
            parts.append(f"{self.incompatible} not connected: {self.policy} does not fit")
        if self.is_late:
            parts.append(f"deadline missed {self.deadlines_missed} times")
        return "; ".join(parts)


class QosEvents:
    """Keeps the reports on each topic, and logs it when it has changed.

    Everything happens on the executor's thread.

    Args:
        warn: Writes to the log.
    """

    def __init__(self, warn: Callable[[str], object]) -> None:
        self._warn = warn
        self._topics: dict[str, TopicEvents] = {}

    def of_subscription(self, topic: str) -> SubscriptionEventCallbacks:
        """Return the callbacks of a subscription."""
        return SubscriptionEventCallbacks(
            incompatible_qos=partial(self._on_incompatible, topic, "publisher"),
            deadline=partial(self._on_deadline, topic),
            liveliness=partial(self._on_publishers_alive, topic),
            matched=partial(self._on_publishers, topic),
        )

    def of_publisher(self, topic: str) -> PublisherEventCallbacks:
        """Return the callbacks of a publisher."""
        return PublisherEventCallbacks(
            incompatible_qos=partial(self._on_incompatible, topic, "listener"),
            deadline=partial(self._on_deadline, topic),
            liveliness=partial(self._on_own_liveliness, topic),
        )

    def forget(self) -> None:
        """Forget every topic, as when the node is cleaned up."""
        self._topics.clear()

    def take(self) -> dict[str, TopicEvents]:
        """Return topic -> the reports on it; missed deadlines count from now on again."""
        taken = {topic: TopicEvents(**vars(events)) for topic, events in self._topics.items()}
        for events in self._topics.values():
            events.is_late = False
        return taken

    def _of(self, topic: str) -> TopicEvents:
        return self._topics.setdefault(topic, TopicEvents())

    def _on_incompatible(
        self, topic: str, who: str, event: QoSRequestedIncompatibleQoSInfo
    ) -> None:
        events = self._of(topic)
        events.incompatible = event.total_count
        events.policy = qos_policy_name_from_kind(event.last_policy_kind)
        self._warn(
            f"{topic}: a {who} was not connected, its {events.policy} does not fit; nothing will "
            f"come of it: change its QoS, or ours by the parameters qos_overrides"
        )

    def _on_deadline(self, topic: str, event: QoSRequestedDeadlineMissedInfo) -> None:
        events = self._of(topic)
        if not events.is_late:
            self._warn(f"{topic}: deadline missed, {event.total_count} times by now")
        events.deadlines_missed, events.is_late = event.total_count, True

    def _on_publishers(self, topic: str, event: QoSSubscriptionMatchedInfo) -> None:
        # Fast DDS reports the liveliness only where a lease was asked for.
        self._tell_alive(topic, "" if event.current_count > 0 else "the last publisher has gone")

    def _on_publishers_alive(self, topic: str, event: QoSLivelinessChangedInfo) -> None:
        self._tell_alive(topic, "" if event.alive_count > 0 else "no publisher is alive")

    def _on_own_liveliness(self, topic: str, event: QoSLivelinessLostInfo) -> None:
        self._tell_alive(topic, f"our liveliness was lost {event.total_count} times")

    def _tell_alive(self, topic: str, text: str) -> None:
        events = self._of(topic)
        if text != events.alive:
            self._warn(f"{topic}: {text or 'a publisher is there again'}")
        events.alive = text
