"""Orientations as unit quaternions (x, y, z, w), and the forms of them that a policy sees.

A quaternion and its negative are one orientation, and drivers change from one to the other as
they like. Plain numbers: a row of four is too short for numpy to be faster.
"""

import math
from collections.abc import Sequence

Quaternion = tuple[float, float, float, float]
Vector = tuple[float, float, float]

IDENTITY: Quaternion = (0.0, 0.0, 0.0, 1.0)
_NORM_TOLERANCE = 0.1
"""Rounding, or a mean of two; more is something else than an orientation."""
_SMALL = 1e-8
NEAR_HALF_A_TURN = math.cos(math.radians(85.0))
"""Cosine of half the angle from a reference, 170 degrees, from which a sign may flip."""
SIX_NAMES = ("r11", "r21", "r31", "r12", "r22", "r32")
"""First two columns of the rotation matrix; the third follows from them."""


class RotationError(ValueError):
    """Four numbers that are no orientation, or one whose components would jump."""


def normalized(given: Sequence[float]) -> Quaternion:
    """Return the orientation of four numbers.

    Raises:
        RotationError: They are all 0, as in a message that was not filled in, or far from norm 1.
    """
    x, y, z, w = map(float, given)
    norm = math.sqrt(x * x + y * y + z * z + w * w)
    if not abs(norm - 1.0) <= _NORM_TOLERANCE:
        shown = f"[{x:g}, {y:g}, {z:g}, {w:g}]"
        why = "which was not filled in" if norm == 0 else f"with norm {norm:.3g}, not 1"
        raise RotationError(f"quaternion {shown}, {why}")
    return x / norm, y / norm, z / norm, w / norm


def product(a: Quaternion, b: Quaternion) -> Quaternion:
    """Return the rotation ``b`` followed by ``a``."""
    ax, ay, az, aw = a
    bx, by, bz, bw = b
    return (
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
        aw * bw - ax * bx - ay * by - az * bz,
    )


def inverse(q: Quaternion) -> Quaternion:
    """Return the rotation back."""
    return -q[0], -q[1], -q[2], q[3]


def rotated(q: Quaternion, v: Vector) -> Vector:
    """Return a vector after a rotation."""
    x, y, z, _ = product(product(q, (*v, 0.0)), inverse(q))
    return x, y, z


def between(a: Quaternion, b: Quaternion, share: float) -> Quaternion:
    """Return the rotation at ``share`` of the way from ``a`` to ``b``, the shorter way round."""
    cosine = sum(i * j for i, j in zip(a, b, strict=True))
    sign = -1.0 if cosine < 0 else 1.0
    angle = math.acos(min(abs(cosine), 1.0))
    if angle < 1e-6:  # a straight line is the same there
        first, second = 1.0 - share, share
    else:
        first = math.sin((1.0 - share) * angle) / math.sin(angle)
        second = math.sin(share * angle) / math.sin(angle)
    return normalized([first * i + sign * second * j for i, j in zip(a, b, strict=True)])


def six_numbers(q: Quaternion) -> tuple[float, ...]:
    """Return the rotation as ``SIX_NAMES``: the same for both signs, without a jump anywhere.

    Zhou et al. 2019, Sec. 4.2: no form of fewer numbers than five is continuous.
    """
    x, y, z, w = q
    return (
        1.0 - 2.0 * (y * y + z * z),
        2.0 * (x * y + z * w),
        2.0 * (x * z - y * w),
        2.0 * (x * y - z * w),
        1.0 - 2.0 * (x * x + z * z),
        2.0 * (y * z + x * w),
    )


def rotation_vector(reference: Quaternion, q: Quaternion) -> Vector:
    """Return the rotation from ``reference`` to ``q``, rad about each axis of the fixed frame.

    Raises:
        RotationError: It is nearly half a turn, where the vector jumps to its opposite.
    """
    x, y, z, w = product(on_the_side_of(reference, q), inverse(reference))
    sine = math.sqrt(x * x + y * y + z * z)
    scale = 2.0 if sine < _SMALL else 2.0 * math.atan2(sine, w) / sine
    return scale * x, scale * y, scale * z


def on_the_side_of(reference: Quaternion, q: Quaternion) -> Quaternion:
    """Return ``q`` or its negative, whichever is nearer to ``reference``.

    Raises:
        RotationError: It is nearly half a turn from there, where the nearer one changes.
    """
    cosine = sum(i * j for i, j in zip(reference, q, strict=True))
    if abs(cosine) < NEAR_HALF_A_TURN:
        degrees = math.degrees(2.0 * math.acos(min(abs(cosine), 1.0)))
        raise RotationError(
            f"it is {degrees:.0f} degrees from the reference {_shown(reference)}, where its "
            "components and its rotation vector jump: observe all of the orientation, which has "
            f"six numbers and no jump, or set reference near the middle of the motion, as here "
            f"{_shown(q)}"
        )
    return q if cosine > 0 else (-q[0], -q[1], -q[2], -q[3])


def _shown(q: Quaternion) -> str:
    return f"[{', '.join(f'{each:.3f}' for each in q)}]"
