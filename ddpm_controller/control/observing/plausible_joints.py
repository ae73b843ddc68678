"""Whether measured positions are ones that the joints can have, and could get to since."""

import math
from collections import deque
from collections.abc import Sequence

import numpy as np

LARGEST = 1e6
"""No joint is there, limits or none."""
BEYOND = {"rad": 0.5, "m": 0.1}
"""So far beyond its position limits a joint may be: stops give way and calibrations are off."""
_NOISE = 0.02
"""Of any measurement, rad or m."""
_FASTER = 2.0
"""A joint that is pushed is faster than its limit; so is a clock that runs unevenly."""
_TURN = 2 * math.pi
_FEW = 3
"""So many within ``_MEMORY_S`` are no glitch of an encoder any more."""
_MEMORY_S = 1.0


class PlausibleJoints:
    """Compares each measurement of the commanded joints with their limits and with the one before.

    One that cannot be is left out, as an encoder that fails once in a while needs it; several
    within a second mean that the measurement cannot be relied on, until none has come for as long.
    Where the next one continues from a jump, the joints were moved there, as in a simulation that
    begins again. A jump by whole turns is for the one who counts them.

    Args:
        names: Commanded joints.
        units: One for each.
        period_s: Time between two measurements; one that came late is followed by one soon.

    Attributes:
        refused: Number of measurements left out so far.
    """

    def __init__(self, names: Sequence[str], units: Sequence[str], period_s: float) -> None:
        self._names = tuple(names)
        self._turns = np.array([unit == "rad" for unit in units])
        self._beyond = np.array([BEYOND.get(unit, math.inf) for unit in units])
        self._period_s = period_s
        self._memory_s = max(_MEMORY_S, 2 * _FEW * period_s)
        self._lower, self._upper = np.full(len(names), -LARGEST), np.full(len(names), LARGEST)
        self._velocity: np.ndarray | None = None
        self.refused = 0
        self.forget()

    def take_limits(self, lower: np.ndarray, upper: np.ndarray, velocity: np.ndarray) -> None:
        """Compare with these limits from now on, (Da,) each; before, with none."""
        self._lower = np.maximum(lower - self._beyond, -LARGEST)
        self._upper = np.minimum(upper + self._beyond, LARGEST)
        self._velocity = velocity

    def forget(self) -> None:
        """Begin with the next measurement; the time or the robot has jumped."""
        count = len(self._names)
        self._rows, self._stamps_s = np.full((2, count), math.nan), np.full((2, count), math.nan)
        self._failed_s: deque[float] = deque(maxlen=_FEW)

    @property
    def is_unreliable(self) -> bool:
        """Whether there have been too many lately to rely on what came before."""
        return len(self._failed_s) == _FEW

    def problem(self, stamp_s: float, row: np.ndarray) -> str:
        """Return why a measurement is not to be used, or an empty text.

        Args:
            stamp_s: Acquisition time.
            row: Positions (Da,); NaN of a joint that it does not have.
        """
        known = np.isfinite(row)
        text = self._outside(row, known) or self._jumped(stamp_s, row, known)
        if text:
            self.refused += 1
            self._failed_s.append(stamp_s)
        while self._failed_s and stamp_s - self._failed_s[0] > self._memory_s:
            self._failed_s.popleft()
        if not text and self.is_unreliable:
            return "the measured positions have jumped several times within the last second"
        return text

    def _outside(self, row: np.ndarray, known: np.ndarray) -> str:
        outside = known & ((row < self._lower) | (row > self._upper))
        if not outside.any():
            return ""
        i = int(np.argmax(outside))
        return (
            f"joint {self._names[i]!r} is measured at {row[i]:.6g}, beyond all that its limits "
            f"allow ({self._lower[i]:.3g} to {self._upper[i]:.3g}): look at its encoder and units"
        )

    def _jumped(self, stamp_s: float, row: np.ndarray, known: np.ndarray) -> str:
        """Compare with what was accepted, and with what was left out behind that."""
        if self._velocity is None:
            return ""
        last = known & self._too_far(stamp_s, row, 0, self._velocity)
        if not last.any() or self._continues(stamp_s, row, known):
            self._rows[0, known], self._stamps_s[0, known] = row[known], stamp_s
            self._rows[1, known] = math.nan
            return ""
        before, passed_s = self._rows[0], stamp_s - self._stamps_s[0]
        self._rows[1, known], self._stamps_s[1, known] = row[known], stamp_s
        i = int(np.argmax(last))
        return (
            f"joint {self._names[i]!r} jumps from {before[i]:.4g} to {row[i]:.4g} within "
            f"{passed_s[i]:.3f} s, faster than it can move (limit {self._velocity[i]:.3g} "
            "per s)"
        )

    def _continues(self, stamp_s: float, row: np.ndarray, known: np.ndarray) -> bool:
        """Whether a row continues from the one that was left out."""
        assert self._velocity is not None
        left_out = known & np.isfinite(self._rows[1])
        too_far = self._too_far(stamp_s, row, 1, self._velocity)
        return bool(left_out.any()) and not bool((known & too_far).any())

    def _too_far(
        self, stamp_s: float, row: np.ndarray, kept: int, velocity: np.ndarray
    ) -> np.ndarray:
        """Return which joints cannot have come from a row that is kept, (Da,)."""
        way = row - self._rows[kept]
        way[self._turns] = np.remainder(way[self._turns] + _TURN / 2, _TURN) - _TURN / 2
        passed_s = np.abs(stamp_s - self._stamps_s[kept]) + self._period_s
        reach = _NOISE + _FASTER * velocity * passed_s
        too_far: np.ndarray = np.abs(way) > reach  # never of NaN
        return too_far
