"""The plan before as the beginning of the next one: shifted by the time that has really passed."""

from dataclasses import dataclass

import numpy as np

PAST_S = 1.0
"""Time of actions before the present that is kept, for the tail of periodic plans."""
_SAME_MOMENT = 1e-6
"""In ticks; sums of periods are off by rounding."""


@dataclass(frozen=True, eq=False)
class Timeline:
    """Actions, tick by tick, from the past to the end of a plan.

    Attributes:
        rows: (T, nu), in units of the range of actions; row ``past`` is for ``stamp_s``.
        past: Number of rows before it.
        last: Row up to which they are planned.
        stamp_s: Moment for which the plan was made; NaN: there is none.
    """

    rows: np.ndarray
    past: int
    last: int
    stamp_s: float

    def at(self, now_s: float, tick_s: float, period_ticks: float) -> np.ndarray | None:
        """Return the rows (T, nu) as seen from a later moment; None: too little is left of them.

        Behind its end a plan repeats what was a period earlier, or holds its last action.

        Args:
            now_s: The moment.
            tick_s: Time between rows.
            period_ticks: Period of the motion; 0: it has none.
        """
        gap = (now_s - self.stamp_s) / tick_s
        if not -_SAME_MOMENT <= gap <= self.last - self.past + _SAME_MOMENT:
            return None
        gap = round(gap) if abs(gap - round(gap)) < _SAME_MOMENT else gap
        places = gap + np.arange(len(self.rows))
        if period_ticks > 0:
            behind = np.maximum(places - self.last, 0.0)
            places = places - period_ticks * np.ceil(behind / period_ticks - _SAME_MOMENT)
        places = np.clip(places, 0.0, self.last)
        lower = places.astype(np.int64)
        share = (places - lower)[:, None]
        if not share.any():
            return self.rows[lower]
        upper = np.minimum(lower + 1, self.last)
        found: np.ndarray = (1 - share) * self.rows[lower] + share * self.rows[upper]
        return found
