"""Points of a motion in absolute time, a quintic from each to the next."""

import math

import numpy as np

from ddpm_controller.control.moving.interpolation import Motion, Quintic

_FIRST_CAPACITY = 64


def in_nanoseconds(moment_s: float) -> float:
    """Return a moment as a message of whole nanoseconds gives it back.

    The system clock is coarser than that as a float, and stays as it is.
    """
    whole = math.floor(moment_s)
    return whole + round((moment_s - whole) * 1e9) * 1e-9


class Path:
    """Grows at its end and is forgotten at its beginning.

    Args:
        num_joints: Da.
    """

    def __init__(self, num_joints: int) -> None:
        self._times_s = np.empty(_FIRST_CAPACITY)
        self._motions = np.empty((_FIRST_CAPACITY, 3, num_joints))
        self._first = self._end = 0

    def __len__(self) -> int:
        return self._end - self._first

    @property
    def times_s(self) -> np.ndarray:
        """(N,) moments, a view that the next change makes invalid."""
        return self._times_s[self._first : self._end]

    @property
    def motions(self) -> np.ndarray:
        """(N, 3, Da) position, velocity and acceleration, a view likewise."""
        return self._motions[self._first : self._end]

    @property
    def last(self) -> Motion:
        """Motion of the last point, a copy."""
        return _motion(self._motions[self._end - 1].copy())

    @property
    def begin_s(self) -> float:
        """Moment of the first point."""
        return float(self._times_s[self._first])

    @property
    def end_s(self) -> float:
        """Moment of the last point."""
        return float(self._times_s[self._end - 1])

    def append(self, moment_s: float, motion: Motion) -> None:
        """Add a point behind the last one."""
        if self._end == len(self._times_s):
            self._make_room()
        self._times_s[self._end] = moment_s
        rows = self._motions[self._end]
        rows[0], rows[1], rows[2] = motion.position, motion.velocity, motion.acceleration
        self._end += 1

    def forget(self, moment_s: float) -> None:
        """Drop the points that only count before ``moment_s``."""
        while self._end - self._first > 1 and self._times_s[self._first + 1] <= moment_s:
            self._first += 1

    def cut(self, moment_s: float) -> None:
        """Drop the points behind ``moment_s``."""
        while self._end > self._first and self._times_s[self._end - 1] > moment_s:
            self._end -= 1

    def clear(self) -> None:
        """Drop all points."""
        self._first = self._end = 0

    def shift(self, by_s: float) -> None:
        """Move all points in time."""
        self.times_s[:] += by_s

    def at(self, moment_s: float) -> Motion:
        """Return the motion at ``moment_s``; rest before the first point and behind the last."""
        times_s, motions = self.times_s, self.motions
        i = int(np.searchsorted(times_s, moment_s, side="right"))
        if i == len(times_s) and moment_s == times_s[-1]:
            return self.last
        if i == 0 or i == len(times_s):
            return Motion.rest(motions[max(i - 1, 0), 0].copy())
        duration_s = float(times_s[i] - times_s[i - 1])
        segment = Quintic(_motion(motions[i - 1]), _motion(motions[i]), duration_s)
        return segment.at(float(moment_s - times_s[i - 1]))

    def _make_room(self) -> None:
        kept = len(self)
        size = max(2 * kept, _FIRST_CAPACITY)
        times_s, motions = self.times_s, self.motions
        self._times_s = np.empty(size)
        self._motions = np.empty((size, *motions.shape[1:]))
        self._times_s[:kept], self._motions[:kept] = times_s, motions
        self._first, self._end = 0, kept


def _motion(rows: np.ndarray) -> Motion:
    return Motion(rows[0], rows[1], rows[2])
