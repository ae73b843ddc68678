"""Pieces of a URDF, from the same tables of joints and cameras as the MJCF."""

from collections.abc import Sequence
from xml.etree import ElementTree

import numpy as np

from ddpm_controller.simulation.camera import CameraSpec
from ddpm_controller.simulation.joints import JointSpec
from ddpm_controller.simulation.mjcf import attribute


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
    """Add a joint with its limits, whose child is ``<name>_link``."""
    kind = "revolute" if joint.unit == "rad" else "prismatic"
    element = connect(robot, joint.name, kind, parent, f"{joint.name}_link", joint.offset)
    ElementTree.SubElement(element, "axis", xyz=attribute(joint.axis))
    add_limit(element, joint)


def add_chain(robot: ElementTree.Element, joints: Sequence[JointSpec]) -> str:
    """Add joints from ``base_link`` on, each on the one before; return the last link."""
    parent = "base_link"
    for joint in joints:
        add_joint(robot, joint, parent)
        parent = f"{joint.name}_link"
    return parent


def add_camera(robot: ElementTree.Element, camera: CameraSpec) -> None:
    """Add the frame that the messages of a camera name: x right, y down, z forward."""
    link = f"{camera.name}_optical_frame"
    ElementTree.SubElement(robot, "link", name=link)
    parent = "base_link" if camera.body == "world" else camera.body
    joint = connect(robot, f"{camera.name}_joint", "fixed", parent, link, camera.position)
    origin = joint.find("origin")
    assert origin is not None
    angles = euler_angles(np.column_stack(camera.axes))
    origin.set("rpy", attribute(tuple(float(angle) for angle in angles)))


def euler_angles(rotation: np.ndarray) -> np.ndarray:
    """Return roll, pitch and yaw (3,), rad, of a rotation (3, 3) whose columns are the axes."""
    (xx, _, _), (xy, _, _), (xz, yz, zz) = rotation
    return np.array([np.arctan2(yz, zz), np.arctan2(-xz, np.hypot(xx, xy)), np.arctan2(xy, xx)])


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
    ElementTree.SubElement(element, "origin", xyz=attribute(offset), rpy="0 0 0")
    ElementTree.SubElement(element, "parent", link=parent)
    ElementTree.SubElement(element, "child", link=child)
    return element


def add_limit(element: ElementTree.Element, joint: JointSpec) -> None:
    """Add the limits of a joint to its element."""
    ElementTree.SubElement(
        element,
        "limit",
        lower=str(joint.lower),
        upper=str(joint.upper),
        velocity=str(joint.velocity),
        effort=str(joint.effort),
    )
