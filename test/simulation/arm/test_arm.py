from xml.etree import ElementTree

import numpy as np
import pytest

from ddpm_controller.simulation.arm.arm import (
    JOINT_NAMES,
    NUM_ARM_JOINTS,
    PUBLISHED_JOINT_NAMES,
    joint_range,
)
from ddpm_controller.simulation.arm.reach_world import ReachWorld
from ddpm_controller.simulation.arm.robot_description import robot_description
from ddpm_controller.simulation.joints import JointSpec


def tip_of_urdf(joints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Forward kinematics from nothing but the URDF text; Rodrigues' formula per joint."""
    elements = ElementTree.fromstring(robot_description()).findall("joint")
    parent_of = {element.find("child").get("link"): element for element in elements}
    chain, link = [], "tip"
    while link != "base_link":
        chain.insert(0, parent_of[link])
        link = chain[0].find("parent").get("link")
    angles = dict(zip(JOINT_NAMES, joints, strict=False))
    position, rotation = np.zeros(3), np.eye(3)
    for element in chain:
        position = position + rotation @ np.fromstring(element.find("origin").get("xyz"), sep=" ")
        if element.get("type") == "revolute":
            x, y, z = np.fromstring(element.find("axis").get("xyz"), sep=" ")
            cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
            angle = angles[element.get("name")]
            turn = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
            rotation = rotation @ turn
    return position, rotation


@pytest.mark.parametrize("seed", range(5))
def test_urdf_and_mjcf_put_the_tip_at_the_same_place(seed):
    limits = joint_range()
    joints = np.random.default_rng(seed).uniform(limits.lower, limits.upper)[:NUM_ARM_JOINTS]
    position, rotation = ReachWorld().kinematics.tip(joints)
    urdf_position, urdf_rotation = tip_of_urdf(joints)
    np.testing.assert_allclose(position, urdf_position, atol=1e-9)
    np.testing.assert_allclose(rotation, urdf_rotation, atol=1e-9)


def test_the_tip_at_zero_is_where_the_drawing_says():
    """0.2 m shoulder + 0.3 m arm - 0.22 m hand; 0.3 m forearm forward."""
    position, _ = ReachWorld().kinematics.tip(np.zeros(NUM_ARM_JOINTS))
    np.testing.assert_allclose(position, [0.30, 0.0, 0.28], atol=1e-12)


def test_urdf_limits_are_those_of_the_world():
    limits = joint_range()
    root = ElementTree.fromstring(robot_description())
    for index, name in enumerate(JOINT_NAMES):
        limit = root.find(f"joint[@name='{name}']/limit")
        assert float(limit.get("lower")) == limits.lower[index]
        assert float(limit.get("upper")) == limits.upper[index]
        assert float(limit.get("velocity")) == limits.velocity[index]


def test_the_second_finger_mimics_the_first():
    root = ElementTree.fromstring(robot_description())
    assert root.find("joint[@name='gripper_mirror']/mimic").get("joint") == "gripper"


def test_the_driver_reports_the_same_joints_in_another_order():
    assert sorted(PUBLISHED_JOINT_NAMES) == sorted(JOINT_NAMES)
    assert all(a != b for a, b in zip(PUBLISHED_JOINT_NAMES, JOINT_NAMES, strict=True))


def test_a_joint_with_reversed_limits_is_refused():
    with pytest.raises(ValueError, match=r"lower 1.0 must be below upper -1.0"):
        JointSpec("elbow", "rad", (0.0, 0.0, 0.0), (0, 1, 0), 1.0, -1.0, 1.0, 1.0, 1.0)
