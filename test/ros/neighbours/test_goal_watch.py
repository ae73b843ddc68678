"""Others on the action of a gripper: no server, our goals, goals of another node."""

import time

import numpy as np
import pytest
import rclpy
from action_msgs.msg import GoalStatus, GoalStatusArray
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import SingleThreadedExecutor

from ddpm_controller.control.gripper import GripperRule
from ddpm_controller.robots.outputs import GRIPPER_COMMAND, RobotOutput
from ddpm_controller.ros.commanding.gripper_goals import GripperGoals
from ddpm_controller.ros.neighbours.claims import Intent
from ddpm_controller.ros.neighbours.command_watch import GoalWatch
from ddpm_controller.ros.simulation.gripper_server import GripperServer

NAME = "/claw/gripper_cmd"
OUTPUT = RobotOutput(
    "gripper", NAME, GRIPPER_COMMAND, ("finger",), ("rad",), rate_hz=50.0, gripper=GripperRule()
)


@pytest.fixture
def graph():
    rclpy.init()
    node = rclpy.create_node("gripper_watcher")
    executor = SingleThreadedExecutor()
    executor.add_node(node)

    def until(happened):
        deadline_s = time.monotonic() + 60.0
        while not happened():
            assert time.monotonic() < deadline_s, "it did not happen"
            executor.spin_once(timeout_sec=0.02)

    yield node, until
    executor.shutdown()
    node.destroy_node()
    rclpy.shutdown()


def executing(goal):
    status = GoalStatus(status=GoalStatus.STATUS_EXECUTING)
    status.goal_info.goal_id.uuid = np.frombuffer(goal, dtype=np.uint8)
    return GoalStatusArray(status_list=[status])


def test_a_missing_server_and_the_goals_of_another_node_are_noticed(graph):
    node, until = graph
    goals = GripperGoals(node, (OUTPUT,))
    (client,) = goals.grippers
    watch = GoalWatch(node, client, NAME, ReentrantCallbackGroup(), "ours")
    assert "nothing serves the action /claw/gripper_cmd" in watch.listener_problem(
        0.0, in_motion=False
    )
    assert watch.notes(float("inf"))
    targets = []
    GripperServer(node, OUTPUT, targets.append)
    until(lambda: client.is_served and node.count_publishers(f"{NAME}/_action/status"))
    assert watch.has_changed()
    watch.look_at_graph(0.0)
    assert watch.listener_problem(0.0, in_motion=False) == ""
    assert watch.notes(0.0) == {}
    goals.note(time.time(), np.array([0.3]))
    until(lambda: targets)
    now_s = time.monotonic()
    watch._goals._on_status(NAME, executing(client.goals[-1]))
    assert watch.other_commander(Intent.COMMANDS, now_s, 0.0) == ""
    watch._goals._on_status(NAME, executing(bytes(range(16))))
    problem = watch.other_commander(Intent.COMMANDS, now_s, 0.0)
    assert f"executes a goal of {NAME}" in problem
    assert "gripper_watcher" not in problem
