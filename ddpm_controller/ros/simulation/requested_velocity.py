"""Who leads a simulated robot: its episode, or whoever else publishes the requested velocity."""

import math
import time
from typing import Any

import numpy as np
from rclpy.node import Node

from ddpm_controller.messages.message_classes import message_class
from ddpm_controller.robots.streams import RobotStream
from ddpm_controller.ros.simulation.field_messages import field_message
from ddpm_controller.ros.simulation.joint_states import STREAM_QOS
from ddpm_controller.simulation.world import LedWorld

_STALE_S = 0.5
"""After so long without another message nothing leads: the robot is to stand."""


class RequestedVelocity:
    """Publishes the request of the episode while nothing else publishes there, and follows others.

    Args:
        node: Owner of publisher and subscription.
        world: Is led by what others publish, so that it is judged by that.
        stream: Stream of the request in the robot file.
    """

    def __init__(self, node: Node, world: LedWorld, stream: RobotStream) -> None:
        self._node, self._world, self._stream = node, world, stream
        kind = message_class(stream.type)
        self._publisher = node.create_publisher(kind, stream.topic, STREAM_QOS)
        node.create_subscription(kind, stream.topic, self._receive, 10)
        self._others, self._heard_s = False, -math.inf

    def tell(self, stamp_s: float) -> None:
        """Publish the request of a tick at ``stamp_s``, or be led by others."""
        self._others = self._node.count_publishers(self._stream.topic) > 1
        if not self._others:
            self._world.lead(None)
            self._publisher.publish(field_message((self._stream,), self._world.vectors, stamp_s))
        elif time.monotonic() - self._heard_s > _STALE_S:
            self._world.lead(np.zeros(len(self._stream.spec.names)))

    def _receive(self, message: Any) -> None:
        if self._others:
            values = [each for field in self._stream.fields for each in field.values(message)]
            if np.isfinite(values).all():
                self._world.lead(np.array(values))
                self._heard_s = time.monotonic()
