"""A real controller process and a robot whose every message the tests decide."""

import math
from collections.abc import Iterator

import numpy as np
import pytest
from controller_driver import (
    Client,
    FakeRobot,
    client,
    process_of,
)
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.srv import DescribeParameters
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger

from ddpm_controller.bags.conversions import seconds
from ddpm_controller.control.states import Reason, State
from ddpm_controller.robots.robot import joint_limits
from ddpm_controller.ros.controller.topics import time_from
from ddpm_controller.simulation.arm.arm import JOINT_NAMES
from ddpm_controller.simulation.arm.robot_description import robot_description

LIMITS = joint_limits(robot_description(), JOINT_NAMES)
RATE_HZ = 50.0
LARGEST_CATCH_UP = 0.1
"""In s at the velocity limit."""


@pytest.fixture(scope="module")
def graph(checkpoint) -> Iterator[tuple[Client, FakeRobot]]:
    parameters = {"checkpoint": checkpoint, "control_rate_hz": RATE_HZ}
    with client() as node, process_of("controller", **parameters):
        robot = FakeRobot(node)
        node.bring_up()
        yield node, robot


@pytest.fixture
def moving(graph) -> tuple[Client, FakeRobot]:
    """A robot that moves under the random policy, healthy again after each test."""
    node, robot = graph
    robot.messages.clear()
    assert node.state() == "active"
    node.until_running(num_chunks=1)
    return node, robot


def nan_in_one_joint(message):
    message.position[3] = math.nan
    return message


def other_names(message):
    message.name[0] = "another_joint"
    return message


def twice(message):
    message.name.append(message.name[0])
    message.position.append(message.position[0] + 0.1)
    return message


def cut(message):
    message.position.pop()
    return message


def small(message):
    message.height, message.width, message.step = 48, 64, 192
    del message.data[48 * 192 :]
    return message


def cut_image(message):
    del message.data[-1:]
    return message


def other_encoding(message):
    message.encoding = "yuv420"
    return message


def frozen():
    """A camera that sends its first picture, with its first stamp, for ever."""
    stamps = []

    def change(message):
        stamps.append(message.header.stamp)
        message.header.stamp = stamps[0]
        return message

    return change


def ahead(message):
    stamp_s = seconds(message.header.stamp) + 0.7
    message.header.stamp = time_from(stamp_s)
    return message


INVALID, STALE = Reason.INVALID_OBSERVATION, Reason.STALE_OBSERVATION
BAD = {
    "NaN in joint states": ("joint_state", nan_in_one_joint, INVALID, "not finite"),
    "another name": ("joint_state", other_names, STALE, "joint 'wrist_yaw' of joint_state"),
    "a joint twice": ("joint_state", twice, INVALID, "is in one message twice"),
    "fewer positions than names": ("joint_state", cut, INVALID, "7 joint names but 6"),
    "a camera of another size": ("camera_fixed", small, INVALID, "48 x 64"),
    "a cut image": ("camera_wrist", cut_image, INVALID, "bytes"),
    "another encoding": ("camera_wrist", other_encoding, INVALID, "yuv420"),
    "a silent camera": ("camera_fixed", lambda _: None, STALE, "camera_fixed is "),
    "a frozen camera": ("camera_wrist", frozen(), STALE, "camera_wrist is "),
    "a camera whose clock is ahead": ("camera_fixed", ahead, STALE, "ahead of its arrival"),
    "silent joints": ("joint_state", lambda _: None, STALE, "joint_state is "),
}


@pytest.mark.parametrize(("stream", "change", "reason", "text"), BAD.values(), ids=BAD)
def test_bad_input_stops_the_arm_smoothly_with_the_reason_until_it_is_good_again(
    moving, stream, change, reason, text
):
    node, robot = moving
    first = len(node.led.points)
    robot.messages[stream] = change
    # A busy machine may be late with another stream first.
    status = node.until_state(State.HOLDING, reason, text)
    node.hear_commands_until(seconds(status.header.stamp) + 0.4)
    _, positions = node.commands()
    np.testing.assert_array_equal(positions[-1], positions[-2])  # 0.2 s of stop are over
    robot.messages.clear()
    node.until_running(num_chunks=1)
    keeps_limits(node, first)


def keeps_limits(node: Client, first: int) -> None:
    """The set points from ``first`` on, to which a trajectory controller leads the robot."""
    stamps_s, positions = node.commands()
    assert node.led.refusals == []
    assert np.isfinite(positions).all()
    assert (positions >= LIMITS.lower).all()
    assert (positions <= LIMITS.upper).all()
    velocities, accelerations = (
        np.abs(node.led.column(name)[first:]) for name in ("velocity", "acceleration")
    )
    assert (velocities <= (1.0 + 1e-6) * LIMITS.velocity).all()
    assert (accelerations <= 1.1 * LIMITS.acceleration).all()
    # On a busy machine a message may be later than the lead allows.
    spans_s = np.diff(stamps_s[first:])
    jumps = np.abs(np.diff(positions[first:], axis=0)) - LIMITS.velocity * spans_s[:, None]
    assert jumps.max() <= LARGEST_CATCH_UP * LIMITS.velocity.max()


