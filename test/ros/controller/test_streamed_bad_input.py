"""What does not fit trajectories that end at rest, while a real controller sends them."""

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from controller_driver import Client, FakeRobot, client, process_of
from ddpm_msgs.srv import LoadCheckpoint
from diagnostic_msgs.msg import DiagnosticArray
from random_checkpoint import CONFIG, save_random_checkpoint
from rclpy.qos import QoSProfile

from ddpm_controller.bags.conversions import seconds
from ddpm_controller.control.states import State
from ddpm_controller.ros.controller.topics import time_from
from ddpm_controller.simulation.arm.robot_description import robot_description

LEAD_S = 0.35
TOO_LONG = f"command.stream_lead_s {LEAD_S} s is not shorter than a chunk, 0."


@pytest.fixture(scope="module")
def short(tmp_path_factory) -> str:
    """A checkpoint whose chunks are shorter than the lead."""
    folder = tmp_path_factory.mktemp("short") / "checkpoint"
    save_random_checkpoint(folder, config=replace(CONFIG, horizon=4, n_action_steps=2))
    return str(folder)


@pytest.fixture(scope="module")
def graph(checkpoint) -> Iterator[tuple[Client, FakeRobot]]:
    parameters = {
        "checkpoint": checkpoint,
        "command.stream": "rest_ended",
        "command.stream_lead_s": LEAD_S,
        "run_on_activate": True,
        "start.distance": "any",
    }
    with client() as node, process_of("controller", **parameters):
        robot = FakeRobot(node, description="")
        node.bring_up()
        yield node, robot


def test_limits_that_leave_a_joint_nothing_are_refused_before_anything_moves(graph):
    node, robot = graph
    good = robot_description()
    for bad, text in (
        (with_limit(good, "velocity", "0"), "has the velocity limit 0, which must be above 0"),
        (with_limit(good, "upper", "-9"), "lower -2.2 must be below upper -9"),
    ):
        robot.describe(bad)
        node.until(lambda text=text: text in node.status.text, text)
        assert node.status.state != State.RUNNING
    assert not node.heard["joint_trajectory"]
    robot.describe(good)
    node.until_running()


def with_limit(description: str, name: str, value: str) -> str:
    """The description with another number in the first limit."""
    head, limit, rest = description.partition("<limit")
    first, end, others = rest.partition(">")
    return head + limit + re.sub(f'{name}="[^"]*"', f'{name}="{value}"', first) + end + others


def test_a_checkpoint_whose_chunks_are_shorter_than_the_lead_is_refused_while_the_old_one_runs(
    graph, short, checkpoint
):
    node, _ = graph
    node.until_running()
    old = node.status.checkpoint_hash
    answer = node.call(LoadCheckpoint, path=short)
    assert not answer.success
    assert TOO_LONG in answer.message
    node.until(lambda: TOO_LONG in node.status.checkpoint_error)
    assert node.get("checkpoint") == str(checkpoint)
    # The manifest fits, so that setting is accepted before the chunks are known.
    assert node.set("checkpoint", short) == (True, "")
    node.until(lambda: node.get("checkpoint") == str(checkpoint))
    node.until_running()
    assert answer.checkpoint_hash == old
    assert node.heard["controller/action_chunk"][-1].checkpoint_hash == old


def test_a_robot_whose_clock_is_ahead_by_more_than_the_overlap_is_named_with_the_figure(graph):
    node, robot = graph
    entries = []
    node.create_subscription(
        DiagnosticArray,
        "/diagnostics",
        lambda told: entries.extend(told.status),
        QoSProfile(depth=9),
    )

    def ahead(message):
        message.header.stamp = time_from(seconds(message.header.stamp) + 0.15)
        return message

    robot.messages["joint_state"] = ahead
    node.until(
        lambda: any(
            each.name == "controller: stream joint_state"
            and "ahead of their arrival" in each.message
            for each in entries
        )
    )
    robot.messages.clear()
