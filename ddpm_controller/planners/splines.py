"""Splines through knots as matrices: what a plan is at its ticks is linear in its knots."""

from typing import Literal

import numpy as np

Spline = Literal["zero", "linear", "quadratic", "cubic"]
DEGREES = {"zero": 0, "linear": 1, "quadratic": 2, "cubic": 3}


def spline_matrix(knots: np.ndarray, places: np.ndarray, degree: int) -> np.ndarray:
    """Return B (H, K): ``B @ values`` is the interpolating spline at ``places``.

    With as many conditions as knots: of an odd degree the pieces meet at knots, all but the
    outermost ones (not-a-knot); of an even one between two knots, as FITPACK places them.
    Degree 0 holds each knot until the next one.

    Args:
        knots: (K,) ascending, more than ``degree``.
        places: (H,), where it is evaluated.
        degree: From 0 to 3.

    Raises:
        ValueError: There are too few knots.
    """
    if len(knots) <= degree:
        raise ValueError(
            f"a spline of degree {degree} needs at least {degree + 1} knots, got {len(knots)}"
        )
    if degree == 0:
        held = np.searchsorted(knots, places + 1e-9, side="right") - 1
        return np.eye(len(knots))[held.clip(0)]
    begin, width = knots[0], knots[-1] - knots[0]
    meeting = (_meeting(knots, degree) - begin) / width
    basis = _basis((places - begin) / width, meeting, degree)
    through = _basis((knots - begin) / width, meeting, degree)
    found: np.ndarray = np.linalg.solve(through.T, basis.T).T
    return found


def _meeting(knots: np.ndarray, degree: int) -> np.ndarray:
    """Return where the pieces of a spline meet, (K - degree - 1,)."""
    between = knots if degree % 2 else (knots[1:] + knots[:-1]) / 2
    skipped = (degree + 1) // 2 if degree % 2 else degree // 2
    return between[skipped:-skipped]


def _basis(places: np.ndarray, meeting: np.ndarray, degree: int) -> np.ndarray:
    """Return powers and truncated powers at places, (H, K)."""
    powers = places[:, None] ** np.arange(degree + 1)
    behind = np.maximum(places[:, None] - meeting, 0.0) ** degree
    return np.concatenate([powers, behind], axis=1)
