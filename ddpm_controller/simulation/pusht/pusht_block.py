"""The T of PushT: its corners, wherever it lies. No simulator.

Lengths are metres at one millimetre per pixel of the published task (Florence et al. 2021, Chi et
al. 2023): the board is 0.512 m wide. x points right and y down in the picture.
"""

from functools import cache
from typing import Any

import numpy as np

GOAL_POSE = (0.256, 0.256, np.pi / 4)
"""Where the T belongs: x, y, m, and angle, rad, as published."""


def goal_coverage(corners: np.ndarray) -> float:
    """Return the part of the goal that a T with these ``corners``, (16,), m, covers; 0 to 1.

    The published number up to rounding. gym-pusht's own sums over the two halves of the T in the
    order of a Python set, so that its last digit changes from object to object; over the outline
    it is the same each time.
    """
    goal = _outline(GOAL_POSE)
    return float(goal.intersection(_polygon(corners)).area / goal.area)


def goal_distance(corners: np.ndarray) -> float:
    """Return the mean distance of ``corners``, (16,), from where they belong, m."""
    away = (corners - block_corners(*GOAL_POSE)).reshape(8, 2)
    return float(np.linalg.norm(away, axis=1).mean())


@cache
def _outline(pose: tuple[float, float, float]) -> Any:
    return _polygon(block_corners(*pose))


def _polygon(corners: np.ndarray) -> Any:
    # Imported here: it comes with the extra `pusht`.
    from shapely.geometry import Polygon

    return Polygon(corners.reshape(8, 2))


METRES_PER_PIXEL = 1e-3
PUSHER_NAMES = ("pusher_x", "pusher_y")
"""The joints of the pusher."""
CORNERS = (
    np.array(
        [(-60, 0), (60, 0), (60, 30), (15, 30), (15, 120), (-15, 120), (-15, 30), (-60, 30)], float
    )
    * METRES_PER_PIXEL
)
"""(8, 2) outline of the T in its own frame, m, in order around it."""
CORNER_NAMES = tuple(f"corner{number}_{axis}" for number in range(8) for axis in "xy")
"""Names of the 16 numbers of ``block_corners``, in their order."""


def block_corners(x: float, y: float, angle: float) -> np.ndarray:
    """Return the corners of a T whose frame lies at (x, y), m, turned by ``angle``, rad; (16,).

    The corners and not the angle are what a policy sees: they do not jump at a full turn.
    """
    cosine, sine = np.cos(angle), np.sin(angle)
    turned = CORNERS @ np.array([[cosine, sine], [-sine, cosine]])
    return (turned + np.array([x, y])).ravel()
