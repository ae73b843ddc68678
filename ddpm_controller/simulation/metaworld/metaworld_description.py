"""The hand of MetaWorld as a URDF: three prismatic joints in the frame of its table, a gripper.

Its arm only carries the hand, which points down and is led by its place; see MetaWorld's paper,
Yu et al. 2019.
"""

from xml.etree import ElementTree

from ddpm_controller.simulation.joints import JointSpec
from ddpm_controller.simulation.urdf import add_chain, add_link, urdf_text

OPEN_M = 0.1
"""Between the fingers of an open hand; what MetaWorld calls 1."""
_SPEED_M_S = 0.8
"""0.01 m in each of the 80 steps of a second: MetaWorld's largest action."""
HAND_JOINTS = (
    JointSpec("hand_x", "m", (0.0, 0.0, 0.0), (1, 0, 0), -0.5, 0.5, _SPEED_M_S, 100.0, 0.0),
    JointSpec("hand_y", "m", (0.0, 0.0, 0.0), (0, 1, 0), 0.4, 1.0, _SPEED_M_S, 100.0, 0.0),
    JointSpec("hand_z", "m", (0.0, 0.0, 0.0), (0, 0, 1), 0.05, 0.5, _SPEED_M_S, 100.0, 0.0),
    JointSpec("gripper", "m", (0.0, 0.0, 0.0), (1, 0, 0), 0.0, OPEN_M, 1.0, 400.0, 0.0),
)
"""Right, away from the robot, up, and the distance of the fingers; limits as published."""
HAND_NAMES = tuple(joint.name for joint in HAND_JOINTS)

_SHAPES: dict[str, tuple[str, dict[str, str], str]] = {
    "base_link": ("box", {"size": "0.1 0.1 0.02"}, "0 0 -0.01"),
    "hand_x_link": ("sphere", {"radius": "0.005"}, "0 0 0"),
    "hand_y_link": ("sphere", {"radius": "0.005"}, "0 0 0"),
    "hand_z_link": ("box", {"size": "0.06 0.12 0.05"}, "0 0 0.06"),
    "gripper_link": ("box", {"size": "0.02 0.015 0.06"}, "0 0 0"),
}


def metaworld_description() -> str:
    """Return the URDF text, with limits of position and velocity for every joint."""
    robot = ElementTree.Element("robot", name="metaworld_hand")
    for link, shape in _SHAPES.items():
        add_link(robot, link, *shape)
    add_chain(robot, HAND_JOINTS)
    return urdf_text(robot)
