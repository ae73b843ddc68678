"""The claim of a controller on its command topic, and those of the others, as messages."""

import os
import socket
import time
from dataclasses import replace

from ddpm_msgs.msg import CommandClaim
from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from ddpm_controller.messages.stamps import seconds
from ddpm_controller.ros.neighbours.claims import Claim, ClaimBook, Intent
from ddpm_controller.ros.stamps import time_from

_SETTLE_S = 0.6
"""A claim that was made at the same instant elsewhere has arrived by then."""


class CommandClaims:
    """Publishes the claim of this controller and receives those of the others.

    Args:
        node: Owner of publisher and subscription.
        topic: Command topic, with namespace.
        group: Group of the callback.
        own_id: Name of this controller's claims: the same on all of its topics, so that of two
            controllers the same one comes first on each.

    Attributes:
        book: Claims of the others.
    """

    def __init__(self, node: Node, topic: str, group: CallbackGroup, own_id: str) -> None:
        self._node, self._topic = node, topic
        self.book = ClaimBook(own_id)
        name = node.get_fully_qualified_name()
        self._own = Claim(self.book.id, name, socket.gethostname(), os.getpid(), 0.0, Intent.NONE)
        self._claimed_s = 0.0
        self._claim_topic = f"{topic}/claim"
        qos = QoSProfile(
            depth=1,
            reliability=ReliabilityPolicy.RELIABLE,
            durability=DurabilityPolicy.TRANSIENT_LOCAL,
        )
        self._publisher = node.create_publisher(CommandClaim, self._claim_topic, qos)
        several = QoSProfile(depth=50, reliability=qos.reliability, durability=qos.durability)
        self._subscription = node.create_subscription(
            CommandClaim, self._claim_topic, self._on_claim, several, callback_group=group
        )
        self._publish()

    def declare(self, intent: Intent, now_s: float, since_s: float) -> None:
        """Publish what this controller does; a claim is repeated as long as it holds.

        Args:
            intent: What it does.
            now_s: Monotonic time.
            since_s: System time, from which on a new claim counts.
        """
        before = self._own.intent
        if before == intent == Intent.NONE:
            return
        self._own = replace(self._own, intent=intent)
        if before == Intent.NONE:
            self._claimed_s = now_s
            self._own = replace(self._own, since_s=since_s)
        self._publish()

    def is_settled(self, now_s: float) -> bool:
        """Return whether a claim of the same instant would have arrived."""
        others = self._node.count_publishers(self._claim_topic) > 1
        has_claimed = self._own.intent != Intent.NONE
        return not others or (has_claimed and now_s - self._claimed_s >= _SETTLE_S)

    def problem(self, now_s: float) -> str:
        """Return which other controller has the right of way; empty: this one."""
        rival = self.book.rival(self._own, now_s)
        return rival.text(self._topic) if rival else ""

    def close(self) -> None:
        """End the claim and leave the topic."""
        self.declare(Intent.NONE, 0.0, 0.0)
        self._node.destroy_subscription(self._subscription)
        self._node.destroy_publisher(self._publisher)

    def _publish(self) -> None:
        own = self._own
        message = CommandClaim(id=own.id, node=own.node, host=own.host, pid=own.pid)
        message.since = time_from(own.since_s)
        message.claims, message.commands = own.intent != 0, own.intent == Intent.COMMANDS
        self._publisher.publish(message)

    def _on_claim(self, message: CommandClaim) -> None:
        intent = Intent(bool(message.claims) + bool(message.claims and message.commands))
        claim = Claim(
            message.id,
            message.node,
            message.host,
            message.pid,
            seconds(message.since),
            intent,
        )
        self.book.note(claim, time.monotonic())
