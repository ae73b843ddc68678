"""Pieces of an MJCF document that every simulated arm has: looks, joints and servos."""

import math

from ddpm_controller.simulation.joints import JointSpec

SERVO_LAG_S = 0.03
"""Time constant of the first-order lag from a command to the servo's set point."""
BRIGHT = "0.86 0.86 0.88 1"
DARK = "0.32 0.33 0.36 1"
"""Colours of the parts of a simulated arm."""
VISUAL = """\
  <visual>
    <global offwidth="96" offheight="96"/>
    <quality shadowsize="0" offsamples="0"/>
    <headlight ambient="0.45 0.45 0.45" diffuse="0.35 0.35 0.35" specular="0 0 0"/>
    <map znear="0.02" zfar="10"/>
  </visual>"""
"""Pictures of 96 x 96 pixels without shadows."""
LIGHT = """\
    <light directional="true" castshadow="false" pos="0.6 0.4 2" dir="-0.2 -0.2 -1"
      diffuse="0.35 0.35 0.35" specular="0 0 0"/>"""


def joint_element(name: str, joint: JointSpec, axis: tuple[int, ...], more: str = "") -> str:
    """Return the joint of a body, with its range."""
    degrees = 180.0 / math.pi if joint.unit == "rad" else 1.0
    return (
        f'<joint name="{name}" type="{"hinge" if joint.unit == "rad" else "slide"}" '
        f'axis="{attribute(axis)}" '
        f'range="{joint.lower * degrees} {joint.upper * degrees}" {more}/>'
    )


def servo(joint: JointSpec) -> str:
    """Return the position servo of a joint: critically damped, behind a first-order lag."""
    return (
        f'<position name="{joint.name}" joint="{joint.name}" kp="{joint.stiffness}" '
        f'dampratio="1" timeconst="{SERVO_LAG_S}" forcerange="{-joint.effort} {joint.effort}"/>'
    )


def attribute(numbers: tuple[float, ...]) -> str:
    """Return numbers as the text of an attribute."""
    return " ".join(str(number) for number in numbers)
