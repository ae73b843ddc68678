"""Topics that are read at every tick, not at every message.

A robot may send joint states at 1000 Hz, and a callback of the executor costs several times as
much as reading a message. So such a topic is none of the executor's: its messages wait in the
queue of the subscription until the control thread takes them all, before its tick.
"""

from collections.abc import Callable, Mapping
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.exceptions import InvalidHandle
from rclpy.subscription import Subscription

_CHANGES = (
    "total_count_change",
    "current_count_change",
    "alive_count_change",
    "not_alive_count_change",
)
"""What an event counts since it was taken last; each kind has some of them."""
POLLED_DEPTH = 200
"""Messages that wait at the most: of 1000 Hz those of 0.2 s."""


class Unattended(CallbackGroup):
    """Keeps subscriptions and their events from the executor.

    Waiting for an event of a subscription ends at once while a message waits in its queue: the
    executor would never sleep.
    """

    def can_execute(self, entity: Any) -> bool:
        """Return that the executor may not wait for ``entity``."""
        return False

    def beginning_execution(self, entity: Any) -> bool:
        """Return that nothing is executed."""
        return False

    def ending_execution(self, entity: Any) -> None:
        """Nothing was."""


class PolledTopic:
    """The messages of one subscription in an ``Unattended`` group.

    Args:
        subscription: Read by one thread at a time.
        take: Called with each message.
    """

    def __init__(self, subscription: Subscription, take: Callable[[Any], None]) -> None:
        self._subscription, self._take = subscription, take

    def collect(self) -> None:
        """Hand on what has come since the last call, in order."""
        for message, _ in self.waiting():
            self._take(message)

    def take_events(self) -> None:
        """Hand on the events that have happened since the last call."""
        for handler in self._subscription.event_handlers:
            handler._ready_to_take_data = True  # as the executor would note, had it waited
            try:
                event = handler.take_data()
            except InvalidHandle:  # it was destroyed meanwhile
                return
            if event and any(getattr(event, name, 0) for name in _CHANGES):
                handler.callback(event)

    def waiting(self) -> list[tuple[Any, Mapping[str, Any]]]:
        """Return what has come since the last call, in order, each with when and from where."""
        subscription, found = self._subscription, []
        try:
            with subscription.handle:
                for _ in range(POLLED_DEPTH):  # at the most: a publisher may be faster than this
                    taken = subscription.handle.take_message(
                        subscription.msg_type, subscription.raw
                    )
                    if taken is None:
                        break
                    found.append(taken)
        except InvalidHandle:  # it was destroyed meanwhile
            return []
        return found
