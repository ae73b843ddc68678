"""The arm with a stick as MJCF and as URDF: one table of joints for both."""

from xml.etree import ElementTree

from ddpm_controller.simulation.camera import CameraSpec
from ddpm_controller.simulation.mjcf import (
    BRIGHT,
    DARK,
    LIGHT,
    VISUAL,
    attribute,
    joint_element,
    servo,
)
from ddpm_controller.simulation.stick.stick_arm import (
    BALL_M,
    FORE_M,
    STICK_JOINTS,
    TIP_OFFSET,
    UPPER_M,
)
from ddpm_controller.simulation.urdf import (
    add_camera,
    add_chain,
    add_link,
    connect,
    urdf_text,
)

STICK_CAMERAS = (
    # Beside the arm and above: ball, drum, tabs and lamps are all in the picture.
    CameraSpec("camera_front", "world", (1.05, -0.35, 0.62), (0.38, 0.0, 0.10), (0, 0, 1), 0.72),
)

_MJCF_SHAPES = {
    "pan": f'<geom type="cylinder" size="0.04 0.07" pos="0 0 0.07" rgba="{DARK}"/>',
    "shoulder": f'<geom type="capsule" size="0.025" fromto="0 0 0 0 0 {UPPER_M}" mass="0.3"/>',
    "elbow": (
        f'<geom type="capsule" size="0.008" fromto="0 0 0 {FORE_M} 0 0" mass="0.1"/>'
        f'<geom name="ball" class="hard" type="sphere" size="{BALL_M}" mass="0.05" '
        f'pos="{attribute(TIP_OFFSET)}" rgba="0.95 0.55 0.05 1"/>'
        f'<site name="tip" pos="{attribute(TIP_OFFSET)}" size="0.005" rgba="0 0 0 0"/>'
    ),
}
# (shape, attributes, place) per link, for a viewer; physics lives in the MJCF.
_URDF_SHAPES: dict[str, tuple[str, dict[str, str], str]] = {
    "base_link": ("cylinder", {"radius": "0.06", "length": "0.1"}, "0 0 0.05"),
    "pan_link": ("cylinder", {"radius": "0.04", "length": "0.14"}, "0 0 0.07"),
    "shoulder_link": ("box", {"size": f"0.05 0.05 {UPPER_M}"}, f"0 0 {UPPER_M / 2}"),
    "elbow_link": ("box", {"size": f"{FORE_M} 0.016 0.016"}, f"{FORE_M / 2} 0 0"),
    "tip": ("sphere", {"radius": f"{BALL_M}"}, "0 0 0"),
}


def stick_mjcf(objects: str, extra: str = "") -> str:
    """Return a complete MJCF document: the arm, a table whose top is z = 0, cameras.

    Few bodies and frictionless contacts, since a roll-out is to cost little. Only geoms of the
    classes ``hard`` (the ball) and ``thing`` touch each other.

    Args:
        objects: Bodies of the task.
        extra: Further sections, such as sensors.
    """
    cameras = "".join(camera.mjcf() for camera in STICK_CAMERAS)
    return f"""
<mujoco model="stick_arm">
  <compiler angle="degree" autolimits="true"/>
  <option timestep="0.005" integrator="implicitfast"/>
  <size memory="1M"/>
{VISUAL}
  <default>
    <joint armature="0.02" damping="0.2"/>
    <geom contype="0" conaffinity="0" condim="1" solref="0.01 1" mass="0.1" rgba="{BRIGHT}"/>
    <default class="hard"><geom contype="1" conaffinity="2"/></default>
    <default class="thing"><geom contype="2" conaffinity="1"/></default>
  </default>
  <worldbody>
{LIGHT}
    <geom type="box" size="0.9 0.9 0.05" pos="0.3 0 -0.05" rgba="0.13 0.13 0.15 1"/>
    <geom type="cylinder" size="0.06 0.05" pos="0 0 0.05" rgba="{DARK}"/>
    {cameras}
    {_chain(0)}
    {objects}
  </worldbody>
  <actuator>{"".join(servo(joint) for joint in STICK_JOINTS)}</actuator>
  {extra}
</mujoco>"""


def stick_description() -> str:
    """Return the URDF text, with limits for every joint and a frame for every camera."""
    robot = ElementTree.Element("robot", name="stick_arm")
    for link, shape in _URDF_SHAPES.items():
        add_link(robot, link, *shape)
    parent = add_chain(robot, STICK_JOINTS)
    connect(robot, "tip_joint", "fixed", parent, "tip", TIP_OFFSET)
    for camera in STICK_CAMERAS:
        add_camera(robot, camera)
    return urdf_text(robot)


def _chain(index: int) -> str:
    """Return the body of joint ``index`` with everything that hangs on it."""
    if index == len(STICK_JOINTS):
        return ""
    joint = STICK_JOINTS[index]
    return (
        f'<body name="{joint.name}_link" pos="{attribute(joint.offset)}" gravcomp="1">'
        f"{joint_element(joint.name, joint, joint.axis)}{_MJCF_SHAPES[joint.name]}"
        f"{_chain(index + 1)}</body>"
    )
