"""What is to be done when the robot has come to rest."""

import math
from collections.abc import Callable

LONGER_S = 2.0
"""So much longer than its time a stop may take before it counts as over."""


class SmoothStop:
    """Calls back once the time of a stop has passed and the robot is at rest.

    Ticks that come late make a stop last longer, by ``LONGER_S`` at most.

    Args:
        stop_s: How long the control loop takes to stop.
    """

    def __init__(self, stop_s: float) -> None:
        self._stop_s = self._lasts_s = stop_s
        self._then: Callable[[], None] | None = None
        self._rest_s = math.inf

    def begin(self, then: Callable[[], None], at_least_s: float = 0.0) -> None:
        """Call ``then`` when the time, or a longer one, has passed, counted from the next tick."""
        self._then, self._rest_s = then, math.inf
        self._lasts_s = max(self._stop_s, at_least_s)

    def finish(self) -> None:
        """Call back now, where a stop is in progress."""
        then, self._then = self._then, None
        if then is not None:
            then()

    def tick(self, now_s: float, is_at_rest: bool) -> None:
        """Note the time of a tick, and whether its command had no velocity."""
        self._rest_s = min(self._rest_s, now_s + self._lasts_s)
        if now_s >= self._rest_s + (0.0 if is_at_rest else LONGER_S):
            self.finish()
