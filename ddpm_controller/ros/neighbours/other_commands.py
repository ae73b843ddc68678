"""Commands on our topic that are not ours: who could send them, and whether they come."""

import time
from collections import deque
from collections.abc import Callable, Sequence

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription

from ddpm_controller.messages.message_classes import message_class
from ddpm_controller.ros.commanding.sent_positions import SentPositions
from ddpm_controller.ros.neighbours.endpoints import foreign, listed

_REPORTED_S = 0.3
"""After this time a command of ours has been reported, also by another process."""
_RECENT_S = 1.0
"""Whoever has sent a command within this time commands."""
_MOST_PENDING = 1000


class ForeignMessages:
    """Finds among commands those that are not ours; times are of a monotonic clock.

    rclpy does not name the publisher of a message. A command is ours when it contains the bytes
    of a position that we have sent; what we have sent is known a little later than it arrives.

    Args:
        is_explained: Returns whether a command that came at a time is of a controller that yields.
    """

    def __init__(self, is_explained: Callable[[float, float], bool]) -> None:
        self._is_explained = is_explained
        self._pending: deque[tuple[float, bytes]] = deque(maxlen=_MOST_PENDING)
        self._last_s = float("-inf")

    def take(self, message: bytes, now_s: float) -> None:
        """Take a serialized command that came at ``now_s``."""
        self._pending.append((now_s, message))

    def judge(self, sent: SentPositions, known_s: float, now_s: float) -> None:
        """Compare what came with what we have sent, which is known up to ``known_s``."""
        while self._pending and self._pending[0][0] + _REPORTED_S <= known_s:
            arrived_s, message = self._pending.popleft()
            if arrived_s <= sent.gap_s + _REPORTED_S or sent.has(message, now_s):
                continue
            if not self._is_explained(arrived_s, now_s):
                self._last_s = max(self._last_s, arrived_s)

    def come(self, now_s: float) -> bool:
        """Return whether foreign commands have come lately."""
        return now_s - self._last_s < _RECENT_S + _REPORTED_S

    def forget(self) -> None:
        """Forget what has come: whoever could have sent it has left."""
        self._pending.clear()
        self._last_s = float("-inf")


class OtherCommands:
    """Watches the command topic, while there is another publisher on it and not else.

    A publisher alone is no harm: rqt, MoveIt and programs for teleoperation keep one for ever.

    Args:
        node: Owner of the subscription.
        topic: Command topic, with namespace.
        kind: Type of the commands, by its full name.
        group: Group of the callback.
        is_explained: As ``ForeignMessages``.

    Attributes:
        names: Nodes that have another publisher there.
    """

    def __init__(
        self,
        node: Node,
        topic: str,
        kind: str,
        group: CallbackGroup,
        is_explained: Callable[[float, float], bool],
    ) -> None:
        self._node, self._topic, self._kind, self._group = node, topic, kind, group
        self._messages = ForeignMessages(is_explained)
        self._subscription: Subscription | None = None
        self.names: list[str] = []

    def look(self, own: Sequence[str]) -> None:
        """Find the publishers on the topic that are not of the nodes ``own``."""
        self.names = foreign(self._node.get_publishers_info_by_topic(self._topic), own)
        if self.names and self._subscription is None:
            self._subscription = self._node.create_subscription(
                message_class(self._kind),
                self._topic,
                lambda message: self._messages.take(message, time.monotonic()),
                QoSProfile(depth=50, reliability=ReliabilityPolicy.BEST_EFFORT),
                callback_group=self._group,
                raw=True,
            )
        elif not self.names:
            self.close()

    def problem(self, sent: SentPositions, known_s: float, now_s: float) -> str:
        """Return who commands besides us, or an empty text."""
        self._messages.judge(sent, known_s, now_s)
        if not self._messages.come(now_s):
            return ""
        return (
            f"commands that are not ours come on {self._topic}: publishers there are "
            f"{listed(self.names)}; stop the one that commands, then activate or reset again"
        )

    def close(self) -> None:
        """Leave the topic."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
        self._subscription = None
        self._messages.forget()
