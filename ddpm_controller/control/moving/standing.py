"""A stop of a robot that would fall where it stops: to the positions in which it stands.

The joints of a walking robot must not be held where they are in the middle of a step, and the
drives must not be sent zeros: a stop leads all of them to a stand together.
"""

import numpy as np

from ddpm_controller.control.moving.interpolation import Motion, Quintic

AT_ONCE = 0.25
"""Of a period: in this time one chunk fades into the next, so that it counts at the next tick."""
STAND_S = 0.1
"""Longest time in which a stop leads to the stand; in 0.2 s a Go1 at 1.2 m/s often falls."""
_UP_RAD_S = 1.0
"""Pace at which a robot at rest is led to its stand, by the joint with the longest way."""


class StandingStop:
    """From one motion to rest at the stand: a quintic, then rest.

    Args:
        begin_s: The moment.
        begin: Motion that was sent then.
        duration_s: Time until the robot stands, above 0; the governor takes longer where limits
            need that.
        stand: (Da,) positions to end at.
    """

    def __init__(
        self, begin_s: float, begin: Motion, duration_s: float, stand: np.ndarray
    ) -> None:
        self._begin_s, self._rest = begin_s, Motion.rest(stand)
        self._way = Quintic(begin, self._rest, duration_s)

    def at(self, now_s: float) -> Motion:
        """Return the motion at ``now_s``; at rest once the stop is over."""
        passed_s = max(now_s - self._begin_s, 0.0)
        return self._rest if passed_s >= self._way.duration_s else self._way.at(passed_s)


def standing_up_s(position: np.ndarray, stand: np.ndarray) -> float:
    """Return in which time a robot at rest at ``position`` (Da,) is led to its stand, s."""
    return float(np.abs(stand - position).max()) / _UP_RAD_S
