"""Goals of a gripper's action, on the server of the simulation and on servers that refuse."""

import itertools
import time

import numpy as np
import pytest
import rclpy
from control_msgs.action import GripperCommand, ParallelGripperCommand
from rclpy.action import ActionServer, GoalResponse
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import JointState

from ddpm_controller.control.gripper import BinaryGripper, GripperRule
from ddpm_controller.robots.outputs import RobotOutput
from ddpm_controller.ros.commanding.gripper_goals import GripperGoals, goal_of
from ddpm_controller.ros.simulation.gripper_server import GripperServer

PATIENCE_S = 60.0
_NUMBERS = itertools.count()
RULE = GripperRule(dead_band=0.01, max_effort=20.0)
KINDS = {
    "control_msgs/action/GripperCommand": GripperCommand,
    "control_msgs/action/ParallelGripperCommand": ParallelGripperCommand,
}


def output_of(kind, rule=RULE):
    """An action of its own name each time: a server that has left is seen for a while."""
    name = f"hand_{next(_NUMBERS)}/gripper_cmd"
    return RobotOutput("gripper", name, kind, ("finger",), ("rad",), rate_hz=50.0, gripper=rule)


class Graph:
    """The goals of a controller, and what a recorder gets of them."""

    def __init__(self, output):
        self.output = output
        self.node = rclpy.create_node("controller_of_gripper")
        self.robot = rclpy.create_node("robot_with_gripper")
        self.executor = SingleThreadedExecutor()
        for node in (self.node, self.robot):
            self.executor.add_node(node)
        arm = RobotOutput("arm", "arm", "std_msgs/msg/Float64", ("lift",), ("rad",))
        self.goals = GripperGoals(self.node, (arm, output))
        (self.client,) = self.goals.grippers
        self.mirrored, self.targets = [], []
        latched = QoSProfile(depth=50, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.robot.create_subscription(
            JointState, output.mirror_topic, self.mirrored.append, latched
        )

    def serve(self):
        return GripperServer(self.robot, self.output, self.targets.append)

    def command(self, place):
        """Command the gripper now, as each tick does."""
        self.goals.note(time.time(), np.array([7.0, place]))

    def until(self, happened, place=None):
        deadline_s = time.monotonic() + PATIENCE_S
        while not happened():
            assert time.monotonic() < deadline_s, "it did not happen"
            if place is not None:
                self.command(place)
            self.executor.spin_once(timeout_sec=0.02)


@pytest.fixture(params=KINDS)
def graph(request):
    rclpy.init()
    graph = Graph(output_of(request.param))
    graph.until(lambda: graph.robot.count_publishers(graph.output.mirror_topic))
    yield graph
    graph.executor.shutdown()
    for node in (graph.node, graph.robot):
        node.destroy_node()
    rclpy.shutdown()


def test_a_goal_is_sent_for_a_change_and_shown_to_recorders(graph):
    graph.serve()
    graph.until(lambda: graph.targets, 0.3)
    graph.until(lambda: len(graph.targets) > 1, 0.305 + 0.02)  # 0.305 alone is in the dead band
    assert graph.targets == [0.3, 0.325]
    graph.until(lambda: len(graph.mirrored) == 2)
    assert [message.position.tolist() for message in graph.mirrored] == [[0.3], [0.325]]
    assert graph.mirrored[0].name == ["finger"]
    assert graph.mirrored[0].effort.tolist() == [20.0]


def test_a_goal_for_a_moment_to_come_waits_for_it(graph):
    graph.serve()
    begin_s = time.time()
    graph.goals.note(begin_s + 0.5, np.array([0.0, 0.3]))
    graph.until(lambda: graph.targets)
    assert time.time() >= begin_s + 0.5


def test_a_grip_that_is_aborted_as_stalled_is_no_problem(graph):
    server = graph.serve()
    graph.until(lambda: graph.targets, 0.8)
    graph.client.problem = "of an earlier goal"
    for now_s in (0.5, 1.0, 1.5, 2.0):  # it stands at the object
        server.advance(0.4, 0.0, now_s)
    graph.until(lambda: graph.client.problem == "", 0.8)
    assert graph.targets == [0.8]


def test_a_goal_that_is_replaced_is_no_problem(graph):
    server = graph.serve()
    graph.until(lambda: graph.targets, 0.8)
    graph.until(lambda: len(graph.targets) > 1, 0.2)
    server.advance(0.2, 0.0, 1.0)
    graph.until(lambda: graph.client._sent == 0.2 and server._goal is None, 0.2)
    for _ in range(20):
        graph.executor.spin_once(timeout_sec=0.02)
    assert graph.goals.problems == []


def test_a_server_that_rejects_is_reported_and_not_flooded(graph):
    asked = []

    def reject(goal):
        asked.append(time.monotonic())
        return GoalResponse.REJECT

    kind = KINDS[graph.output.type]
    ActionServer(graph.robot, kind, graph.output.topic, lambda handle: None, goal_callback=reject)
    graph.until(lambda: len(asked) > 1, 0.3)
    assert asked[1] - asked[0] > 0.9
    assert "rejects goals" in graph.goals.problems[0]


def test_a_server_that_aborts_without_a_grip_is_reported(graph):
    kind = KINDS[graph.output.type]

    def abort(handle):
        handle.abort()
        return kind.Result()

    ActionServer(graph.robot, kind, graph.output.topic, abort)
    graph.until(lambda: graph.goals.problems, 0.3)
    assert "aborted its goal of 0.3 without being stalled" in graph.goals.problems[0]


def test_what_was_commanded_long_before_there_was_a_server_is_not_sent(graph):
    graph.goals.note(time.time() - 2.0, np.array([0.0, 0.3]))
    graph.serve()
    graph.until(lambda: graph.client.is_served)
    for _ in range(10):
        graph.executor.spin_once(timeout_sec=0.02)
    assert graph.targets == []
    graph.until(lambda: graph.targets, 0.5)
    assert graph.targets == [0.5]


def test_a_goal_has_the_place_and_the_effort_where_each_action_has_them():
    one, several = (goal_of(output_of(kind), 0.3).command for kind in KINDS)
    assert (one.position, one.max_effort) == (0.3, 20.0)
    assert several == JointState(name=["finger"], position=[0.3], effort=[20.0])
    plain = GripperRule(binary=BinaryGripper(0.0, 0.8, 0.6, 0.4))
    one, several = (goal_of(output_of(kind, plain), 0.8).command for kind in KINDS)
    assert (one.position, one.max_effort) == (0.8, 0.0)
    assert several == JointState(name=["finger"], position=[0.8])
