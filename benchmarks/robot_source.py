"""A stand-in robot: 500 Hz of joint states and two cameras of 640x480 at 30 Hz, as drivers send.

It is where a joint_trajectory_controller leads it and sends pictures of noise; run as a script it
does so until it is ended.
"""

import array
import time
from pathlib import Path

import numpy as np
import rclpy
import yaml
from followed_robot import FollowedRobot
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import String
from trajectory_msgs.msg import JointTrajectory

from ddpm_controller.robots.streams import COMPRESSED_IMAGE
from ddpm_controller.share import share_path
from ddpm_controller.simulation.arm.arm import JOINT_NAMES
from ddpm_controller.simulation.arm.robot_description import robot_description

ROBOT_SOURCE = Path(__file__).resolve()
HEIGHT, WIDTH = 480, 640
CAMERAS = ("camera_fixed", "camera_wrist")
BEGIN = (0.0, 0.4, -0.15, -0.45, 0.0, 0.0, 0.03)
"""Inside the training range of the shipped policies: elsewhere a controller does not start."""


def write_robot(folder: Path, *, compressed: bool = False, light: bool = False) -> Path:
    """Write the robot file of the simulated arm with these rates and sizes; return its path.

    Light keeps the small images, for a machine that has other work to do.
    """
    robot = Path(share_path("config/robots/sim_arm.yaml"))
    content = yaml.safe_load(robot.read_text())
    content["streams"]["joint_state"]["rate_hz"] = 100.0 if light else 500.0
    for camera in CAMERAS:
        if not light:
            content["streams"][camera].update(height=HEIGHT, width=WIDTH, rate_hz=30.0)
        if compressed:
            topic = f"{camera}/image_raw/compressed"
            content["streams"][camera].update(topic=topic, type=COMPRESSED_IMAGE)
    content["joint_limits"] = str(robot.parent / content["joint_limits"])
    path = folder / "robot.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


class RobotSource(Node):
    """Publishes on timers."""

    def __init__(self) -> None:
        super().__init__("robot")
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._description = self.create_publisher(String, "robot_description", latched)
        self._description.publish(String(data=robot_description()))
        self._states = self.create_publisher(JointState, "joint_states", qos_profile_sensor_data)
        self._images = [
            self.create_publisher(Image, f"{name}/image_raw", qos_profile_sensor_data)
            for name in CAMERAS
        ]
        self._led = FollowedRobot(BEGIN)
        self._picture = 0
        random = np.random.default_rng(0)
        # Filling a message from bytes is fast only by way of an array.
        self._pictures = [
            array.array("B", random.integers(0, 255, HEIGHT * WIDTH * 3, np.uint8).tobytes())
            for _ in range(4)
        ]
        self.create_subscription(JointTrajectory, "joint_trajectory", self._on_command, 10)
        self.create_timer(1 / 500, self._send_state)
        self.create_timer(1 / 30, self._send_images)

    def _on_command(self, message: JointTrajectory) -> None:
        self._led.receive(message, time.time())

    def _send_state(self) -> None:
        self._led.advance(time.time())
        self._led.forget()
        message = JointState(name=list(JOINT_NAMES), position=self._led.position)
        message.header.stamp = self.get_clock().now().to_msg()
        self._states.publish(message)

    def _send_images(self) -> None:
        self._picture += 1
        stamp = self.get_clock().now().to_msg()
        for publisher in self._images:
            message = Image(height=HEIGHT, width=WIDTH, encoding="rgb8", step=3 * WIDTH)
            message.data = self._pictures[self._picture % len(self._pictures)]
            message.header.stamp = stamp
            publisher.publish(message)


def main() -> None:
    """Send until the process is ended."""
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    executor = SingleThreadedExecutor()
    executor.add_node(RobotSource())
    while time.monotonic() > 0:
        executor.spin_once(timeout_sec=0.1)


if __name__ == "__main__":
    main()
