"""Calibrations of cameras, compared with those of the training while they come."""

from collections.abc import Mapping
from functools import partial

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo

from ddpm_controller.messages.camera_view import CameraError, CameraView, view_from, view_problem
from ddpm_controller.robots.robot import Robot
from ddpm_controller.robots.streams import RobotStream
from ddpm_controller.ros.polled_topic import PolledTopic, Unattended


class CameraViews:
    """Listens to the calibration beside each image topic; the newest is read now and then.

    A camera publishes it with every picture, and it rarely changes.

    Args:
        node: Owner of the subscriptions.
        robot: Its streams of images.

    Attributes:
        problems: Stream -> why its pictures are not those of the training, with both sides.
        notes: Topic -> why its calibration cannot be compared.
    """

    def __init__(self, node: Node, robot: Robot) -> None:
        self.problems: dict[str, str] = {}
        self.notes: dict[str, str] = {}
        self._node, self._unattended = node, Unattended()
        self._views: dict[str, CameraView] = {}
        self._topics = [self._listen(each) for each in robot.streams if each.camera_info]

    def compare(self, trained: Mapping[str, CameraView]) -> None:
        """Read what has come, and compare it with the views of the policy in use."""
        for topic, _ in self._topics:
            topic.collect()
        self.problems = {
            name: text
            for name, view in self._views.items()
            if name in trained and (text := view_problem(name, trained[name], view))
        }

    def destroy(self) -> None:
        """Leave the topics."""
        for _, subscription in self._topics:
            self._node.destroy_subscription(subscription)

    def _listen(self, stream: RobotStream) -> tuple[PolledTopic, Subscription]:
        subscription = self._node.create_subscription(
            CameraInfo,
            stream.camera_info,
            lambda message: None,  # it is polled
            QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT),
            callback_group=self._unattended,
        )
        return PolledTopic(subscription, partial(self._take, stream)), subscription

    def _take(self, stream: RobotStream, message: CameraInfo) -> None:
        self.notes.pop(stream.camera_info, None)
        try:
            view = view_from(message, stream.message_size, stream.seen_part)
        except CameraError as error:
            self.notes[stream.camera_info] = str(error)
            return
        if view is not None:
            self._views[stream.spec.name] = view
