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

    def collect_with(self, collect):
        self.collect = collect


class Graph:
    """A publisher of joint states and the inputs of a controller."""

    def __init__(self, robot, lockstep):
        self.node, self.session = Node("listener"), Session(robot)
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self.inputs = ControllerInputs(self.node, robot, lockstep, QosEvents(self.node))
        self.inputs.connect(self.session, lambda now_s: None)
        self.publisher = self.node.create_publisher(JointState, "joint_states", 10)

    def until(self, happened):
        deadline_s = time.monotonic() + PATIENCE_S
        while not happened():
            assert time.monotonic() < deadline_s
            self.executor.spin_once(timeout_sec=0.02)
            self.session.collect()

    def send(self, stamp_s, names, position, velocity=()):
        self.until(self.publisher.get_subscription_count)
        message = JointState(name=names, position=position, velocity=velocity)
        message.header.stamp = time_from(stamp_s)
        self.publisher.publish(message)


@pytest.fixture
def robot(tmp_path):
    return small_robot(tmp_path, ROBOT.replace("action:", VELOCITY))


@pytest.fixture(params=["lockstep", "real_time"])
def graph(robot, request) -> Iterator[Graph]:
    rclpy.init()
    graph = Graph(robot, request.param == "lockstep")
    yield graph
    graph.executor.shutdown()
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


@pytest.mark.parametrize("graph", ["real_time"], indirect=True)
def test_fast_joint_states_wait_for_the_tick_and_none_of_a_slow_publisher_is_lost(graph):
    """In real time no message is a callback: 150 of an arm do not push one of a gripper out."""
    buffer = graph.session.loop.watch.buffer
    graph.send(4.0, ["wheel"], [0.0])
    graph.until(lambda: graph.node.count_publishers("joint_states"))
    gripper = graph.node.create_publisher(JointState, "joint_states", 10)
    graph.until(lambda: gripper.get_subscription_count())
    message = JointState(name=["grip"], position=[2.0], velocity=[20.0])
    message.header.stamp = time_from(5.0)
    gripper.publish(message)
    for k in range(150):
        graph.send(5.0 + 0.001 * k, ["lift"], [k / 1000], [0.0])
    for _ in range(5):
        graph.executor.spin_once(timeout_sec=0.02)
    assert np.isinf(buffer.element_ages("joint_state", 5.0)).all()
    graph.until(lambda: buffer.newest("joint_state", 6.0) is not None)
    graph.until(lambda: buffer.newest("joint_state", 6.0)[0] == 0.149)
    assert buffer.newest("joint_state", 5.0715).tolist() == [0.071, 2.0]


@pytest.mark.parametrize("graph", ["real_time"], indirect=True)
def test_what_came_before_a_session_is_not_of_it(graph):
    graph.send(4.0, ["grip", "lift"], [2.0, 1.0], [0.0, 0.0])
    for _ in range(5):
        graph.executor.spin_once(timeout_sec=0.02)
    graph.inputs.connect(graph.session, lambda now_s: None)
    graph.session.collect()
    assert graph.session.loop.watch.buffer.newest("joint_state", 6.0) is None


@pytest.mark.parametrize("graph", ["real_time"], indirect=True)
@pytest.mark.parametrize("before", [False, True], ids=["in one tick", "before the session"])
def test_zeros_of_a_second_publisher_are_seen_wherever_they_lie_between_two_ticks(graph, before):
    """All messages of a tick are looked at; the newest one alone would be that of the driver."""
    other = graph.node.create_publisher(JointState, "joint_states", 10)
    gripper = graph.node.create_publisher(JointState, "joint_states", 10)
    watch, names = graph.session.loop.watch, ["lift"]
    graph.until(lambda: len(graph.inputs._contradictions._publishers("/joint_states")) == 3)
    graph.until(lambda: other.get_subscription_count() and gripper.get_subscription_count())
    for k in range(5):
        for publisher, position in ((graph.publisher, 1.0), (other, 0.0), (graph.publisher, 1.0)):
            message = JointState(name=names, position=[position], velocity=[0.0])
            message.header.stamp = time_from(5.0 + 0.001 * k)
            publisher.publish(message)
    last = JointState(name=["grip"], position=[2.0], velocity=[20.0])
    last.header.stamp = time_from(5.01)
    gripper.publish(last)
    if before:
        deadline_s = time.monotonic() + PATIENCE_S
        while not graph.inputs._contradictions._jumps["joint_states"]._quarrels:
            assert time.monotonic() < deadline_s
            graph.inputs.connect(graph.session, lambda now_s: None)
        graph.send(5.02, names, [1.0], [0.0])
    graph.until(lambda: "lift jumps between" in watch.healths(5.02)["joint_state"].text)
    assert "lift jumps between" in watch.healths(5.02)["joint_velocity"].text
    if not before:  # of the gripper there is no doubt
        graph.until(lambda: watch.buffer.element_ages("joint_state", 5.02)[1] < 0.1)
