"""The MJCF of table, arm, cameras and objects, built as text from the joint table."""

from ddpm_controller.simulation.arm.arm import JOINTS, TIP_OFFSET
from ddpm_controller.simulation.arm.cameras import CAMERAS
from ddpm_controller.simulation.joints import JointSpec
from ddpm_controller.simulation.mjcf import (
    BRIGHT,
    DARK,
    LIGHT,
    VISUAL,
    attribute,
    joint_element,
    servo,
)

_ARM = 'class="arm"'

# What each link looks like, in its own frame; lengths follow the offsets in the joint table.
_SHAPES = {
    "shoulder_pan": (
        f'<geom {_ARM} type="cylinder" size="0.05 0.05" pos="0 0 0.05" rgba="{DARK}"/>'
    ),
    "shoulder_lift": (
        f'<geom {_ARM} type="capsule" size="0.035" fromto="0 0 0 0 0 0.30" mass="1.2"/>'
        f'<geom {_ARM} type="cylinder" size="0.045 0.05" euler="90 0 0" rgba="{DARK}"/>'
    ),
    "elbow": (
        f'<geom {_ARM} type="capsule" size="0.03" fromto="0 0 0 0.30 0 0" mass="0.9"/>'
        f'<geom {_ARM} type="cylinder" size="0.04 0.045" euler="90 0 0" rgba="{DARK}"/>'
    ),
    "wrist_pitch": (
        f'<geom {_ARM} type="cylinder" size="0.033 0.038" euler="90 0 0" rgba="{DARK}"/>'
    ),
    "wrist_yaw": f'<geom {_ARM} type="sphere" size="0.03" mass="0.3"/>',
    "wrist_roll": (
        f'<geom {_ARM} type="cylinder" size="0.025 0.02" pos="0 0 -0.02"/>'
        '<geom name="palm" class="finger" type="box" size="0.02 0.06 0.012" pos="0 0 -0.06" '
        f'mass="0.2" rgba="{DARK}"/>'
        f'<site name="tip" pos="{" ".join(map(str, TIP_OFFSET))}" size="0.005" rgba="0 0 0 0"/>'
    ),
}
_FINGER = (
    '<geom name="{name}" class="finger" type="box" size="0.011 0.005 0.036" '
    'pos="0 {side} -0.034" mass="0.06"/>'
)


def scene_mjcf(objects: str) -> str:
    """Return a complete MJCF document.

    Args:
        objects: Bodies of the task, added to the table.

    Returns:
        The arm at the origin of a table whose top is z = 0, with cameras and servos.
    """
    cameras = "".join(camera.mjcf() for camera in CAMERAS if camera.body == "world")
    return f"""
<mujoco model="sim_arm">
  <compiler angle="degree" autolimits="true"/>
  <option timestep="0.004" integrator="implicitfast" cone="elliptic" impratio="10"/>
  <size memory="4M"/>
{VISUAL}
  <default>
    <joint armature="0.08" damping="1.0"/>
    <default class="arm">
      <geom contype="0" conaffinity="0" rgba="{BRIGHT}" mass="0.5"/>
    </default>
    <default class="finger">
      <geom contype="1" conaffinity="2" rgba="{BRIGHT}" friction="1.6 0.02 0.001" condim="4"/>
    </default>
    <default class="thing">
      <geom contype="2" conaffinity="3" friction="1.0 0.02 0.001" condim="4"/>
    </default>
  </default>
  <worldbody>
{LIGHT}
    <geom name="table" type="box" size="0.9 0.9 0.05" pos="0.3 0 -0.05" contype="2"
      conaffinity="3" rgba="0.13 0.13 0.15 1"/>
    <geom {_ARM} type="cylinder" size="0.07 0.05" pos="0 0 0.05" rgba="{DARK}"/>
    {cameras}
    {_chain(0)}
    {objects}
  </worldbody>
  <equality>
    <joint joint1="gripper_mirror" joint2="gripper" polycoef="0 1 0 0 0" solref="0.008 1"/>
  </equality>
  <actuator>{"".join(servo(joint) for joint in JOINTS)}</actuator>
</mujoco>"""


def _chain(index: int) -> str:
    """Return the body of joint ``index`` with everything that hangs on it."""
    joint = JOINTS[index]
    if joint.unit == "m":
        return _fingers(joint)
    cameras = "".join(camera.mjcf() for camera in CAMERAS if camera.body == f"{joint.name}_link")
    return (
        f'<body name="{joint.name}_link" pos="{attribute(joint.offset)}" gravcomp="1">'
        f"{joint_element(joint.name, joint, joint.axis)}{_SHAPES[joint.name]}{cameras}"
        f"{_chain(index + 1)}</body>"
    )


def _fingers(joint: JointSpec) -> str:
    mirrored = tuple(-number for number in joint.axis)
    small = 'armature="0.05" damping="4"'
    return "".join(
        f'<body name="{body}" pos="{attribute(joint.offset)}" gravcomp="1">'
        f"{joint_element(name, joint, axis, small)}{_FINGER.format(name=body, side=side)}</body>"
        for name, body, axis, side in (
            (joint.name, f"{joint.name}_link", joint.axis, 0.005),
            (f"{joint.name}_mirror", f"{joint.name}_mirror_link", mirrored, -0.005),
        )
    )
