"""What each output of a robot gets of the commands, on real topics."""

import time

import numpy as np
import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile
from std_msgs.msg import Float64
from trajectory_msgs.msg import JointTrajectory

from ddpm_controller.control.command import Command
from ddpm_controller.control.gripper import GripperRule
from ddpm_controller.control.states import Reason, State
from ddpm_controller.robots.outputs import FLOAT64, JOINT_TRAJECTORY, RobotOutput
from ddpm_controller.ros.commanding.command_publisher import CommandPublisher
from ddpm_controller.types import Trajectory

ARM = RobotOutput("arm", "arm/points", JOINT_TRAJECTORY, ("lift", "turn"), ("rad", "rad"))
GRIPPER = RobotOutput("gripper", "gripper/go", FLOAT64, ("grip",), ("m",))
PERIOD_S = 0.02


def command(stamp_s, *position):
    row = np.array(position)
    fields = (State.RUNNING, Reason.NONE, "", None)
    return Command(stamp_s, row, *fields, np.zeros(len(row)), np.zeros(len(row)))


class Heard:
    """A node that publishes, and all that comes on its topics."""

    def __init__(self):
        self.node = rclpy.create_node("commander")
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self.arm, self.gripper, self.whole = [], [], []
        deep = QoSProfile(depth=100)
        for kind, topic, heard in (
            (JointTrajectory, "arm/points", self.arm),
            (Float64, "gripper/go", self.gripper),
            (JointTrajectory, "whole", self.whole),
        ):
            self.node.create_subscription(kind, topic, heard.append, deep)

    def publisher(self, *outputs):
        publisher = CommandPublisher(self.node, outputs, PERIOD_S, 100, whole_topic="whole")
        self.until(lambda: all(p.get_subscription_count() for p in publisher.publishers))
        self.until(lambda: self.node.count_publishers("whole"))
        return publisher

    def until(self, happened):
        deadline_s = time.monotonic() + 60.0
        while not happened():
            assert time.monotonic() < deadline_s, "it did not happen"
            self.executor.spin_once(timeout_sec=0.02)


@pytest.fixture
def heard():
    rclpy.init()
    heard = Heard()
    yield heard
    heard.executor.shutdown()
    heard.node.destroy_node()
    rclpy.shutdown()


def test_each_output_gets_its_columns_and_recorders_get_all(heard):
    publisher = heard.publisher(ARM, GRIPPER)
    publisher.send(command(3.0, 0.1, 0.2, 0.03))
    heard.until(lambda: heard.arm and heard.gripper and heard.whole)
    assert heard.arm[0].joint_names == ["lift", "turn"]
    assert heard.arm[0].points[0].positions.tolist() == [0.1, 0.2]
    assert heard.gripper[0].data == 0.03
    assert heard.whole[0].joint_names == ["lift", "turn", "grip"]
    assert heard.whole[0].points[0].positions.tolist() == [0.1, 0.2, 0.03]
    # A late one is sent again where its stamp makes that harmless.
    publisher.repeat()
    heard.until(lambda: len(heard.arm) == 2)
    assert heard.arm[1] == heard.arm[0]
    assert len(heard.gripper) == 1


def test_an_output_has_its_own_rate_and_a_gripper_only_changes(heard):
    slow = RobotOutput("gripper", "gripper/go", FLOAT64, ("grip",), ("m",), rate_hz=10.0)
    rule = GripperRule(dead_band=0.01)
    still = RobotOutput("arm", "gripper/other", FLOAT64, ("lift",), ("m",), gripper=rule)
    other = []
    heard.node.create_subscription(Float64, "gripper/other", other.append, QoSProfile(depth=100))
    publisher = heard.publisher(slow, still)
    for k in range(11):
        publisher.send(command(3.0 + k * PERIOD_S, 0.001 * k, 0.001 * k))
    heard.until(lambda: len(heard.gripper) == 3 and len(other) == 2)
    np.testing.assert_allclose([each.data for each in heard.gripper], [0.0, 0.005, 0.01])
    np.testing.assert_allclose([each.data for each in other], [0.0, 0.01])


def test_beside_a_stream_of_trajectories_other_outputs_get_what_is_due(heard):
    """The arm gets its lead; a gripper that knows no moments must not be ahead of it."""
    publisher = heard.publisher(ARM, GRIPPER)
    rows = np.arange(12.0).reshape(4, 3)
    trajectory = Trajectory(
        5.0, ("lift", "turn", "grip"), np.arange(4) * PERIOD_S, rows, rows, rows
    )
    ahead = [command(5.0 + k * PERIOD_S, *rows[k]) for k in range(4)]
    publisher.send_ahead(trajectory, ahead, 4.99 - PERIOD_S)
    heard.until(lambda: heard.arm and heard.whole)
    assert [p.positions.tolist() for p in heard.arm[0].points] == rows[:, :2].tolist()
    assert [p.positions.tolist() for p in heard.whole[0].points] == rows.tolist()
    assert heard.gripper == []
    for now_s in (5.001, 5.041):  # a tick is left out
        publisher.send_ahead(None, [], now_s)
    heard.until(lambda: len(heard.gripper) == 2)
    assert [each.data for each in heard.gripper] == [2.0, 8.0]
    assert len(heard.arm) == 1
    publisher.repeat()
    heard.until(lambda: len(heard.arm) == 2)
    assert heard.arm[1] == heard.arm[0]
    assert len(heard.gripper) == 2


def test_a_motion_that_begins_again_leaves_nothing_of_the_one_before(heard):
    publisher = heard.publisher(ARM, GRIPPER)
    publisher.send_ahead(None, [command(9.0, 0.0, 0.0, 0.09)], 5.0)
    publisher.send_ahead(None, [command(5.0, 0.0, 0.0, 0.05)], 5.0)
    publisher.send_ahead(None, [], 9.0)
    heard.until(lambda: heard.gripper)
    assert [each.data for each in heard.gripper] == [0.05]
