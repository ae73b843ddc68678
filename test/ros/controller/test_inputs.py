"""What comes on the topics of a robot reaches the streams that it belongs to."""

import time
from collections.abc import Iterator

import numpy as np
import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import JointState
from small_bags import ROBOT, small_robot

from ddpm_controller.control.deployment import Deployment
from ddpm_controller.control.loop import ControlLoop
from ddpm_controller.control.loop_settings import PolicyTerms
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.robots.loop_settings import loop_settings
from ddpm_controller.ros.controller.inputs import ControllerInputs
from ddpm_controller.ros.qos_events import QosEvents
from ddpm_controller.ros.stamps import time_from

PATIENCE_S = 30.0
VELOCITY = """\
  joint_velocity: {topic: joint_states, type: sensor_msgs/msg/JointState, names: [lift, grip],
                   field: velocity, units: [rad/s, m/s], rate_hz: 50.0, max_age_s: 0.3}
action:"""


class Session:
    """A loop that takes everything at once, in the thread of the subscriptions."""

    def __init__(self, robot):
        limits = JointLimits(np.full(2, -9.0), np.full(2, 9.0), np.full(2, 9.0))
        self.loop = ControlLoop(loop_settings(robot, PolicyTerms(2), Deployment(), limits=limits))

    def post(self, order):
        order()


class Graph:
    """A publisher of joint states and the inputs of a controller."""

    def __init__(self, robot):
        self.node, self.session = Node("listener"), Session(robot)
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self.inputs = ControllerInputs(self.node, robot, True, QosEvents(self.node))
        self.inputs.connect(self.session, lambda now_s: None)
        self.publisher = self.node.create_publisher(JointState, "joint_states", 10)

    def until(self, happened):
        deadline_s = time.monotonic() + PATIENCE_S
        while not happened():
            assert time.monotonic() < deadline_s
            self.executor.spin_once(timeout_sec=0.1)

    def send(self, stamp_s, names, position, velocity=()):
        self.until(self.publisher.get_subscription_count)
        message = JointState(name=names, position=position, velocity=velocity)
        message.header.stamp = time_from(stamp_s)
        self.publisher.publish(message)


@pytest.fixture
def graph(tmp_path) -> Iterator[Graph]:
    rclpy.init()
    graph = Graph(small_robot(tmp_path, ROBOT.replace("action:", VELOCITY)))
    yield graph
    graph.inputs.destroy()
    graph.node.destroy_node()
    rclpy.shutdown()


def test_two_fields_of_one_topic_are_two_streams_of_one_subscription(graph):
    watch = graph.session.loop.watch
    graph.send(5.0, ["grip", "lift"], [2.0, 1.0], [20.0, 10.0])
    graph.until(lambda: watch.buffer.newest("joint_velocity", 5.0) is not None)
    assert watch.buffer.newest("joint_state", 5.0).tolist() == [1.0, 2.0]
    assert watch.buffer.newest("joint_velocity", 5.0).tolist() == [10.0, 20.0]
    assert watch.measured(5.0).tolist() == [1.0, 2.0]
    assert graph.node.count_subscribers("joint_states") == 1


def test_messages_of_other_parts_are_no_error_and_are_named_while_a_joint_is_missing(graph):
    watch = graph.session.loop.watch
    graph.send(5.0, ["wheel"], [9.0])
    graph.send(5.0, ["lift", "claw"], [1.0, 3.0], [10.0, 30.0])
    graph.until(lambda: "claw" in watch.healths(5.0)["joint_state"].text)
    assert watch.healths(5.0)["joint_state"].text == (
        "nothing yet from joint 'grip' of joint_state; its topic has ['claw', 'wheel'] besides"
    )
    graph.send(5.0, ["grip"], [2.0])  # without the velocity that it has to have
    graph.until(lambda: "0 numbers" in watch.healths(5.0)["joint_velocity"].text)
    assert (
        "joint_velocity: 1 joint names but 0 numbers" in watch.healths(5.0)["joint_velocity"].text
    )
    assert watch.measured(5.0).tolist() == [1.0, 2.0]
