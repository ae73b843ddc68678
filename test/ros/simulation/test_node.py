import signal
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import pytest
import rclpy
from controller_driver import begun
from ddpm_msgs.msg import EpisodeMark
from ddpm_msgs.srv import ResetWorld
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from rclpy.parameter_client import AsyncParameterClient
from rclpy.qos import DurabilityPolicy, QoSProfile
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, JointState
from std_msgs.msg import Bool, Float64, String
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from ddpm_controller.bags.conversions import seconds, vector_from
from ddpm_controller.messages.images import image_from
from ddpm_controller.ros.asking import ask
from ddpm_controller.ros.graph.process_command import python_command
from ddpm_controller.ros.simulation.messages import nanoseconds
from ddpm_controller.share import share_path
from ddpm_controller.simulation.arm.arm import JOINT_NAMES, PUBLISHED_JOINT_NAMES
from ddpm_controller.simulation.session import Session
from ddpm_controller.simulation.worlds import WORLDS

PATIENCE_S = 90.0
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
DEEP = QoSProfile(depth=2000)


class Robot(Node):
    """A client that keeps every message and can answer a tick."""

    def __init__(self) -> None:
        super().__init__("robot_client")
        self.heard: dict[str, list] = defaultdict(list)
        for topic, kind, qos in (
            ("joint_states", JointState, DEEP),
            ("/clock", Clock, DEEP),
            ("episode", EpisodeMark, DEEP),
            ("joint_trajectory", JointTrajectory, DEEP),
            ("camera_fixed/image_raw", Image, DEEP),
            ("camera_fixed/image_raw/compressed", CompressedImage, DEEP),
            ("camera_fixed/camera_info", CameraInfo, DEEP),
            ("success", Bool, LATCHED),
            ("robot_description", String, LATCHED),
        ):
            self.create_subscription(kind, topic, self.heard[topic].append, qos)
        self.trajectories = self.create_publisher(JointTrajectory, "joint_trajectory", 10)
        self.resets = self.create_client(ResetWorld, "simulation/reset")

    def until(self, happened: Callable[[], object]) -> None:
        deadline_s = time.monotonic() + PATIENCE_S
        while not happened():
            assert time.monotonic() < deadline_s, "the simulation did not answer"
            self.spin()

    def spin(self) -> None:
        rclpy.spin_once(self, timeout_sec=0.1)

    def reset(self, seed: int) -> int:
        """Begin an episode and return its first stamp in ns, all of it heard."""
        # The node's own subscription is the first one.
        self.until(lambda: self.trajectories.get_subscription_count() > 1 or not self.answers())
        assert self.resets.wait_for_service(PATIENCE_S)
        answer = ask(self.resets, ResetWorld.Request(seed=seed), self.spin, PATIENCE_S)
        assert answer.success
        stamp_ns = nanoseconds(answer.stamp)
        self.until(lambda: self.now_ns() >= stamp_ns)
        return stamp_ns

    def answers(self) -> bool:
        """Whether the simulation listens to commands at all (it has no expert)."""
        return self.count_subscribers("joint_trajectory") > 1  # the first one is its own

    def now_ns(self) -> int:
        return nanoseconds(self.heard["/clock"][-1].clock) if self.heard["/clock"] else 0

    def is_after(self, stamp_ns: int) -> bool:
        return self.now_ns() > stamp_ns

    def command(self, positions: np.ndarray, stamp_ns: int, names=JOINT_NAMES) -> None:
        message = JointTrajectory(joint_names=list(names))
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 10**9)
        message.points = [JointTrajectoryPoint(positions=[float(p) for p in positions])]
        self.trajectories.publish(message)

    def step(self, positions: np.ndarray) -> None:
        stamp_ns = self.now_ns()
        self.command(positions, stamp_ns)
        self.until(lambda: self.now_ns() > stamp_ns)

    def at(self, topic: str, stamp_ns: int) -> list:
        return [one for one in self.heard[topic] if nanoseconds(one.header.stamp) == stamp_ns]

    def hear(self, topic: str, stamp_ns: int) -> Any:
        """Wait: topics may overtake each other, so the clock can be heard first."""
        self.until(lambda: self.at(topic, stamp_ns))
        return self.at(topic, stamp_ns)[0]

    def positions_at(self, stamp_ns: int) -> np.ndarray:
        return vector_from(self.hear("joint_states", stamp_ns), JOINT_NAMES)


def parameters(**values: object) -> list[str]:
    words = [word for name, value in values.items() for word in ("-p", f"{name}:={value}")]
    return ["--ros-args", *words]


@contextmanager
def simulation(**values: object) -> Iterator[tuple[Robot, Any]]:
    rclpy.init()
    process = begun("simulation", parameters(**values))
    robot = Robot()
    try:
        robot.until(lambda: robot.heard["/clock"])
        yield robot, process
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()
        robot.destroy_node()
        rclpy.shutdown()


