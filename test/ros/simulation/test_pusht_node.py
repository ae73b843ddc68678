"""PushT on a real ROS graph: what the arms' worlds speak, and the corners of the T."""

import signal
import subprocess
import time
from collections import defaultdict

import numpy as np
import pytest
import rclpy
from controller_driver import begun
from ddpm_msgs.srv import ResetWorld
from rclpy.qos import DurabilityPolicy, QoSProfile
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import Bool, String
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

pytest.importorskip("gym_pusht", reason="needs the extra pusht")

from pusht_checkpoint import PUSHT

from ddpm_controller.bags.conversions import observation_from
from ddpm_controller.messages.images import image_from
from ddpm_controller.robots.robot import joint_limits, load_robot
from ddpm_controller.ros.asking import ask
from ddpm_controller.ros.graph.process_command import python_command
from ddpm_controller.ros.simulation.messages import nanoseconds
from ddpm_controller.simulation.session import Session
from ddpm_controller.simulation.worlds import WORLDS

PATIENCE_S = 90.0
TOPICS = {
    "/clock": Clock,
    "joint_states": JointState,
    "block_corners": JointState,
    "score": JointState,
    "camera_top/image_raw": Image,
    "camera_top/camera_info": CameraInfo,
}


class Client:
    """Hears everything; answers each tick with a JointTrajectory."""

    def __init__(self):
        self.node = rclpy.create_node("pusht_client")
        self.heard = defaultdict(list)
        deep = QoSProfile(depth=2000)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        for topic, kind in TOPICS.items():
            self.node.create_subscription(kind, topic, self.heard[topic].append, deep)
        for topic, kind in (("robot_description", String), ("success", Bool)):
            self.node.create_subscription(kind, topic, self.heard[topic].append, latched)
        self.commands = self.node.create_publisher(JointTrajectory, "joint_trajectory", 10)
        self.resets = self.node.create_client(ResetWorld, "simulation/reset")

    def until(self, happened):
        deadline_s = time.monotonic() + PATIENCE_S
        while not happened():
            assert time.monotonic() < deadline_s, "the simulation did not answer"
            self.spin()

    def spin(self):
        rclpy.spin_once(self.node, timeout_sec=0.1)

    def now_ns(self):
        return nanoseconds(self.heard["/clock"][-1].clock) if self.heard["/clock"] else 0

    def reset(self, seed):
        self.until(lambda: self.commands.get_subscription_count() > 0)
        assert self.resets.wait_for_service(PATIENCE_S)
        answer = ask(self.resets, ResetWorld.Request(seed=seed), self.spin, PATIENCE_S)
        stamp_ns = nanoseconds(answer.stamp)
        self.until(lambda: self.now_ns() >= stamp_ns)
        return stamp_ns

    def step(self, names, positions):
        before_ns = self.now_ns()
        message = JointTrajectory(joint_names=list(names))
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(before_ns, 10**9)
        message.points = [JointTrajectoryPoint(positions=[float(p) for p in positions])]
        self.commands.publish(message)
        self.until(lambda: self.now_ns() > before_ns)

    def hear(self, topic, stamp_ns):
        def found():
            every = self.heard[topic]
            return [one for one in every if nanoseconds(one.header.stamp) == stamp_ns]

        self.until(found)
        return found()[0]


def words(**values):
    given = [word for name, value in values.items() for word in ("-p", f"{name}:={value}")]
    return ["--ros-args", *given]


@pytest.fixture(scope="module")
def client():
    rclpy.init()
    process = begun("simulation", words(world="pusht", mode="lockstep"))
    client = Client()
    try:
        client.until(lambda: client.heard["/clock"])
        yield client
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()
        client.node.destroy_node()
        rclpy.shutdown()


def test_what_is_published_is_what_the_session_sees_and_a_trajectory_moves_the_pusher(client):
    """Bit for bit, through the robot file's own streams; joints of a command go by name."""
    streams = {stream.spec.name: stream for stream in load_robot(PUSHT).streams}
    world = WORLDS["pusht"].world()
    session = Session(world, 25.0, expert=False)
    stamp_ns, tick = client.reset(3), session.reset(3)
    start = tick.positions
    target = tick.vectors["block_corners"].values.reshape(8, 2).mean(axis=0)
    for _ in range(60):
        for name, value in (
            ("joint_state", tick.positions),
            ("block_corners", tick.vectors["block_corners"].values),
        ):
            message = client.hear(streams[name].topic, stamp_ns)
            np.testing.assert_array_equal(observation_from(message, streams[name])[1], value)
        state = client.hear("joint_states", stamp_ns)
        np.testing.assert_array_equal(state.velocity, tick.velocities)
        score = client.hear("score", stamp_ns)
        assert (score.name, score.position.tolist()) == (["best"], [tick.score])
        if tick.images:
            image = image_from(client.hear("camera_top/image_raw", stamp_ns), 96, 96)
            np.testing.assert_array_equal(image, tick.images["camera_top"])
        client.step(world.joint_names[::-1], target[::-1])
        stamp_ns, tick = client.now_ns(), session.step(target)
    assert np.linalg.norm(tick.positions - start) > 0.03
    assert np.linalg.norm(tick.positions - target) < np.linalg.norm(start - target)


def test_a_late_listener_gets_limits_and_camera_info_belongs_to_the_picture(client):
    client.until(lambda: client.heard["robot_description"])
    description = client.heard["robot_description"][0].data
    limits = joint_limits(description, load_robot(PUSHT).action_spec.joint_names)
    np.testing.assert_array_equal(limits.lower, [0.0, 0.0])
    np.testing.assert_array_equal(limits.upper, [0.512, 0.512])
    np.testing.assert_array_equal(limits.velocity, [5.0, 5.0])
    stamp_ns = client.reset(2)
    info = client.hear("camera_top/camera_info", stamp_ns)
    intrinsics = WORLDS["pusht"].world.cameras[0].intrinsics
    np.testing.assert_array_equal(info.k, intrinsics.reshape(-1))
    assert (info.height, info.width) == (96, 96)
    assert not client.heard["success"][-1].data


def test_an_expert_is_refused_with_where_the_demonstrations_are():
    command = [*python_command("simulation"), *words(world="pusht", expert="true")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=170)
    assert result.returncode == 1
    assert "no expert for world 'pusht'" in result.stderr
    assert "ddpm pusht-demonstrations" in result.stderr
    assert "Traceback" not in result.stderr
