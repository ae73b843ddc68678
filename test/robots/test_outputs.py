"""The outputs that a robot file names."""

import re

import pytest
import yaml
from robot_files import SIM_ARM, SIM_ARM_GRIPPER

from ddpm_controller.control.gripper import BinaryGripper, GripperRule
from ddpm_controller.robots.outputs import ACTION_RATE_HZ, JOINT_STATE, columns_of
from ddpm_controller.robots.robot import COMMANDS_TOPIC, RobotError, load_robot

FILE = """
robot: two
streams:
  joint_state: {topic: joint_states, type: sensor_msgs/msg/JointState, names: [lift, turn, grip],
                units: [rad, rad, rad], rate_hz: 50.0, max_age_s: 0.3}
actions:
  - name: arm
    topic: arm_controller/joint_trajectory
    type: trajectory_msgs/msg/JointTrajectory
    names: [lift, turn]
    units: [rad, rad]
    period_s: 0.1
    latency_s: 0.05
  - name: gripper
    topic: gripper_controller/gripper_cmd
    type: control_msgs/action/ParallelGripperCommand
    names: [grip]
    units: [rad]
    latency_s: 0.2
    dead_band: 0.01
    max_effort: 50.0
    binary: {open: 0.0, closed: 0.79, close_above: 0.6, open_below: 0.2}
"""


def robot_with(tmp_path, change=lambda file: None):
    file = yaml.safe_load(FILE)
    change(file)
    path = tmp_path / "robot.yaml"
    path.write_text(yaml.safe_dump(file, sort_keys=False))
    return load_robot(path)


def test_the_columns_of_a_plan_are_those_of_all_outputs_in_order(tmp_path):
    robot = robot_with(tmp_path)
    spec = robot.action_spec
    assert spec.joint_names == ("lift", "turn", "grip")
    assert spec.kinds == ("joint_position",) * 3
    assert spec.relative_to == ("none",) * 3
    assert columns_of(robot.outputs) == {"arm": slice(0, 2), "gripper": slice(2, 3)}
    assert robot.latency_s == 0.2
    assert robot.commands_topic == COMMANDS_TOPIC


def test_a_gripper_by_action_has_its_rule_and_a_rate_and_is_mirrored_for_recordings(tmp_path):
    arm, gripper = robot_with(tmp_path).outputs
    assert gripper.gripper == GripperRule(0.01, BinaryGripper(0.0, 0.79, 0.6, 0.2), 50.0)
    assert gripper.rate_hz == ACTION_RATE_HZ
    assert gripper.in_bags == ("gripper_controller/gripper_cmd/command", JOINT_STATE)
    assert (arm.gripper, arm.rate_hz) == (None, None)
    assert arm.in_bags == (arm.topic, arm.type)


def test_one_action_is_one_output_whose_topic_has_whole_commands(tmp_path):
    def with_one(file):
        file["action"] = file.pop("actions")[0]
        del file["action"]["name"]

    robot = robot_with(tmp_path, with_one)
    assert [each.name for each in robot.outputs] == ["action"]
    assert robot.commands_topic == "arm_controller/joint_trajectory"


def in_gripper(**values):
    return lambda file: file["actions"][1].update(values)


REFUSED = {
    "both": (
        lambda file: file.update(action=dict(file["actions"][0])),
        "action or actions, one of them",
    ),
    "neither": (lambda file: file.pop("actions"), "action or actions, one of them"),
    "an empty list": (lambda file: file.update(actions=[]), "actions"),
    "a name twice": (in_gripper(name="arm"), "a name of its own.*arm.*arm"),
    "a topic twice": (
        in_gripper(topic="arm_controller/joint_trajectory"),
        "a topic of its own",
    ),
    "a joint twice": (in_gripper(names=["lift"]), "unique.*lift.*turn.*lift"),
    "no period": (lambda file: file["actions"][0].pop("period_s"), "first needs a period_s"),
    "two periods": (in_gripper(period_s=0.2), r"all the same or none, got \[0.1, 0.2\]"),
    "a unit too many": (in_gripper(units=["rad", "m"]), "'gripper': 1 names but 2 units"),
    "two joints for one number": (
        in_gripper(names=["grip", "other"], units=["rad", "rad"]),
        "ParallelGripperCommand commands one joint",
    ),
    "a dead band of an arm": (
        lambda file: file["actions"][0].update(dead_band=0.1),
        "'arm': dead_band, binary and max_effort are for one joint",
    ),
    "a kind that its type cannot carry": (
        in_gripper(kind="twist"),
        "kind twist cannot be sent as control_msgs/action/ParallelGripperCommand.*TwistStamped",
    ),
    "an axis that a twist does not have": (
        in_gripper(
            kind="twist", type="geometry_msgs/msg/Twist", names=["linear.w"], dead_band=0,
            binary=None, max_effort=None,
        ),
        "names of a twist must be among .*got .*linear.w",
    ),
    "thresholds that cross": (
        in_gripper(binary={"open": 0, "closed": 1, "close_above": 0.2, "open_below": 0.6}),
        "open_below 0.6 and close_above 0.2",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("change", "text"), REFUSED.values(), ids=REFUSED)
def test_outputs_that_contradict_each_other_are_refused(tmp_path, change, text):
    with pytest.raises(RobotError, match=re.compile(text, re.DOTALL)):
        robot_with(tmp_path, change)


def test_a_prefix_is_in_the_robot_file_and_not_in_the_messages(tmp_path):
    def two_arms(file):
        joints = [f"left/{name}" for name in file["streams"]["joint_state"]["names"]]
        file["streams"]["joint_state"]["names"] = joints
        for each in file["actions"]:
            each.update(prefix="left/", names=[f"left/{name}" for name in each["names"]])

    robot = robot_with(tmp_path, two_arms)
    assert robot.action_spec.joint_names == ("left/lift", "left/turn", "left/grip")
    assert [each.message_names for each in robot.outputs] == [("lift", "turn"), ("grip",)]


def test_names_without_their_prefix_are_refused(tmp_path):
    with pytest.raises(RobotError, match=r"names must begin with prefix 'left/', got \['lift'"):
        robot_with(tmp_path, lambda file: file["actions"][0].update(prefix="left/"))


def test_the_simulated_arm_with_two_topics_takes_the_policies_of_the_one_with_one():
    one, two = load_robot(SIM_ARM), load_robot(SIM_ARM_GRIPPER)
    assert two.action_spec == one.action_spec
    assert two.stream_specs == one.stream_specs
    assert [each.topic for each in two.outputs] == [
        "arm_controller/joint_trajectory",
        "gripper_controller/gripper_cmd",
    ]


def test_only_what_follows_its_commands_at_once_is_measured():
    """A goal that is sent ten times a second has no latency that a sine shows."""
    assert [each.follows for each in load_robot(SIM_ARM_GRIPPER).outputs] == [True, False]