@pytest.fixture(scope="class")
def robot() -> Iterator[Robot]:
    with simulation(world="reach", mode="lockstep", compressed="true") as (robot, _):
        robot.until(robot.answers)
        yield robot


class TestLockstep:
    def test_time_stands_still_without_a_command_and_the_tick_is_told_again(self, robot):
        stamp_ns = robot.reset(1)
        robot.until(lambda: len(robot.at("joint_states", stamp_ns)) >= 3)
        assert robot.now_ns() == stamp_ns
        assert len(robot.at("episode", stamp_ns)) == 1

    def test_a_reset_is_one_tick_later_with_a_mark_and_pictures_at_once(self, robot):
        before_ns = robot.now_ns()
        stamp_ns = robot.reset(4)
        assert stamp_ns == before_ns + 20_000_000
        mark = robot.hear("episode", stamp_ns)
        assert (mark.mark, mark.seed, mark.world) == (EpisodeMark.BEGIN, 4, "reach")
        robot.hear("camera_fixed/image_raw", stamp_ns)
        robot.until(lambda: robot.heard["success"])
        assert not robot.heard["success"][-1].data

    def test_its_parameters_can_be_asked_for(self, robot):
        """An attribute that rclpy's Node has must not be hidden by ours of the same name."""
        client = AsyncParameterClient(robot, "simulation")
        assert client.wait_for_services(PATIENCE_S)
        future = client.get_parameters(["world", "tick_hz"])
        robot.until(future.done)
        world, tick_hz = future.result().values
        assert (world.string_value, tick_hz.double_value) == ("reach", 50.0)

    def test_what_is_published_is_what_the_session_sees(self, robot):
        """Bit for bit, names and pictures included: recording without ROS gives the same."""
        world = WORLDS["reach"].world()
        session = Session(world, 25.0, expert=False)
        stamp_ns = robot.reset(9)
        tick = session.reset(9)
        command = tick.positions + np.array([0.03, 0.01, -0.02, 0.01, 0.02, -0.03, 0.004])
        for _ in range(6):
            np.testing.assert_array_equal(robot.positions_at(stamp_ns), tick.positions)
            state = robot.hear("joint_states", stamp_ns)
            assert tuple(state.name) == PUBLISHED_JOINT_NAMES
            np.testing.assert_array_equal(
                vector_from(state, JOINT_NAMES, "velocity"), tick.velocities
            )
            if tick.images:
                image = image_from(robot.hear("camera_fixed/image_raw", stamp_ns), 96, 96)
                np.testing.assert_array_equal(image, tick.images["camera_fixed"])
            else:
                assert not robot.at("camera_fixed/image_raw", stamp_ns)
            robot.step(command)
            stamp_ns, tick = robot.now_ns(), session.step(command)
        world.close()

    def test_joints_of_a_command_are_found_by_name(self, robot):
        robot.reset(2)
        start = robot.positions_at(robot.now_ns())
        target = start.copy()
        target[0] += 0.05
        for _ in range(30):
            stamp_ns = robot.now_ns()
            robot.command(target[::-1], stamp_ns, JOINT_NAMES[::-1])
            robot.until(lambda before_ns=stamp_ns: robot.now_ns() > before_ns)
        np.testing.assert_allclose(robot.positions_at(robot.now_ns()), target, atol=2e-3)

    def test_a_command_that_cannot_be_right_is_refused_and_time_waits_for_a_better_one(
        self, robot
    ):
        stamp_ns = robot.reset(3)
        start = robot.positions_at(stamp_ns)
        robot.command(np.full(7, np.nan), stamp_ns)
        robot.command(start, stamp_ns, ("wrong", *JOINT_NAMES[1:]))
        robot.command(start[:6], stamp_ns, JOINT_NAMES[:6])
        robot.command(start, stamp_ns - 20_000_000)  # the answer to a tick that is over
        told = len(robot.at("joint_states", stamp_ns))
        robot.until(lambda: len(robot.at("joint_states", stamp_ns)) > told + 1)
        assert robot.now_ns() == stamp_ns
        robot.step(start)
        assert robot.now_ns() == stamp_ns + 20_000_000

    def test_a_late_listener_gets_the_description_with_limits(self, robot):
        robot.until(lambda: robot.heard["robot_description"])
        assert 'name="wrist_roll"' in robot.heard["robot_description"][0].data

    def test_jpeg_and_camera_info_belong_to_the_raw_picture(self, robot):
        stamp_ns = robot.reset(6)
        raw = image_from(robot.hear("camera_fixed/image_raw", stamp_ns), 96, 96)
        jpeg = image_from(robot.hear("camera_fixed/image_raw/compressed", stamp_ns), 96, 96)
        # Quality 95 keeps colours; edges of a 96-pixel picture lose a little.
        assert np.abs(raw.astype(int) - jpeg).mean() < 3.0
        info = robot.hear("camera_fixed/camera_info", stamp_ns)
        np.testing.assert_allclose(info.k, WORLDS["reach"].world.cameras[0].intrinsics.reshape(-1))


