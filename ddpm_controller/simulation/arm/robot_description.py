"""The arm as a URDF: the same joints and limits as the MJCF, from the same table."""

from xml.etree import ElementTree

from ddpm_controller.simulation.arm.arm import JOINTS, TIP_OFFSET
from ddpm_controller.simulation.arm.cameras import CAMERAS
from ddpm_controller.simulation.joints import JointSpec
from ddpm_controller.simulation.mjcf import attribute
from ddpm_controller.simulation.urdf import (
    add_camera,
    add_joint,
    add_limit,
    add_link,
    connect,
    urdf_text,
)

# Enough for a viewer: (shape, attributes, place) per link; physics lives in the MJCF.
_SHAPES: dict[str, tuple[str, dict[str, str], str]] = {
    "base_link": ("cylinder", {"radius": "0.07", "length": "0.1"}, "0 0 0.05"),
    "shoulder_pan_link": ("cylinder", {"radius": "0.05", "length": "0.1"}, "0 0 0.05"),
    "shoulder_lift_link": ("box", {"size": "0.06 0.06 0.3"}, "0 0 0.15"),
    "elbow_link": ("box", {"size": "0.3 0.05 0.05"}, "0.15 0 0"),
    "wrist_pitch_link": ("sphere", {"radius": "0.033"}, "0 0 0"),
    "wrist_yaw_link": ("sphere", {"radius": "0.03"}, "0 0 0"),
    "wrist_roll_link": ("box", {"size": "0.04 0.12 0.024"}, "0 0 -0.06"),
    "gripper_link": ("box", {"size": "0.022 0.01 0.072"}, "0 0.005 -0.034"),
    "gripper_mirror_link": ("box", {"size": "0.022 0.01 0.072"}, "0 -0.005 -0.034"),
}


def robot_description() -> str:
    """Return the URDF text, with limits of position, velocity and effort for every joint."""
    robot = ElementTree.Element("robot", name="sim_arm")
    for link in _SHAPES:
        add_link(robot, link, *_SHAPES[link])
    ElementTree.SubElement(robot, "link", name="tip")
    parent = "base_link"
    for joint in JOINTS:
        add_joint(robot, joint, parent)
        if joint.unit == "rad":  # both fingers hang on the last link of the arm
            parent = f"{joint.name}_link"
    _add_mirror(robot, JOINTS[-1], parent)
    connect(robot, "tip_joint", "fixed", parent, "tip", TIP_OFFSET)
    for camera in CAMERAS:
        add_camera(robot, camera)
    return urdf_text(robot)


def _add_mirror(robot: ElementTree.Element, joint: JointSpec, parent: str) -> None:
    name = f"{joint.name}_mirror"
    element = connect(robot, name, "prismatic", parent, f"{name}_link", joint.offset)
    ElementTree.SubElement(element, "axis", xyz=attribute(tuple(-part for part in joint.axis)))
    add_limit(element, joint)
    ElementTree.SubElement(element, "mimic", joint=joint.name, multiplier="1", offset="0")
