"""The message of every type of output has its columns again, bit for bit."""

import numpy as np
import pytest
from rclpy.serialization import serialize_message

from ddpm_controller.bags.command_messages import command_from
from ddpm_controller.robots.outputs import POSE_NAMES, STAMPED, TYPES, RobotOutput, numbers_of
from ddpm_controller.ros.output_messages import (
    MESSAGES,
    Part,
    message_of,
    mirror_of,
    recorded_messages,
    recorded_types,
)

TWO = ("shoulder", "elbow")
OUTPUTS = {
    f"{kind} as {type_}": RobotOutput("o", "topic", type_, names, ("rad",) * len(names), kind)
    for kind, types in TYPES.items()
    for type_ in types
    if type_ in MESSAGES
    for names in [
        POSE_NAMES
        if kind == "pose"
        else ("linear.x", "angular.z")
        if kind == "twist"
        else TWO[:1]
        if type_.endswith("Float64")
        else TWO
    ]
}


def row_of(output):
    return np.random.default_rng(5).uniform(-1, 1, len(output.names))


@pytest.mark.parametrize("output", OUTPUTS.values(), ids=OUTPUTS)
def test_a_message_becomes_the_columns_that_it_was_made_of(output):
    row = row_of(output)
    message = message_of(output, Part(12.25, row, None, None, 0.02))
    found = command_from(message, output, output.type)
    if output.kind == "pose":  # by way of a quaternion
        np.testing.assert_allclose(found, row, atol=1e-12)
    else:
        np.testing.assert_array_equal(found, row)
    if output.type in STAMPED:
        assert (message.header.stamp.sec, message.header.stamp.nanosec) == (12, 250_000_000)


@pytest.mark.parametrize("output", OUTPUTS.values(), ids=OUTPUTS)
def test_our_own_numbers_are_found_in_the_bytes_of_a_message(output):
    """So a command of another node on the same topic is noticed."""
    row = row_of(output)
    sent = serialize_message(message_of(output, Part(12.25, row, None, None, 0.02)))
    assert numbers_of(output, row).tobytes() in sent
    assert numbers_of(output, row + 1e-9).tobytes() not in sent


def test_every_type_of_a_robot_file_is_sent_or_a_goal():
    types = {type_ for types in TYPES.values() for type_ in types}
    assert {each for each in types if "/msg/" in each} == set(MESSAGES)


def test_an_expert_commands_each_output_and_shows_the_goals_of_a_gripper():
    outputs = (
        RobotOutput("arm", "arm/points", "trajectory_msgs/msg/JointTrajectory", TWO, ("rad",) * 2),
        RobotOutput("hand", "hand/go", "control_msgs/action/GripperCommand", ("grip",), ("m",)),
    )
    command, names = np.array([0.04, 1.0, 2.0]), ("grip", "elbow", "shoulder")
    found = dict(recorded_messages(outputs, command, names, 3.0, 0.02))
    assert set(found) == set(recorded_types(outputs)) == {"arm/points", "hand/go/command"}
    assert found["arm/points"].points[0].positions.tolist() == [2.0, 1.0]
    assert found["hand/go/command"] == mirror_of(outputs[1], 3.0, 0.04)
