"""The simulated arm as one table: joints, limits and link offsets, for MJCF and URDF alike.

At zero the upper arm points up, the forearm forward (x) and the hand down, and every joint
frame is parallel to the base frame, so that a joint is an offset and an axis and nothing else.
"""

from ddpm_controller.simulation.joints import JointRange, JointSpec

JOINTS = (
    JointSpec("shoulder_pan", "rad", (0.0, 0.0, 0.10), (0, 0, 1), -2.2, 2.2, 2.5, 90.0, 300.0),
    JointSpec("shoulder_lift", "rad", (0.0, 0.0, 0.10), (0, 1, 0), -1.4, 1.9, 2.5, 90.0, 300.0),
    JointSpec("elbow", "rad", (0.0, 0.0, 0.30), (0, 1, 0), -1.5, 2.0, 2.5, 90.0, 300.0),
    JointSpec("wrist_pitch", "rad", (0.30, 0.0, 0.0), (0, 1, 0), -2.2, 2.2, 3.5, 40.0, 120.0),
    JointSpec("wrist_yaw", "rad", (0.0, 0.0, -0.05), (1, 0, 0), -1.2, 1.2, 3.5, 40.0, 120.0),
    JointSpec("wrist_roll", "rad", (0.0, 0.0, -0.03), (0, 0, 1), -2.8, 2.8, 3.5, 20.0, 40.0),
    JointSpec("gripper", "m", (0.0, 0.0, -0.08), (0, 1, 0), 0.0, 0.05, 0.25, 25.0, 1200.0),
)
"""Base to tip. ``gripper`` is half the distance between the fingers; the other one mirrors it."""

JOINT_NAMES = tuple(joint.name for joint in JOINTS)
JOINT_UNITS = tuple(joint.unit for joint in JOINTS)
PUBLISHED_JOINT_NAMES = (
    *("wrist_yaw", "gripper", "shoulder_lift", "wrist_roll"),
    *("shoulder_pan", "elbow", "wrist_pitch"),
)
"""Order in which the arm's driver reports its joints: another one on purpose, as drivers do."""

NUM_ARM_JOINTS = 6
TIP_OFFSET = (0.0, 0.0, -0.14)
"""Of the point between the finger tips in ``wrist_roll_link``, m."""
HOME = (0.0, 0.15, 0.1, -0.25, 0.0, 0.0)
"""Joints near the beginning of an episode, near enough for the inverse kinematics, rad."""
HOME_TIP = (0.30, 0.0, 0.25)
"""Mean place of the tip at the beginning of an episode, hand straight down, m."""
HOME_OPENING = 0.02
"""Mean position of the gripper there, m."""


def joint_range() -> JointRange:
    """Return the limits of ``JOINTS`` in their order."""
    return JointRange.of(JOINTS)
