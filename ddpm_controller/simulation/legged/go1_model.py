"""The model of the Unitree Go1: where it is, its joints, and its description as URDF."""

from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import mujoco
import numpy as np

from ddpm_controller.simulation.mjcf import attribute
from ddpm_controller.simulation.urdf import urdf_text

GO1_MJCF = Path(__file__).with_name("go1") / "go1_feet_only.xml"
"""Feet alone touch the ground; position actuators of kp 35 with the torque limits of the robot."""
LEGS = ("FR", "FL", "RR", "RL")
JOINT_NAMES = tuple(f"{leg}_{part}_joint" for leg in LEGS for part in ("hip", "thigh", "calf"))
"""In the order of the model."""
PUBLISHED_NAMES = tuple(
    f"{leg}_{part}_joint" for leg in ("FL", "FR", "RL", "RR") for part in ("hip", "thigh", "calf")
)
_SET_POINT_SPEED = 100.0
"""rad/s; a set point of a soft servo may leap, what moves the leg is its torque."""


def go1_model(extra_mass_kg: float = 0.0, friction: float = 0.6) -> mujoco.MjModel:
    """Return a compiled model; the extra mass is in the trunk and scales its inertia."""
    model = mujoco.MjModel.from_xml_path(str(GO1_MJCF))
    trunk = model.body("trunk")
    share = 1.0 + extra_mass_kg / float(trunk.mass[0])
    trunk.mass[:] *= share
    trunk.inertia[:] *= share
    model.geom("floor").friction[0] = friction
    mujoco.mj_setConst(model, mujoco.MjData(model))
    return model


@cache
def go1_description() -> str:
    """Return the joints and links as URDF text, with the limits of the model."""
    model = go1_model()
    robot = ElementTree.Element("robot", name="go1")
    for number in range(1, model.nbody):
        link = ElementTree.SubElement(robot, "link", name=model.body(number).name)
        visual = ElementTree.SubElement(link, "visual")
        geometry = ElementTree.SubElement(visual, "geometry")
        size = "0.25 0.09 0.11" if number == 1 else "0.03 0.03 0.1"
        ElementTree.SubElement(geometry, "box", size=size)
    for name in JOINT_NAMES:
        _add_joint(robot, model, name)
    return urdf_text(robot)


def _add_joint(robot: ElementTree.Element, model: mujoco.MjModel, name: str) -> None:
    joint = model.joint(name)
    body = model.body(int(joint.bodyid[0]))
    element = ElementTree.SubElement(robot, "joint", name=name, type="revolute")
    place = tuple(float(each) for each in body.pos)
    ElementTree.SubElement(element, "origin", xyz=attribute(place), rpy="0 0 0")
    parent = model.body(int(body.parentid[0])).name
    ElementTree.SubElement(element, "parent", link=parent)
    ElementTree.SubElement(element, "child", link=body.name)
    axis = tuple(float(each) for each in joint.axis)
    ElementTree.SubElement(element, "axis", xyz=attribute(axis))
    lower, upper = (float(each) for each in joint.range)
    effort = float(model.actuator(name.removesuffix("_joint")).forcerange[1])
    ElementTree.SubElement(
        element,
        "limit",
        lower=str(lower),
        upper=str(upper),
        velocity=str(_SET_POINT_SPEED),
        effort=str(effort),
    )


def home(model: mujoco.MjModel) -> np.ndarray:
    """Return the joints (12,) of the key frame ``home``, rad."""
    return np.array(model.key("home").qpos[7:])
