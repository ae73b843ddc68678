"""What is within limits is seen at once: a few sums for all joints together, and no solver.

A motion passes where the quintic to it keeps every limit, by the coefficients of its derivatives
as Bernstein polynomials, whose hull they do not leave, and where a stop behind it, bounded by its
highest speed times its longest duration, ends inside the positions. Both are sufficient: then the
fastest way reaches the motion in time too, and nothing is left to decide.
"""

import numpy as np

from ddpm_controller.control.moving.braking import stop_bounds
from ddpm_controller.control.moving.interpolation import Motion
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.control.moving.step_limit import Bounds

_MARGIN = 1e-9
"""Of a limit: sums of another order round otherwise."""
_NEARLY = 0.99
"""Of the acceleration limit may be requested: as much as a moving frame may have."""

# Of a step d with the velocities v0, v1 and the accelerations a0, a1 at its ends, the time 1.
_P0, _V0, _A0, _P1, _V1, _A1 = np.eye(6)
_D = _P1 - _P0
_JERKS = np.array(
    [
        60 * _D - 36 * _V0 - 24 * _V1 - 9 * _A0 + 3 * _A1,
        -120 * _D + 60 * (_V0 + _V1) + 9 * (_A0 - _A1),
        60 * _D - 24 * _V0 - 36 * _V1 - 3 * _A0 + 9 * _A1,
    ]
)
_ACCELERATIONS = np.array([_A0, _A0 + _JERKS[0] / 3, _A1 - _JERKS[2] / 3, _A1])
_SPEEDS = np.array([_V0, _V0 + _A0 / 4, _V0 + _A0 / 4 + _ACCELERATIONS[1] / 4, _V1 - _A1 / 4, _V1])
# As seen from a frame that moves as the requested motion does, with its acceleration.
_SEEN = _SPEEDS[:-1] - _V1 + np.linspace(1.0, 0.25, 4)[:, None] * _A1
_COEFFICIENTS = np.concatenate([_JERKS, _ACCELERATIONS, _SPEEDS, _SEEN])  # (16, 6)
_ORDERS = np.repeat([3, 2, 1], [len(_JERKS), len(_ACCELERATIONS), len(_SPEEDS)])[:, None]
_LIMITED = len(_ORDERS)
_DERIVATIVES = np.array([[0], [1], [2]] * 2)


class Certificate:
    """Shows of a motion that it may be sent as it is, or nothing.

    Args:
        used: Limits of velocity, acceleration and jerk that are used.
    """

    def __init__(self, used: JointLimits) -> None:
        share = 1 - _MARGIN
        self._lower, self._upper = used.lower, used.upper
        self._velocity = share * used.velocity
        rows = [used.jerk] * 3 + [used.acceleration] * 3
        rows += [_NEARLY * used.acceleration] + [used.velocity] * len(_SPEEDS)
        self._highest = share * np.array(rows)  # (12, Da)
        self._acceleration, self._jerk = used.acceleration, used.jerk

    def holds(self, last: Motion, wish: Motion, passed_s: float, bounds: Bounds | None) -> bool:
        """Return whether ``wish`` may follow ``last`` after ``passed_s``, for all joints.

        Args:
            last: What was sent before.
            wish: Requested now; anything.
            passed_s: Between them, above 0.
            bounds: Positions that the stop behind it keeps too; None: those of the limits.
        """
        rows = np.array(
            [
                last.position,
                last.velocity,
                last.acceleration,
                wish.position,
                wish.velocity,
                wish.acceleration,
            ]
        )
        with np.errstate(all="ignore"):  # any number may be requested
            found = np.abs(_COEFFICIENTS @ (rows * passed_s**_DERIVATIVES))
            if not (found[:_LIMITED] <= self._highest * passed_s**_ORDERS).all():
                return False
        room = (self._velocity - np.abs(wish.velocity)) * passed_s
        if not (found[_LIMITED:] <= room).all():
            return False
        fastest, way = stop_bounds(
            wish.velocity, wish.acceleration, self._acceleration, self._jerk
        )
        if not (fastest <= self._velocity).all():
            return False
        lower, upper = (
            (self._lower, self._upper) if bounds is None else (bounds.lower, bounds.upper)
        )
        position = wish.position
        return bool(((position - way >= lower) & (position + way <= upper)).all())
