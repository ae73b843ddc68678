"""How much of its place the T of PushT covers: the score of the task."""

from functools import cache
from typing import Any

import numpy as np

from ddpm_controller.simulation.pusht.pusht_block import block_corners

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


@cache
def _outline(pose: tuple[float, float, float]) -> Any:
    return _polygon(block_corners(*pose))


def _polygon(corners: np.ndarray) -> Any:
    # Imported here: it comes with the extra `pusht`.
    from shapely.geometry import Polygon

    return Polygon(corners.reshape(8, 2))
