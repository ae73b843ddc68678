"""The chunks that are followed, for people to look at: as trajectories, and as paths in space."""

import traceback
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import numpy as np
from geometry_msgs.msg import Point
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import ColorRGBA, Header, String
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint
from visualization_msgs.msg import Marker, MarkerArray

from ddpm_controller.control.moving.forward_kinematics import LinkChain
from ddpm_controller.robots.robot import DESCRIPTION
from ddpm_controller.robots.robot_description import Descriptions
from ddpm_controller.ros.latest_worker import LatestWorker
from ddpm_controller.ros.stamps import duration_from, time_from
from ddpm_controller.types import ActionChunk

FAN_SIZE = 6
"""Chunks that are seen at once."""
_OLDEST_S = 10.0
_NEW, _OLD = (1.0, 0.45, 0.0), (0.2, 0.5, 1.0)
_NEW_WIDTH_M, _OLD_WIDTH_M = 0.005, 0.003


@dataclass(frozen=True)
class ChunkPath:
    """Where the end effector goes in a chunk.

    Attributes:
        start_s: Moment of the first row.
        points: (Ta, 3) m, in the base frame of the robot description.
    """

    start_s: float
    points: np.ndarray


class ChunkPictures:
    """Publishes ``~/predicted_trajectory`` and ``~/predicted_path`` while there is a subscriber.

    All its work is done on a thread of its own, and an error there is logged once and ends
    nothing. A chunk that is followed by another one before it was begun is left out.

    Args:
        node: Owner of the publishers.
        joint_names: Columns of the chunks.
        end_effector: Link whose path is drawn; empty: the last one of the robot description.
        descriptions: Topics of the robot description, as a robot file has them; without one no
            path is drawn.
    """

    def __init__(
        self,
        node: Node,
        joint_names: Sequence[str],
        end_effector: str,
        descriptions: Mapping[str, str] = MappingProxyType({DESCRIPTION: ""}),
    ) -> None:
        self._node = node
        self._joint_names, self._end_effector = tuple(joint_names), end_effector
        self._chain: LinkChain | None = None
        self._fan: deque[ChunkPath] = deque(maxlen=FAN_SIZE)
        qos = QoSProfile(depth=10)
        self._trajectories = node.create_publisher(JointTrajectory, "~/predicted_trajectory", qos)
        self._paths = node.create_publisher(MarkerArray, "~/predicted_path", qos)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._described = Descriptions(descriptions)
        self._descriptions = [
            node.create_subscription(String, topic, partial(self._on_description, topic), latched)
            for topic in descriptions
        ]
        self._worker: LatestWorker[ActionChunk] = LatestWorker("pictures", self._publish)

    def show(self, chunk: ActionChunk) -> None:
        """Publish ``chunk``, which is followed from now on; returns at once."""
        self._worker.submit(chunk)

    def close(self) -> None:
        """End the thread and leave the topics."""
        self._worker.close()
        for each in self._descriptions:
            self._node.destroy_subscription(each)
        self._node.destroy_publisher(self._trajectories)
        self._node.destroy_publisher(self._paths)

    def _on_description(self, topic: str, message: String) -> None:
        logger = self._node.get_logger()
        if not self._described.take(topic, message.data):
            return
        try:
            chain = LinkChain(self._described.text, self._joint_names, self._end_effector)
        except ValueError as error:
            self._chain = None
            logger.error(f"no path of the end effector is drawn: {error}")
            return
        if chain.still:
            logger.warning(f"the path of {chain.link} is drawn with {list(chain.still)} at 0")
        self._chain = chain

    def _publish(self, chunk: ActionChunk) -> None:
        try:
            if self._trajectories.get_subscription_count() > 0:
                self._trajectories.publish(trajectory_message(chunk))
            chain = self._chain
            if chain is not None and self._paths.get_subscription_count() > 0:
                self._draw(chain, ChunkPath(chunk.start_s, chain.positions(chunk.actions)))
        except Exception:  # a picture is not worth a stop, and whoever looks sees that it is gone
            text = f"no pictures of chunks:\n{traceback.format_exc()}"
            self._node.get_logger().error(text, once=True)

    def _draw(self, chain: LinkChain, path: ChunkPath) -> None:
        fresh = bool(self._fan) and not 0 <= path.start_s - self._fan[-1].start_s < _OLDEST_S
        if fresh:
            self._fan.clear()
        self._fan.append(path)
        self._paths.publish(fan_message(tuple(self._fan), chain.base, fresh))


def trajectory_message(chunk: ActionChunk) -> JointTrajectory:
    """Return a chunk as a trajectory whose stamp is the moment of its first row."""
    message = JointTrajectory(joint_names=list(chunk.joint_names))
    message.header.stamp = time_from(chunk.start_s)
    message.points = [
        JointTrajectoryPoint(
            positions=row.tolist(), time_from_start=duration_from(number * chunk.period_s)
        )
        for number, row in enumerate(chunk.actions.astype(np.float64))
    ]
    return message


def fan_message(fan: Sequence[ChunkPath], frame: str, begin: bool) -> MarkerArray:
    """Return paths as line strips, the last one bright, those before it fading.

    Their stamp is 0, which means "now" to a viewer: a path stays where it was predicted.

    Args:
        fan: Oldest first.
        frame: Frame of the points.
        begin: Take away what was drawn before.
    """
    markers = [Marker(header=Header(frame_id=frame), action=Marker.DELETEALL)] if begin else []
    for age, path in enumerate(reversed(fan)):
        red, green, blue = _OLD if age else _NEW
        marker = Marker(
            header=Header(frame_id=frame),
            ns="predicted_path",
            id=age,
            type=Marker.LINE_STRIP,
            action=Marker.ADD,
            color=ColorRGBA(r=red, g=green, b=blue, a=1.0 - age / FAN_SIZE),
            points=[Point(x=x, y=y, z=z) for x, y, z in _strip(path.points).tolist()],
        )
        marker.pose.orientation.w = 1.0
        marker.scale.x = _OLD_WIDTH_M if age else _NEW_WIDTH_M
        markers.append(marker)
    return MarkerArray(markers=markers)


def _strip(points: np.ndarray) -> np.ndarray:
    """A line needs two points, also where a chunk has one row."""
    return points if len(points) > 1 else np.repeat(points, 2, axis=0)
