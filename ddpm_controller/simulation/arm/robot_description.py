"""The arm as a URDF: the same joints and limits as the MJCF, from the same table."""

from collections.abc import Sequence
from xml.etree import ElementTree

import numpy as np

from ddpm_controller.simulation.arm.arm import JOINTS, TIP_OFFSET, JointSpec
from ddpm_controller.simulation.arm.cameras import CAMERAS, CameraSpec

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


def urdf_text(robot: ElementTree.Element) -> str:
    """Return a description as the text of a file."""
    ElementTree.indent(robot)
    return '<?xml version="1.0"?>\n' + ElementTree.tostring(robot, encoding="unicode") + "\n"


def add_link(
    robot: ElementTree.Element, name: str, shape: str, attributes: dict[str, str], place: str
) -> None:
    """Add a link that looks like ``shape`` at ``place``, in its own frame."""
    visual = ElementTree.SubElement(ElementTree.SubElement(robot, "link", name=name), "visual")
    ElementTree.SubElement(visual, "origin", xyz=place, rpy="0 0 0")
    ElementTree.SubElement(ElementTree.SubElement(visual, "geometry"), shape, attributes)


def add_joint(robot: ElementTree.Element, joint: JointSpec, parent: str) -> None:
    """Add a joint with its limits, and say that its child is ``<name>_link``."""
    kind = "revolute" if joint.unit == "rad" else "prismatic"
    element = connect(robot, joint.name, kind, parent, f"{joint.name}_link", joint.offset)
    ElementTree.SubElement(element, "axis", xyz=_text(joint.axis))
    _limit(element, joint)


def add_chain(robot: ElementTree.Element, joints: Sequence[JointSpec]) -> str:
    """Add joints from ``base_link`` on, each on the one before; return the last link."""
    parent = "base_link"
    for joint in joints:
        add_joint(robot, joint, parent)
        parent = f"{joint.name}_link"
    return parent


def _add_mirror(robot: ElementTree.Element, joint: JointSpec, parent: str) -> None:
    name = f"{joint.name}_mirror"
    element = connect(robot, name, "prismatic", parent, f"{name}_link", joint.offset)
    ElementTree.SubElement(element, "axis", xyz=_text(tuple(-part for part in joint.axis)))
    _limit(element, joint)
    ElementTree.SubElement(element, "mimic", joint=joint.name, multiplier="1", offset="0")


def add_camera(robot: ElementTree.Element, camera: CameraSpec) -> None:
    """Add the frame that the messages of a camera name: x right, y down, z forward."""
    link = f"{camera.name}_optical_frame"
    ElementTree.SubElement(robot, "link", name=link)
    parent = "base_link" if camera.body == "world" else camera.body
    joint = connect(robot, f"{camera.name}_joint", "fixed", parent, link, camera.position)
    forward = np.subtract(camera.target, camera.position)
    right = np.cross(forward, camera.up)
    axes = [each / np.linalg.norm(each) for each in (right, np.cross(forward, right), forward)]
    (xx, xy, xz), (_, _, yz), (_, _, zz) = axes
    rpy = (np.arctan2(yz, zz), np.arctan2(-xz, np.hypot(xx, xy)), np.arctan2(xy, xx))
    origin = joint.find("origin")
    assert origin is not None
    origin.set("rpy", _text(tuple(float(angle) for angle in rpy)))


def connect(
    robot: ElementTree.Element,
    name: str,
    kind: str,
    parent: str,
    child: str,
    offset: tuple[float, float, float],
) -> ElementTree.Element:
    """Add a joint without axis and limits and return it."""
    element = ElementTree.SubElement(robot, "joint", name=name, type=kind)
    ElementTree.SubElement(element, "origin", xyz=_text(offset), rpy="0 0 0")
    ElementTree.SubElement(element, "parent", link=parent)
    ElementTree.SubElement(element, "child", link=child)
    return element


def _limit(element: ElementTree.Element, joint: JointSpec) -> None:
    ElementTree.SubElement(
        element,
        "limit",
        lower=str(joint.lower),
        upper=str(joint.upper),
        velocity=str(joint.velocity),
        effort=str(joint.effort),
    )


def _text(numbers: tuple[float, ...]) -> str:
    return " ".join(str(number) for number in numbers)
