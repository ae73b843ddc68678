"""How fast a training goes and how long it still takes; the training itself reads no clock."""

import math
import time
from collections import deque
from collections.abc import Callable

_NUM_UPDATES = 200


class TrainingRate:
    """Speed over the last updates."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._marks: deque[tuple[float, int]] = deque(maxlen=_NUM_UPDATES)

    def add(self, step: int) -> None:
        """Note that ``step`` updates are done now."""
        self._marks.append((self._clock(), step))

    @property
    def steps_per_s(self) -> float:
        """Updates per second; 0 before the second one."""
        if len(self._marks) < 2:
            return 0.0
        (begin_s, first), (end_s, last) = self._marks[0], self._marks[-1]
        return (last - first) / max(end_s - begin_s, 1e-9)

    def remaining_s(self, num_steps: int) -> float:
        """Time to the last update; NaN before the second one."""
        rate = self.steps_per_s
        return (num_steps - self._marks[-1][1]) / rate if rate else math.nan
