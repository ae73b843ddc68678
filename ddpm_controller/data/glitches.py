"""Numbers in recordings that a robot cannot have had: one message far away from all others."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LARGEST = 1e6
"""No joint is there, and float32 has no digit left behind the point."""
LONGEST_ROWS = 3
"""An excursion of more messages is a motion, however strange."""
_FASTEST = 30.0
"""rad/s or m/s; the quickest joints of arms reach a third of that."""
_NOISE = 10.0
"""Medians of the distance from the running median; of a normal distribution none is beyond."""
_LEAST = 0.1
"""What is nearer to its neighbours than this does no harm, rad or m."""


@dataclass(frozen=True)
class Glitch:
    """One number that cannot be.

    Attributes:
        row: Row in which it is.
        column: Its column.
        value: The number.
        lowest: Lowest number that would have counted there.
        highest: Highest.
    """

    row: int
    column: int
    value: float
    lowest: float
    highest: float


def glitches(stamps_s: np.ndarray, rows: np.ndarray, free: Sequence[int] = ()) -> list[Glitch]:
    """Return what stands alone in rows (N, D): NaN is no number and left to others.

    A column is compared with its running median over seven messages, in which an excursion of
    three vanishes. A glitch is further from that than the medians of the whole column are apart,
    than any joint gets from one message to the next, and than the column's noise; so a range that
    was found with glitches in it is that without them, and a short tap, a gripper or a noisy
    encoder is none.

    Args:
        stamps_s: Stamps (N,), not going back by more than reordering does.
        rows: Numbers (N, D).
        free: Columns that may jump, as forces or a joint that is reported within one turn: only
            numbers beyond ``LARGEST`` are glitches there.
    """
    found: list[Glitch] = []
    for column in range(rows.shape[1]):
        known = np.flatnonzero(~np.isnan(rows[:, column]))
        lowest, highest = _allowed(stamps_s[known], rows[known, column], column in free)
        values = rows[known, column]
        for i in np.flatnonzero((values < lowest) | (values > highest)):
            allowed = float(lowest[i]), float(highest[i])
            found.append(Glitch(int(known[i]), column, float(values[i]), *allowed))
    return sorted(found, key=lambda each: each.row)


def _allowed(
    stamps_s: np.ndarray, values: np.ndarray, is_free: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return the lowest and the highest number that counts in each row, (N,)."""
    limits = np.full(len(values), -LARGEST), np.full(len(values), LARGEST)
    reach = min(LONGEST_ROWS, (len(values) - 1) // 2)
    if is_free or reach < 1:
        return limits
    padded = np.pad(np.clip(values, -2 * LARGEST, 2 * LARGEST), reach, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1)
    usual = np.median(windows, axis=1)  # (N,)
    steps_s = np.abs(np.diff(stamps_s))
    # The longer of both ways to a neighbour: a hole of messages makes a larger step possible.
    gaps_s = np.maximum(np.append(steps_s, 0.0), np.insert(steps_s, 0, 0.0))
    least = max(float(np.ptp(usual)), _LEAST)
    noise = _NOISE * float(np.median(np.abs(values - usual)))
    way = np.maximum(max(least, noise), _FASTEST * gaps_s)
    return np.maximum(usual - way, limits[0]), np.minimum(usual + way, limits[1])
