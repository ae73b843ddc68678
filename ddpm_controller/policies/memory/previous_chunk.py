"""What a plan remembers of the one before it, and where that lies in the new horizon."""

from dataclasses import dataclass

import numpy as np

from ddpm_controller.types import Memory, rows_at

ROWS, START = "previous_rows", "previous_start_s"
"""Keys of the memory: the plan before (Tp, Da) in SI units, and the moment of its first row ()."""
COUNT = "previous_count"
"""Plans that have gone into each of these rows, (Tp,); only where plans are joined."""
SENT = "previous_sent"
"""Rows up to the last one that was sent to the robot, ()."""
FOLLOWED = "followed_rows"
"""What was followed while that plan was made, at the same moments, (Tp, Da)."""
_SAME_MOMENT = 1e-6
"""Of a row; sums of periods are off by rounding."""


@dataclass(frozen=True)
class PreviousChunk:
    """The chunk before, as seen from the horizon of the next one.

    Attributes:
        rows: (Tp, Da) its values for the moments of the new rows, between two of its rows
            linearly; behind its end its last row.
        covered: New rows that it covers, counted from the first one.
        sent: Rows of these, rows that were sent to the robot; behind them it stops.
        counts: (Tp,) plans that have gone into each of these rows, 0 behind the end.
        followed: (Tp, Da) what was followed before it took over.
        age_s: Time since it was asked for.
    """

    rows: np.ndarray
    covered: int
    sent: int
    counts: np.ndarray
    followed: np.ndarray
    age_s: float


def gap_of(memory: Memory, start_s: float, period_s: float) -> float | None:
    """Return how many rows the chunk before begins earlier than ``start_s``.

    None when there is none, or it covers no moment from then on.
    """
    gap = (start_s - float(memory[START])) / period_s
    gap = round(gap) if abs(gap - np.round(gap)) < _SAME_MOMENT else gap
    return float(gap) if 0 <= gap <= len(memory[ROWS]) - 1 else None


def remembered(
    rows: np.ndarray, start_s: float, sent: int, counts: np.ndarray, followed: np.ndarray
) -> dict[str, np.ndarray]:
    """Return what of a plan goes into memory; see the keys for the shapes."""
    scalars = {START: np.array(start_s), SENT: np.array(sent)}
    return {ROWS: rows, COUNT: counts, FOLLOWED: followed, **scalars}


def previous_chunk(memory: Memory, start_s: float, period_s: float) -> PreviousChunk | None:
    """Return the chunk before, moved to a horizon whose first row is for ``start_s``.

    None when there is none, or it covers none of these moments: it is from the future or over.
    """
    if COUNT not in memory:
        return None
    gap = gap_of(memory, start_s, period_s)
    if gap is None:
        return None
    rows, counts = memory[ROWS], memory[COUNT]
    last = len(rows) - 1
    place = gap + np.arange(len(rows))
    covered = int((place <= last).sum())
    sent = int((place <= int(memory[SENT]) - 1).sum())
    moved, followed = rows_at(rows, place), rows_at(memory[FOLLOWED], place)
    counts = np.where(place <= last, counts[np.minimum(place, last).astype(int)], 0)
    age_s = start_s - float(memory[START])
    return PreviousChunk(moved, covered, sent, counts, followed, age_s)


def expected_scale(measured: np.ndarray, commanded: np.ndarray) -> np.ndarray:
    """Return how far joints usually are from their command, root mean square, (Da,).

    The unit of surprise, from recorded runs that were not pushed.

    Args:
        measured: (N, Da), SI units.
        commanded: (N, Da), for the same moments.

    Raises:
        ValueError: If the shapes differ or a joint is exactly where it was commanded always.
    """
    if measured.shape != commanded.shape or not len(measured):
        raise ValueError(
            f"measured and commanded rows must be alike, got {measured.shape} and "
            f"{commanded.shape}"
        )
    scale = np.sqrt(np.mean((measured - commanded) ** 2, axis=0))
    if not (scale > 0).all():
        raise ValueError(
            f"a unit of surprise must be above 0, got {scale.tolist()}: give one by hand where a "
            "joint never departs from its command"
        )
    return scale
