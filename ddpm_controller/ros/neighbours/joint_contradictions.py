"""Publishers of one joint that contradict each other, on every topic of joint states."""

import math
import time
from collections.abc import Mapping
from functools import partial
from itertools import combinations

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import JointState

from ddpm_controller.messages.stamps import seconds
from ddpm_controller.robots.outputs import JOINT_STATE
from ddpm_controller.robots.robot import Robot
from ddpm_controller.robots.streams import RobotStream
from ddpm_controller.ros.neighbours.endpoints import node_of
from ddpm_controller.ros.neighbours.joint_jumps import JointJumps

_MOST_LISTS = 16
"""Of names on one topic: more than a robot has publishers."""


class JointContradictions:
    """Watches the joints whose positions are observed, on every topic that brings them.

    Args:
        node: Asked for the publishers.
        robot: Its streams.
    """

    def __init__(self, node: Node, robot: Robot) -> None:
        self._node = node
        self._jumps: dict[str, JointJumps] = {}
        self._prefixes: dict[str, str] = {}
        self._scales: dict[str, dict[str, float]] = {}
        self._lists: dict[str, set[tuple[str, ...]]] = {}
        for topic, sources in robot.sources_of_topics.items():
            streams = [each.stream for each in sources if _has_positions(each.stream)]
            if streams:
                self._jumps[topic] = self._watch(topic, streams)
                self._lists[topic] = set()
                self._prefixes[topic] = sources[0].prefix
                self._scales[topic] = {
                    joint: scale for each in streams for joint, scale in _scales(each).items()
                }

    def problem(self, topic: str, message: JointState, speeds: Mapping[str, float]) -> str:
        """Return why a joint state contradicts those before, or an empty text.

        Args:
            topic: As the robot file names it.
            message: Joint state; of another topic nothing is known.
            speeds: Joint -> speed that it can have, rad/s or m/s.
        """
        if topic not in self._jumps:
            return ""
        if len(self._lists[topic]) < _MOST_LISTS:
            self._lists[topic].add(tuple(message.name))
        scales, prefix = self._scales[topic], self._prefixes[topic]
        given = zip(message.name, message.position, strict=False)
        measured = {
            prefix + name: scales.get(prefix + name, 1.0) * float(each)
            for name, each in given
            if math.isfinite(each)
        }
        stamp_s = seconds(message.header.stamp)
        return self._jumps[topic].problem(measured, stamp_s, speeds, time.monotonic())

    @property
    def shared(self) -> dict[str, list[str]]:
        """Topic, with namespace -> joints that messages with other joints beside them have too.

        Of publishers that give other joints each, as of an arm and a gripper, there are none.
        """
        return {
            self._node.resolve_topic_name(topic): sorted(
                {joint for a, b in combinations(lists, 2) for joint in set(a) & set(b)}
            )
            for topic, lists in self._lists.items()
        }

    def _watch(self, topic: str, streams: list[RobotStream]) -> JointJumps:
        specs = [each.spec for each in streams]
        return JointJumps(
            {name for spec in specs for name in spec.names},
            max(1.0 / spec.rate_hz for spec in specs),
            partial(self._publishers, self._node.resolve_topic_name(topic)),
            {name for spec in specs for name in spec.wraps},
        )

    def _publishers(self, topic: str) -> list[str]:
        return sorted(map(node_of, self._node.get_publishers_info_by_topic(topic)))


def _has_positions(stream: RobotStream) -> bool:
    return stream.type == JOINT_STATE and stream.field == "position"


def _scales(stream: RobotStream) -> Mapping[str, float]:
    """Return joint -> what its numbers are multiplied by to be in SI."""
    names = stream.spec.names
    return dict(zip(names, stream.in_si(np.ones(len(names))).tolist(), strict=True))
