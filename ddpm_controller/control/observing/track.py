"""Positions in time: where joints were led, or where they were measured."""

import math

import numpy as np

_FIRST_CAPACITY = 256


class Track:
    """Grows at its end, in the order of time, and is forgotten at its beginning.

    Args:
        num_joints: Da.
    """

    def __init__(self, num_joints: int) -> None:
        self._stamps_s = np.empty(_FIRST_CAPACITY)
        self._rows = np.empty((_FIRST_CAPACITY, num_joints))
        self._first = self._end = 0

    @property
    def last_s(self) -> float:
        """Moment of the newest position; -inf before the first."""
        return float(self._stamps_s[self._end - 1]) if self._end > self._first else -math.inf

    @property
    def begin_s(self) -> float:
        """Moment of the oldest position; inf before the first."""
        return float(self._stamps_s[self._first]) if self._end > self._first else math.inf

    @property
    def last(self) -> np.ndarray:
        """Newest position (Da,), a copy."""
        row: np.ndarray = self._rows[self._end - 1]
        return row.copy()

    def clear(self) -> None:
        """Forget all."""
        self._first = self._end = 0

    def note(self, stamp_s: float, row: np.ndarray) -> None:
        """Add a position (Da,); it replaces those of the same moment and behind it."""
        while self._end > self._first and self._stamps_s[self._end - 1] >= stamp_s:
            self._end -= 1
        if self._end == len(self._stamps_s):
            self._make_room()
        self._stamps_s[self._end], self._rows[self._end] = stamp_s, row
        self._end += 1

    def forget(self, before_s: float) -> None:
        """Drop what does not count at ``before_s`` and later."""
        while self._end - self._first > 1 and self._stamps_s[self._first + 1] <= before_s:
            self._first += 1

    def at(self, moment_s: float) -> np.ndarray:
        """Return the position (Da,) at a moment, on a line between two of them."""
        stamps_s, rows = self._kept()
        i = int(np.searchsorted(stamps_s, moment_s))
        before, after = max(i - 1, 0), min(i, len(stamps_s) - 1)
        found: np.ndarray = rows[after].copy()
        if before < after:
            share = (moment_s - stamps_s[before]) / (stamps_s[after] - stamps_s[before])
            found = rows[before] + min(max(share, 0.0), 1.0) * (found - rows[before])
        return found

    def band(self, begin_s: float, end_s: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the lowest and the highest position (Da,) between two moments, ends included."""
        stamps_s, rows = self._kept()
        first, last = np.searchsorted(stamps_s, [begin_s, end_s])
        places = np.vstack([self.at(begin_s), rows[first:last], self.at(end_s)])
        return places.min(axis=0), places.max(axis=0)

    def _kept(self) -> tuple[np.ndarray, np.ndarray]:
        span = slice(self._first, self._end)
        return self._stamps_s[span], self._rows[span]

    def _make_room(self) -> None:
        stamps_s, rows = self._kept()
        kept = len(stamps_s)
        size = max(2 * kept, _FIRST_CAPACITY)
        self._stamps_s, self._rows = np.empty(size), np.empty((size, rows.shape[1]))
        self._stamps_s[:kept], self._rows[:kept] = stamps_s, rows
        self._first, self._end = 0, kept
