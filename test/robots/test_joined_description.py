"""Descriptions of two arms become one, whose names differ."""

from pathlib import Path

import pytest

from ddpm_controller.control.moving.forward_kinematics import LinkChain
from ddpm_controller.robots.robot import RobotError, joint_limits, load_robot
from ddpm_controller.robots.robot_description import (
    DescriptionError,
    Descriptions,
    described_joints,
    joined_description,
)

ROBOTS = Path(__file__).parents[2] / "config" / "robots"
ARM = """<?xml version="1.0"?><robot name="arm"><link name="base"/><link name="upper"/>
<link name="finger"/><joint name="waist" type="revolute"><parent link="base"/>
<child link="upper"/><limit lower="-1" upper="2" velocity="{}" effort="1"/></joint>
<joint name="grip" type="prismatic"><parent link="upper"/><child link="finger"/>
<mimic joint="waist"/><limit lower="0" upper="1" velocity="1" effort="1"/></joint>
<ros2_control name="r" type="system"><joint name="waist"/></ros2_control></robot>"""


def test_each_arm_keeps_its_own_limits_under_its_prefix():
    text = joined_description({"left/": ARM.format(3), "right/": ARM.format(4)})
    limits = joint_limits(text, ("left/waist", "right/waist"))
    assert limits.velocity.tolist() == [3.0, 4.0]
    assert limits.lower.tolist() == [-1.0, -1.0]


def test_mimic_joints_follow_their_own_arm():
    joints = described_joints(
        joined_description({"left/": ARM.format(3), "right/": ARM.format(4)})
    )
    mimic = joints["right/grip"].element.find("mimic")
    assert mimic.get("joint") == "right/waist"


def test_the_whole_has_one_root_as_a_chain_to_an_end_effector_needs():
    text = joined_description({"left/": ARM.format(3), "right/": ARM.format(4)})
    assert LinkChain(text, ("left/waist", "right/waist"), "right/finger").base == "joined_root"


def test_one_description_without_a_prefix_stays_as_it_is():
    assert joined_description({"": ARM}) is ARM


@pytest.mark.parametrize(
    ("text", "problem"),
    [("<robot", "is not XML"), ("<model/>", "begins with <model>"), ("<robot/>", "one root")],
)
def test_what_is_no_description_is_refused_with_its_arm(text, problem):
    with pytest.raises(DescriptionError, match=rf"of 'right/': .*{problem}"):
        joined_description({"left/": ARM.format(1), "right/": text})


def test_descriptions_are_complete_when_all_have_come_and_new_when_one_changes():
    arms = Descriptions({"left/robot_description": "left/", "right/robot_description": "right/"})
    assert not arms.take("left/robot_description", ARM.format(1))
    assert not arms.are_complete
    assert arms.take("right/robot_description", ARM.format(2))
    assert not arms.take("right/robot_description", ARM.format(2))
    assert arms.take("right/robot_description", ARM.format(3))
    limits = joint_limits(arms.text, ("left/waist", "right/waist"))
    assert limits.velocity.tolist() == [1.0, 3.0]


def test_two_descriptions_with_the_same_prefix_are_refused(tmp_path):
    aloha = (ROBOTS / "aloha.yaml").read_text().replace("limits/", f"{ROBOTS}/limits/")
    path = tmp_path / "robot.yaml"
    path.write_text(aloha.replace("robot_description: right/", "robot_description: left/"))
    with pytest.raises(RobotError, match="descriptions: .*each needs a prefix of its own"):
        load_robot(path)


def test_two_equal_arms_have_limits_each_and_a_base_has_nothing_that_measures_it():
    aloha, go2 = load_robot(ROBOTS / "aloha.yaml"), load_robot(ROBOTS / "go2.yaml")
    names = set(aloha.action_spec.joint_names)
    assert {name.removeprefix("left/") for name in names if name.startswith("left/")} == {
        name.removeprefix("right/") for name in names if name.startswith("right/")
    }
    assert go2.measuring_streams == ()
    assert go2.limits("").of_joints.velocity.tolist() == [0.5, 0.5, 1.0]
