"""A robot whose messages are numbered: 500 Hz of joint states, two cameras of 640x480 at 30 Hz.

The number is in the header's ``frame_id``. Cameras and joints are two processes, as drivers are;
run as a script it is one of them, until it is ended:

    python benchmarks/numbered_source.py joints
    python benchmarks/numbered_source.py cameras          (or cameras_compressed)
"""

import array
import sys
import time
from pathlib import Path

import numpy as np
import rclpy
import simplejpeg
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from rclpy.signals import SignalHandlerOptions
from robot_source import CAMERAS, HEIGHT, WIDTH
from sensor_msgs.msg import CompressedImage, Image, JointState

from ddpm_controller.simulation.arm.arm import JOINT_NAMES

NUMBERED_SOURCE = Path(__file__).resolve()
PARTS = ("joints", "cameras", "cameras_compressed")
STATES_HZ, IMAGES_HZ = 500, 30
_PICTURES = 4


class Joints(Node):
    """Publishes joint states."""

    def __init__(self) -> None:
        super().__init__("joints")
        self._states = self.create_publisher(JointState, "joint_states", qos_profile_sensor_data)
        self._number = 0
        self.create_timer(1 / STATES_HZ, self._send)

    def _send(self) -> None:
        position = [0.001 * self._number] * len(JOINT_NAMES)
        message = JointState(name=list(JOINT_NAMES), position=position)
        message.header.stamp = self.get_clock().now().to_msg()
        message.header.frame_id = str(self._number)
        self._states.publish(message)
        self._number += 1


class Cameras(Node):
    """Publishes pictures of two cameras: noise beside a gradient, as hard to compress as a scene.

    Args:
        compressed: As JPEG.
    """

    def __init__(self, *, compressed: bool) -> None:
        super().__init__("cameras")
        kind, name = (
            (CompressedImage, "image_raw/compressed") if compressed else (Image, "image_raw")
        )
        self._publishers = [
            self.create_publisher(kind, f"{camera}/{name}", qos_profile_sensor_data)
            for camera in CAMERAS
        ]
        self._compressed, self._number = compressed, 0
        self._pictures = [self._content(picture) for picture in pictures()]
        self.create_timer(1 / IMAGES_HZ, self._send)

    def _content(self, picture: np.ndarray) -> array.array:
        # Filling a message from bytes is fast only by way of an array.
        raw = simplejpeg.encode_jpeg(picture) if self._compressed else picture.tobytes()
        return array.array("B", raw)

    def _send(self) -> None:
        stamp = self.get_clock().now().to_msg()
        for publisher in self._publishers:
            message = self._message()
            message.data = self._pictures[self._number % _PICTURES]
            message.header.stamp = stamp
            message.header.frame_id = str(self._number)
            publisher.publish(message)
        self._number += 1

    def _message(self) -> Image | CompressedImage:
        if self._compressed:
            return CompressedImage(format="rgb8; jpeg compressed bgr8")
        return Image(height=HEIGHT, width=WIDTH, encoding="rgb8", step=3 * WIDTH)


def pictures() -> list[np.ndarray]:
    """Return pictures (H, W, 3) uint8 whose lower bits are noise, as those of a camera are."""
    random = np.random.default_rng(0)
    ramp = np.linspace(0, 200, WIDTH)[None, :, None]
    return [
        (ramp + random.integers(0, 16, (HEIGHT, WIDTH, 3)) + 5 * k).astype(np.uint8)
        for k in range(_PICTURES)
    ]


def main() -> None:
    """Send until the process is ended."""
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    executor = SingleThreadedExecutor()
    part = sys.argv[1]
    executor.add_node(Joints() if part == "joints" else Cameras(compressed=part != "cameras"))
    while time.monotonic() > 0:
        executor.spin_once(timeout_sec=0.1)


if __name__ == "__main__":
    main()
