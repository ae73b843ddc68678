"""Whether the time goes on, by the wall clock."""

import math

_PERIOD_S = 1.0


class ClockWatchdog:
    """Finds words, once a second, for a time that stands still or has not begun."""

    def __init__(self) -> None:
        self._now_s = math.nan
        self._since_s = self._told_s = math.nan

    def text(self, now_s: float, wall_s: float) -> str:
        """Return what to say of the time ``now_s``, asked at ``wall_s``; mostly nothing."""
        if now_s != self._now_s:
            self._now_s, self._since_s, self._told_s = now_s, wall_s, wall_s
        if wall_s - self._told_s < _PERIOD_S:
            return ""
        self._told_s = wall_s
        still_s = wall_s - self._since_s
        if now_s <= 0:
            return f"no time has come on /clock for {still_s:.0f} s: nothing is sent"
        return f"the time stands still at {now_s:.3f} s for {still_s:.0f} s: nothing is sent"
