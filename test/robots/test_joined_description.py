"""Descriptions of two arms become one, whose names differ."""

import pytest

from ddpm_controller.control.moving.forward_kinematics import LinkChain
from ddpm_controller.robots.robot import joint_limits
from ddpm_controller.robots.robot_description import (
    DescriptionError,
    described_joints,
    joined_description,
)

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
