"""Orientations as rotation vectors about a reference, and back.

A rotation vector r turns by |r| rad about the axis r / |r| of the fixed frame: the orientation is
exp(r) after the reference. It has no double cover as a quaternion and no lock as Euler angles, as
long as the robot stays within half a turn of its reference.
"""

import math

import numpy as np

_SMALL = 1e-8


def rotation_vector_from(quaternion: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return the rotation vector (3,), rad, of ``quaternion`` (x, y, z, w); at most half a turn.

    Raises:
        ValueError: The quaternion is not finite or has no length.
    """
    turn = _product(_unit(quaternion), _conjugate(_unit(reference)))
    turn = -turn if turn[3] < 0 else turn  # both are the same orientation
    sine = float(np.linalg.norm(turn[:3]))
    angle = 2 * math.atan2(sine, float(turn[3]))
    scale = 2.0 if sine < _SMALL else angle / sine
    found: np.ndarray = scale * turn[:3]
    return found


def quaternion_from(vector: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return the orientation (x, y, z, w) of a rotation vector (3,), rad."""
    angle = float(np.linalg.norm(vector))
    scale = 0.5 if angle < _SMALL else math.sin(angle / 2) / angle
    turn = np.append(scale * np.asarray(vector), math.cos(angle / 2))
    return _unit(_product(turn, _unit(reference)))


def _unit(quaternion: np.ndarray) -> np.ndarray:
    length = float(np.linalg.norm(quaternion))
    if not math.isfinite(length) or length < _SMALL:
        raise ValueError(f"an orientation needs a quaternion of length 1, got {list(quaternion)}")
    return np.asarray(quaternion, dtype=np.float64) / length


def _conjugate(quaternion: np.ndarray) -> np.ndarray:
    return quaternion * np.array([-1.0, -1.0, -1.0, 1.0])


def _product(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the Hamilton product: the turn ``second``, then ``first``."""
    a, b = first[:3], second[:3]
    vector = first[3] * b + second[3] * a + np.cross(a, b)
    return np.append(vector, first[3] * second[3] - a @ b)