def test_a_gripper_that_publishes_apart_is_named_when_it_stays_away(moving):
    node, robot = moving
    own = node.create_publisher(JointState, "joint_states", 10)
    is_there = [True]

    def apart(message):
        index = message.name.index("gripper")
        part = JointState(name=[message.name.pop(index)], position=[message.position.pop(index)])
        part.header.stamp = time_from(seconds(message.header.stamp) - 0.005)
        own.publish(JointState(header=message.header, name=["wheel"], position=[1.0]))
        if is_there:
            own.publish(part)
        return message

    robot.messages["joint_state"] = apart
    chunks = node.heard["controller/action_chunk"]
    node.until(lambda: chunks and chunks[-1].element_names, "a chunk from two publishers")
    is_there.clear()
    # Where a busy machine sent the last one late, both of its ages are told.
    text = "joint 'gripper' of joint_state"
    status = node.until_state(State.HOLDING, Reason.STALE_OBSERVATION, text)
    assert "its other joints are current" in status.text
    robot.messages.clear()
    node.until_running(num_chunks=1)


def test_a_command_says_its_joints_and_when_each_point_is_to_be_reached(moving):
    node, _ = moving
    moments_s, message = node.arrived[-1]
    begin_s = seconds(message.header.stamp)
    assert tuple(message.joint_names) == JOINT_NAMES
    after_s = [seconds(point.time_from_start) for point in message.points]
    assert after_s[0] == 0.0
    assert (np.diff(after_s) > 0).all()
    assert begin_s < moments_s < begin_s + after_s[-1]
    assert not any(message.points[-1].velocities)
    moments_s, _ = node.commands()
    assert (np.diff(moments_s) > 0).all()


def test_a_chunk_tells_all_that_is_needed_to_plan_it_again(moving):
    node, _ = moving
    chunk = node.heard["controller/action_chunk"][-1]
    assert chunk.plan_number > 0
    assert chunk.checkpoint_hash == node.status.checkpoint_hash != ""
    used = dict(zip(chunk.override_names, chunk.override_values, strict=True))
    assert (used["sampler"], used["num_inference_steps"]) == ("ddim", "4")
    assert chunk.num_inference_steps == 4
    assert len(chunk.rows) == chunk.num_rows * len(chunk.joint_names)
    assert len(chunk.window_stamps) == 2
    assert len(chunk.source_stamps) == 2 * len(chunk.stream_names)
    assert chunk.start == chunk.requested == chunk.window_stamps[-1]
    assert chunk.inference_time_s > 0


def test_a_reset_counts_plans_from_zero_without_a_jump(moving):
    node, _ = moving
    first = len(node.led.points)
    chunks = node.heard["controller/action_chunk"]
    known, number = len(chunks), chunks[-1].plan_number
    assert node.call(Trigger).success
    # A busy machine may lose the first one: its streams are late then.
    node.until(lambda: any(chunk.plan_number < number for chunk in chunks[known:]))
    keeps_limits(node, first)


REFUSED = {
    "rate too low": ("control_rate_hz", 0.0, "out of range"),
    "rate too high": ("control_rate_hz", 501.0, "out of range"),
    "rate while active": ("control_rate_hz", 100.0, "while active"),
    "no override": ("policy.overrides", ["sampler"], "must be name=value"),
    "read-only robot": ("robot", "other.yaml", "read-only"),
    "read-only lockstep": ("lockstep", True, "read-only"),
    "wrong type": ("seed", "one", "type"),
    "number out of range": ("command.lead_s", -1.0, "as_robot_file, or a number from 0 to 2"),
    "unknown word": ("start.distance", "none", "must be as_checkpoint or any, or a number from"),
    "no integer": ("chunk.n_action_steps", 2.5, "as_checkpoint, or an integer of at least 1"),
    "word while active": ("start.margin", "any", "['start.margin'] cannot change while active"),
    "no such checkpoint": ("checkpoint", "/nowhere", "no checkpoint here"),
}


@pytest.mark.parametrize(("name", "value", "text"), REFUSED.values(), ids=REFUSED)
def test_a_parameter_that_cannot_be_is_refused_with_the_reason(graph, name, value, text):
    node, _ = graph
    before = node.get(name)
    accepted, reason = node.set(name, value)
    assert not accepted
    assert text in reason.lower() or text in reason
    assert node.get(name) == before


def test_every_parameter_has_a_text(graph):
    node, _ = graph
    names = ["checkpoint", "robot", "control_rate_hz", "seed", "lockstep", "stop.duration_s"]
    described = node.call(DescribeParameters, names=names).descriptors
    assert all(each.description for each in described)
    assert [each.name for each in described if each.read_only] == ["robot", "lockstep"]
    assert described[2].floating_point_range[0].to_value == 500.0


def test_lifecycle_transitions_stop_and_start_the_commands(moving):
    node, _ = moving
    first = len(node.led.points)
    assert node.change(Transition.TRANSITION_DEACTIVATE)
    inactive = node.until(lambda: node.status.state == State.INACTIVE and node.status)
    assert inactive.reason == Reason.DEACTIVATED
    node.until_rest()
    keeps_limits(node, first)
    assert node.set("seed", 5) == (True, "")
    assert node.change(Transition.TRANSITION_CLEANUP)
    assert node.change(Transition.TRANSITION_CONFIGURE)
    sent_s, _ = node.arrived[-1]
    assert sent_s <= seconds(inactive.header.stamp) + 1 / RATE_HZ
    assert node.change(Transition.TRANSITION_ACTIVATE)
    node.until_running()
    assert node.status.seed == 5


def test_a_transition_that_does_not_exist_does_not_end_the_node(moving):
    node, _ = moving
    request = ChangeState.Request(transition=Transition(id=Transition.TRANSITION_CONFIGURE))
    node.call_soon(request, ChangeState)
    node.until_running()
    assert node.state() == "active"
