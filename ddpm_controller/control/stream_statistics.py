"""How often a stream delivers, how long ago, and in which order."""

import math
from collections import deque

_NUM_STAMPS = 20
"""Messages over which a rate is taken."""


class StreamStatistics:
    """Counts the messages of one stream.

    Attributes:
        out_of_order: Messages that were older than one before.
        lead_s: How far the stamp of the newest was ahead of its arrival; NaN before the first.
            A value cannot be newer than its arrival, so that is how old it really is when its
            stamp says that it is of now.
    """

    def __init__(self) -> None:
        self.out_of_order = 0
        self._stamps: deque[float] = deque(maxlen=_NUM_STAMPS)
        self.forget()

    def take(self, stamp_s: float, arrived_s: float) -> None:
        """Note a message that was newer than all before."""
        self._stamps.append(stamp_s)
        self._arrived_s, self.lead_s = arrived_s, stamp_s - arrived_s

    def forget(self) -> None:
        """Forget all times, as after a jump of the clock; keep the count."""
        self._stamps.clear()
        self._arrived_s = self.lead_s = math.nan

    def arrival_age_s(self, now_s: float) -> float:
        """Return the time since the newest message came, s; NaN before the first."""
        return now_s - self._arrived_s

    @property
    def rate_hz(self) -> float:
        """Of the last messages, by stamp; NaN before the second."""
        # A run that begins again takes old stamps once more.
        span_s = self._stamps[-1] - self._stamps[0] if self._stamps else 0.0
        return (len(self._stamps) - 1) / span_s if span_s > 0 else math.nan
