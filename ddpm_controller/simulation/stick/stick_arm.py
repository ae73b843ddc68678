"""A small arm with a stick that ends in a ball: joints, limits, and the joints for a place.

A place is (angle, radius, height) of the ball's centre: about the arm's vertical axis in rad,
from it in m, above the table in m. At zero the upper arm points up and the stick forward.
"""

import numpy as np

from ddpm_controller.simulation.joints import JointSpec

UPPER_M, FORE_M = 0.30, 0.30
SHOULDER_M = 0.25
"""Height of the shoulder above the table."""
BALL_M = 0.015
"""Radius of the ball."""
STICK_JOINTS = (
    JointSpec("pan", "rad", (0.0, 0.0, 0.10), (0, 0, 1), -1.4, 1.4, 6.0, 40.0, 100.0),
    JointSpec("shoulder", "rad", (0.0, 0.0, 0.15), (0, 1, 0), -0.4, 1.8, 6.0, 40.0, 100.0),
    JointSpec("elbow", "rad", (0.0, 0.0, UPPER_M), (0, 1, 0), -1.6, 1.6, 6.0, 30.0, 60.0),
)
"""Base to tip."""
STICK_NAMES = tuple(joint.name for joint in STICK_JOINTS)
PUBLISHED_STICK_NAMES = ("elbow", "pan", "shoulder")
"""Order in which the arm's driver reports its joints: another one on purpose, as drivers do."""
TIP_OFFSET = (FORE_M, 0.0, 0.0)
"""Of the ball's centre in ``elbow_link``, m."""


def place_of(joints: np.ndarray) -> np.ndarray:
    """Return the place (3,) of the ball for joints (3,)."""
    pan, shoulder, elbow = joints
    stick = shoulder + elbow  # downwards from the horizontal
    radius = UPPER_M * np.sin(shoulder) + FORE_M * np.cos(stick)
    height = SHOULDER_M + UPPER_M * np.cos(shoulder) - FORE_M * np.sin(stick)
    return np.array([pan, radius, height])


def joints_for(place: np.ndarray) -> np.ndarray:
    """Return the joints (3,) that put the ball at a place (3,), elbow up.

    The law of cosines for both links; a place out of reach gives the stretched arm towards it.
    """
    angle, radius, height = place
    rise = height - SHOULDER_M
    distance = np.hypot(radius, rise)
    cosine = (UPPER_M**2 + distance**2 - FORE_M**2) / (2 * UPPER_M * distance)
    elevation = np.arctan2(rise, radius) + np.arccos(np.clip(cosine, -1.0, 1.0))
    fall = UPPER_M * np.sin(elevation) - rise
    stick = np.arctan2(fall, radius - UPPER_M * np.cos(elevation))
    shoulder = np.pi / 2 - elevation
    return np.array([angle, shoulder, stick - shoulder])
