"""The stand-in robot of `robot_source`, one process per part, each of which can go wrong.

A part is told on its standard input what to do from now on: a key of its faults, or `ok`. It
ends when its input is closed, so that none is left behind.

    python benchmarks/faulty_robot.py joints robot.yaml [--ros-args -p use_sim_time:=true]
"""

import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
import simplejpeg
from followed_robot import FollowedRobot
from rclpy.clock import Clock, ClockType
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import remove_ros_args
from robot_source import BEGIN
from rosgraph_msgs.msg import Clock as ClockMessage
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import String
from trajectory_msgs.msg import JointTrajectory

from ddpm_controller.bags.conversions import byte_array, seconds
from ddpm_controller.robots.robot import Robot, load_robot
from ddpm_controller.robots.streams import COMPRESSED_IMAGE, RobotStream
from ddpm_controller.ros.stamps import time_from
from ddpm_controller.simulation.arm.robot_description import robot_description
from ddpm_controller.simulation.worlds import WORLDS

FAULTY_ROBOT = Path(__file__).resolve()
BURST = 10_000
NUM_PICTURES = 4
_STEADY = Clock(clock_type=ClockType.STEADY_TIME)


class Part:
    """One process of the robot."""

    def __init__(self, kind: str, robot: Path, *words: object, use_sim_time: bool = False) -> None:
        ros = ["--ros-args", "-p", "use_sim_time:=true"] if use_sim_time else []
        self._command = [sys.executable, str(FAULTY_ROBOT), kind, str(robot)]
        self._ros = ros
        self.begin(*words)

    def begin(self, *words: object) -> None:
        """Begin the process (again); joints are at the position that ``words`` give."""
        self.process = subprocess.Popen(
            [*self._command, *map(str, words), *self._ros],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    @property
    def is_ready(self) -> bool:
        """Whether it sends, or has ended."""
        return bool(select.select([self.process.stdout], [], [], 0)[0])

    def say(self, word: str) -> None:
        """Let it do ``word`` from now on."""
        assert self.process.stdin is not None
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        """End it without a word."""
        self.process.kill()
        self.process.wait()


def nan_position(message: JointState) -> None:
    """One joint is not a number."""
    message.position[2] = float("nan")


def wrong_names(message: JointState) -> None:
    """The names of another robot."""
    message.name = [f"other_{name}" for name in message.name]


def reordered(message: JointState) -> None:
    """The same, in another order."""
    message.name = message.name[::-1]
    message.position = message.position[::-1]


def missing_joint(message: JointState) -> None:
    """One joint is left out."""
    message.name, message.position = message.name[:-1], message.position[:-1]


def far_joint(message: JointState) -> None:
    """One joint is where no joint can be."""
    message.position[2] = 1e6


def jumping_joint(message: JointState) -> None:
    """One joint is 1 rad away in every other message, within its limits."""
    if message.header.stamp.nanosec // 10_000_000 % 2:
        message.position[0] += -1.0 if message.position[0] > 0 else 1.0


def joint_twice(message: JointState) -> None:
    """One joint has two positions."""
    message.name = [*message.name, message.name[1]]
    message.position = [*message.position, message.position[1] + 0.3]


def other_size(message: Image) -> None:
    """A quarter of the pixels."""
    message.height, message.width = message.height // 2, message.width // 2
    message.step = 3 * message.width
    message.data = message.data[: message.height * message.step]


def other_encoding(message: Image) -> None:
    """An encoding that the controller does not take."""
    message.encoding = "16UC1"


def garbage_jpeg(message: CompressedImage) -> None:
    """Begins like a JPEG and goes on as noise."""
    noise = np.random.default_rng(0).integers(0, 255, 20_000, np.uint8)
    message.data = byte_array(np.concatenate([np.frombuffer(message.data[:20], np.uint8), noise]))


FAULTS: dict[str, Callable[[Any], None]] = {
    each.__name__: each
    for each in (
        nan_position,
        wrong_names,
        reordered,
        missing_joint,
        far_joint,
        jumping_joint,
        joint_twice,
        other_size,
        other_encoding,
        garbage_jpeg,
    )
}
"""Word -> what it does to every message; a part knows `frozen` and `burst` beside."""


class Joints(Node):
    """Joint states of a robot that a trajectory controller leads, and the robot description."""

    def __init__(self, robot: Robot, position: list[float]) -> None:
        super().__init__("joints")
        self.word = "ok"
        stream = next(stream for stream in robot.streams if stream.spec.kind == "vector")
        self._names = list(robot.action_spec.joint_names)
        self._led = FollowedRobot(position)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._description = self.create_publisher(String, "robot_description", latched)
        self._description.publish(String(data=robot_description()))
        self._states = self.create_publisher(JointState, stream.topic, qos_profile_sensor_data)
        self.create_subscription(JointTrajectory, robot.outputs[0].topic, self._on_command, 10)
        self.create_timer(1 / stream.spec.rate_hz, self._send, clock=_STEADY)

    def _on_command(self, message: JointTrajectory) -> None:
        self._led.receive(message, seconds(self.get_clock().now().to_msg()))

    def _send(self) -> None:
        now = self.get_clock().now().to_msg()
        self._led.advance(seconds(now))
        self._led.forget()
        count, self.word = (BURST, "ok") if self.word == "burst" else (1, self.word)
        for _ in range(count):
            message = JointState(name=self._names, position=self._led.position)
            message.header.stamp = now
            if self.word in FAULTS:
                FAULTS[self.word](message)
            self._states.publish(message)


class Cameras(Node):
    """All image streams, with pictures of the simulation; the last one can go wrong."""

    def __init__(self, robot: Robot) -> None:
        super().__init__("cameras")
        self.word = "ok"
        streams = [stream for stream in robot.streams if stream.spec.kind == "image"]
        self._shown = 0
        self._cameras = [
            (
                self.create_publisher(_kind(stream), stream.topic, qos_profile_sensor_data),
                _pictures(stream),
            )
            for stream in streams
        ]
        self.create_timer(1 / streams[0].spec.rate_hz, self._send, clock=_STEADY)

    def _send(self) -> None:
        self._shown += 1
        stamp = self.get_clock().now().to_msg()
        for number, (publisher, pictures) in enumerate(self._cameras):
            is_last = number == len(self._cameras) - 1
            is_frozen = is_last and self.word == "frozen"
            data, height, width = pictures[0 if is_frozen else self._shown % NUM_PICTURES]
            if publisher.msg_type is CompressedImage:
                message = CompressedImage(format="jpeg", data=data)
            else:
                message = Image(height=height, width=width, encoding="rgb8", step=3 * width)
                message.data = data
            message.header.stamp = stamp
            if is_last and self.word in FAULTS:
                FAULTS[self.word](message)
            publisher.publish(message)


class SimulatedTime(Node):
    """The time on /clock; `back` and `forth` shift it by ``LEAP_S``, `pause` holds it."""

    LEAP_S = 5.0

    def __init__(self) -> None:
        super().__init__("simulated_time")
        self.word = "ok"
        self._ahead_s = 0.0
        self._now_s = time.time()
        self._clock = self.create_publisher(ClockMessage, "/clock", 10)
        self.create_timer(0.005, self._send, clock=_STEADY)

    def _send(self) -> None:
        if self.word in ("back", "forth"):
            self._ahead_s += self.LEAP_S if self.word == "forth" else -self.LEAP_S
            self.word = "ok"
        if self.word == "pause":
            self._ahead_s = self._now_s - time.time()
        else:
            self._now_s = time.time() + self._ahead_s
        self._clock.publish(ClockMessage(clock=time_from(self._now_s)))


def _kind(stream: RobotStream) -> type:
    return CompressedImage if stream.type == COMPRESSED_IMAGE else Image


def _pictures(stream: RobotStream) -> list[tuple[Any, int, int]]:
    """Return what the camera of the simulated arm sees of some beginnings, with sizes."""
    world = WORLDS["pick_place"].world()
    height, width = stream.message_size
    pictures = []
    for seed in range(NUM_PICTURES):
        world.reset(seed)
        pixels = world.render(stream.spec.name)
        rows = np.arange(height) * pixels.shape[0] // height
        columns = np.arange(width) * pixels.shape[1] // width
        pixels = np.ascontiguousarray(pixels[rows][:, columns])
        if stream.type == COMPRESSED_IMAGE:
            pixels = np.frombuffer(simplejpeg.encode_jpeg(pixels, colorspace="RGB"), np.uint8)
        pictures.append((byte_array(pixels), height, width))
    world.close()
    return pictures


def main() -> None:
    """Run one part until its input is closed."""
    kind, path, *position = remove_ros_args(sys.argv)[1:]
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    robot = load_robot(path)
    if kind == "joints":
        part: Any = Joints(robot, [float(word) for word in position] or list(BEGIN))
    else:
        part = Cameras(robot) if kind == "cameras" else SimulatedTime()
    ended = threading.Event()
    threading.Thread(target=_listen, args=(part, ended), daemon=True).start()
    executor = SingleThreadedExecutor()
    executor.add_node(part)
    executor.spin_once(timeout_sec=0.1)
    print("ready", flush=True)
    while not ended.is_set():
        executor.spin_once(timeout_sec=0.1)


def _listen(part: Any, ended: threading.Event) -> None:
    for line in sys.stdin:
        part.word = line.strip()
    ended.set()


if __name__ == "__main__":
    main()
