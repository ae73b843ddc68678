"""The simulated arm as one table: joints, limits and link offsets, for MJCF and URDF alike.

At zero the upper arm points up, the forearm forward (x) and the hand down, and every joint
frame is parallel to the base frame, so that a joint is an offset and an axis and nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class JointSpec:
    """One joint of the chain.

    Attributes:
        name: Joint name; its child body is called ``<name>_link``.
        unit: ``rad`` (hinge) or ``m`` (slide).
        offset: Of the joint frame in the parent link, m.
        axis: Unit vector in the joint frame.
        lower: Smallest position.
        upper: Largest position.
        velocity: Largest speed, per second.
        effort: Largest torque (N m) or force (N).
        stiffness: Of the position servo, effort per position.
    """

    name: str
    unit: str
    offset: tuple[float, float, float]
    axis: tuple[int, int, int]
    lower: float
    upper: float
    velocity: float
    effort: float
    stiffness: float

    def __post_init__(self) -> None:
        if not self.lower < self.upper:
            raise ValueError(
                f"joint {self.name!r}: lower {self.lower} must be below upper {self.upper}"
            )
        if self.unit not in ("rad", "m"):
            raise ValueError(f"joint {self.name!r}: unit must be 'rad' or 'm', got {self.unit!r}")


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

SERVO_LAG_S = 0.03
"""Time constant of the first-order lag from a command to the servo's set point."""


@dataclass(frozen=True)
class JointRange:
    """Limits of all joints as arrays, each (D,), rad and m, rad/s and m/s."""

    lower: np.ndarray
    upper: np.ndarray
    velocity: np.ndarray


def joint_range(joints: Sequence[JointSpec] = JOINTS) -> JointRange:
    """Return the limits of ``joints`` in their order."""
    return JointRange(
        lower=np.array([joint.lower for joint in joints]),
        upper=np.array([joint.upper for joint in joints]),
        velocity=np.array([joint.velocity for joint in joints]),
    )