def test_the_expert_solves_an_episode_in_lockstep_and_then_time_stops():
    world = WORLDS["reach"].world()
    session = Session(world, 25.0, expert=True)
    ticks, commands = [session.reset(3)], []
    while (command := session.expert_command()) is not None:
        commands.append(command)
        ticks.append(session.step(command))
    world.close()
    with simulation(world="reach", mode="lockstep", expert="true") as (robot, _):
        start_ns = robot.reset(3)
        offset_ns = start_ns - ticks[0].stamp_ns
        robot.until(lambda: any(m.mark == EpisodeMark.END for m in robot.heard["episode"][-1:]))
        end_ns = ticks[-1].stamp_ns + offset_ns
        robot.until(lambda: robot.now_ns() >= end_ns)
        mark = robot.heard["episode"][-1]
        assert (nanoseconds(mark.header.stamp), mark.success, mark.seed) == (end_ns, True, 3)
        assert mark.note == ticks[0].note
        for tick, command in zip(ticks, commands, strict=False):
            stamp_ns = tick.stamp_ns + offset_ns
            np.testing.assert_array_equal(robot.positions_at(stamp_ns), tick.positions)
            message = robot.hear("joint_trajectory", stamp_ns)
            np.testing.assert_array_equal(message.points[0].positions, command)
        robot.until(lambda: robot.heard["success"] and robot.heard["success"][-1].data)
        robot.until(lambda: len(robot.at("joint_states", end_ns)) > 2)
        assert robot.now_ns() == end_ns


def test_real_time_stamps_are_the_system_clock_and_a_command_moves_the_arm():
    with simulation(world="reach", mode="real_time") as (robot, process):
        robot.until(robot.answers)
        before_s = time.time()
        stamp_ns = robot.reset(1)
        assert before_s <= stamp_ns * 1e-9 <= time.time()
        target = robot.positions_at(stamp_ns)
        target[0] += 0.1
        robot.command(target, 0)  # a stamp of zero means now
        states = robot.heard["joint_states"]
        robot.until(lambda: np.allclose(vector_from(states[-1], JOINT_NAMES), target, atol=2e-3))
        robot.command(target - 1.0, stamp_ns - 1)  # from before the reset: not for this episode
        ticks = len(states)
        robot.until(lambda: len(states) > ticks + 30)
        np.testing.assert_allclose(vector_from(states[-1], JOINT_NAMES), target, atol=2e-3)
        stamps = [seconds(message.header.stamp) for message in states]
        assert (np.diff(stamps) > 0).all()
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0


def test_in_lockstep_the_hand_goes_where_its_pose_is_sent():
    file = share_path("config/robots/kinds/sim_arm_pose.yaml")
    with simulation(world="reach", mode="lockstep", robot=file) as (robot, _):
        poses: list[JointState] = []
        robot.create_subscription(JointState, "hand_pose", poses.append, DEEP)
        hands = robot.create_publisher(PoseStamped, "target_pose", 10)
        grippers = robot.create_publisher(Float64, "gripper_position", 10)
        robot.until(lambda: hands.get_subscription_count() and grippers.get_subscription_count())
        robot.until(lambda: poses)
        begin = np.array(poses[-1].position)
        message = PoseStamped()
        message.header.frame_id, message.pose.orientation.w = "base_link", 1.0
        for tick in range(1, 26):
            message.header.stamp = robot.heard["/clock"][-1].clock
            place = message.pose.position
            place.x, place.y, place.z = begin[0], begin[1] + 0.002 * tick, begin[2]
            hands.publish(message)
            grippers.publish(Float64(data=0.02))
            robot.until(partial(robot.is_after, nanoseconds(message.header.stamp)))
        robot.until(lambda: nanoseconds(poses[-1].header.stamp) >= robot.now_ns())
        # The joints are servos and lag by a tick or two, 2 mm each.
        moved = np.array(poses[-1].position)[:3] - begin[:3]
        np.testing.assert_allclose(moved, [0.0, 0.05, 0.0], atol=0.01)


def test_a_robot_file_of_another_world_is_refused_with_both_lists():
    words = parameters(world="reach", robot="config/robots/pusht.yaml")
    command = [*python_command("simulation"), *words]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 1
    assert "pusher_x" in result.stderr
    assert f"world reach has joints {list(JOINT_NAMES)}" in result.stderr


def test_an_unknown_world_is_refused_with_the_list_of_worlds():
    command = [*python_command("simulation"), *parameters(world="nowhere")]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 1
    text = f"parameter world must be one of {list(WORLDS)}, got 'nowhere'"
    assert text in result.stderr
