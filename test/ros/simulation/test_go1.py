"""A robot on legs over ROS: what it publishes, who leads it, and how it stops."""

import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from controller_driver import DEEP, client, process_of
from geometry_msgs.msg import TwistStamped
from nav_msgs.msg import Odometry
from sensor_msgs.msg import JointState

from benchmarks.live_processes import command_processes
from ddpm_controller.control.observing.rotations import normalized, six_numbers
from ddpm_controller.replay.commands import compare_commands
from ddpm_controller.replay.plans import Policies, compare_plans
from ddpm_controller.replay.recorded_run import read_run
from ddpm_controller.robots.robot import load_robot
from ddpm_controller.ros.graph.process_command import python_command
from ddpm_controller.ros.simulation.field_messages import (
    field_message,
    field_topics,
    quaternion_of,
)
from ddpm_controller.share import share_path
from ddpm_controller.simulation.legged.go1_world import Go1World

GO1, WALK = share_path("config/robots/go1.yaml"), share_path("models/go1_walk")


def test_every_orientation_comes_out_of_its_message_as_it_went_in():
    random = np.random.default_rng(0)
    halves = np.eye(4)[:, [0, 1, 2, 3]]  # half turns about each axis, and none
    for numbers in (*halves, *random.standard_normal((50, 4))):
        quaternion = normalized(numbers / np.linalg.norm(numbers))
        found = np.array(quaternion_of(np.array(six_numbers(quaternion))))
        assert abs(found @ quaternion) == pytest.approx(1.0, abs=1e-12)


def test_a_world_is_read_out_of_its_messages_as_it_was_measured():
    world, robot = Go1World(), load_robot(GO1)
    for _ in range(5):
        world.step(world.positions + 0.2)
    topics = field_topics(robot.streams, world.vectors)
    assert set(topics) == {"imu", "odom", "cmd_vel"}
    for streams in topics.values():
        message = field_message(streams, world.vectors, 12.5)
        assert (message.header.stamp.sec, message.header.stamp.nanosec) == (12, 500_000_000)
        for stream in streams:
            found = [number for field in stream.fields for number in field.values(message)]
            np.testing.assert_allclose(found, world.vectors[stream.spec.name].values, atol=1e-12)


def test_a_walk_in_lockstep_is_recorded_and_replayed_bit_for_bit(tmp_path):
    bag = tmp_path / "bag"
    parameters = {"robot": GO1, "checkpoint": WALK, "lockstep": True, "use_sim_time": True}
    with (
        client() as node,
        process_of("simulation", world="go1", mode="lockstep"),
        process_of("controller", **parameters),
    ):
        odometry, requests = [], []
        node.create_subscription(Odometry, "odom", odometry.append, DEEP)
        node.create_subscription(TwistStamped, "cmd_vel", requests.append, DEEP)
        words = [*python_command("record"), "--robot", GO1, "--output", str(bag)]
        recorder = subprocess.Popen(words)
        try:
            node.until(lambda: node.count_subscribers("odom") > 1)
            node.until(lambda: node.count_subscribers("robot_description") > 0)
            node.until(lambda: node.count_subscribers("joint_states") > 0)
            begin = len(odometry)
            node.bring_up()
            node.until(lambda: len(odometry) > begin + 100)
        finally:
            recorder.terminate()
            recorder.wait()
    assert odometry[-1].twist.twist.linear.x > 0.3
    assert requests[-1].twist.linear.x == 0.8
    run = read_run(bag, load_robot(GO1))
    commands = compare_commands(run)
    assert commands.first is None
    assert commands.num_equal == commands.count > 50
    plans = compare_plans(run, Policies(run, [Path(WALK)], "cpu"))
    assert plans.first is None
    assert plans.num_equal > 50


@dataclass
class Seen:
    """What the robot shows, newest last."""

    odometry: list[Odometry]
    commands: list[JointState]

    @property
    def speed(self) -> float:
        mean = np.mean([each.twist.twist.linear.x for each in self.odometry[-20:]])
        return float(mean)


def watched(node) -> Seen:
    seen = Seen([], [])
    node.create_subscription(Odometry, "odom", seen.odometry.append, DEEP)
    node.create_subscription(JointState, "joint_commands", seen.commands.append, DEEP)
    return seen


@pytest.mark.long
@pytest.mark.parametrize("victim", ["controller", "command process"])
def test_a_walking_robot_is_led_to_its_stand_or_on_when_a_process_is_killed(victim):
    """Whether it stays on its feet then depends on the machine; that is measured in process."""
    stand = load_robot(GO1).limits(Go1World.robot_description()).stand
    with (
        client() as node,
        process_of("simulation", world="go1"),
        process_of(
            "controller", **{"robot": GO1, "checkpoint": WALK, "command.standby": True}
        ) as controller,
    ):
        seen = watched(node)
        node.bring_up()
        node.until(lambda: len(seen.odometry) > 20 and seen.speed > 0.5)
        pid = controller.pid if victim == "controller" else command_processes(controller.pid)[0]
        os.kill(pid, signal.SIGKILL)
        if victim == "controller":
            node.until(lambda: np.array_equal(seen.commands[-1].position, stand))
        else:
            count = len(seen.commands)
            node.until(lambda: len(seen.commands) > count + 100)


def test_the_episode_leads_the_robot_only_while_nobody_else_does():
    with client() as node, process_of("simulation", world="go1"):
        requests = []
        node.create_subscription(TwistStamped, "cmd_vel", requests.append, DEEP)
        node.until(lambda: requests)
        assert requests[0].twist.linear.x == 0.8
        request, mine = node.create_publisher(TwistStamped, "cmd_vel", 10), TwistStamped()
        mine.header.frame_id = "mine"

        def are_mine() -> bool:
            request.publish(mine)
            return len(requests) > 20 and all(w == mine for w in requests[-20:])

        node.until(are_mine)
        node.destroy_publisher(request)
        node.until(lambda: requests[-1] != mine)
        assert requests[-1].twist.linear.x == 0.8
