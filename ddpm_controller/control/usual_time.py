"""What the last plans have taken, robust against some that were disturbed."""

from collections import deque
from collections.abc import Iterable

import numpy as np

NUM_KEPT = 20
_LEVEL = 0.8
"""Share of the last plans that were no slower than what is called usual."""
_FEWEST = 6
"""Of fewer plans the median is taken: the first one is often slow."""
_NUM_NEWEST = 3
"""Most of these being slow, the machine has become slow: the older ones count no more."""


def usual(times_s: Iterable[float]) -> float:
    """Return what most times, oldest first, and most of the newest have not exceeded."""
    times = np.array(list(times_s), dtype=np.float64)
    level = _LEVEL if len(times) >= _FEWEST else 0.5
    return float(max(np.quantile(times, level), np.median(times[-_NUM_NEWEST:])))


class UsualDelay:
    """How long it takes until a plan is followed, from the time it is asked for."""

    def __init__(self) -> None:
        self._delays_s: deque[float] = deque(maxlen=NUM_KEPT)

    def add(self, delay_s: float) -> None:
        """Take the delay of one plan that is followed, s."""
        self._delays_s.append(max(delay_s, 0.0))

    def restart(self) -> None:
        """Forget all: another policy plans."""
        self._delays_s.clear()

    @property
    def expected_s(self) -> float:
        """What the next plan is expected to take; 0 before the first one."""
        return usual(self._delays_s) if self._delays_s else 0.0
