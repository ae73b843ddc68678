"""What was sent lately, to distinguish it from commands of others on the same topic."""

import math
import time
from collections import deque

import numpy as np

_KEPT_S = 5.0
_MOST = 4096


class SentPositions:
    """Positions that were sent within the last seconds; one thread notes, another one asks.

    Attributes:
        gap_s: Monotonic time until which not all that was sent is known.
    """

    def __init__(self) -> None:
        self._sent: deque[tuple[float, bytes]] = deque(maxlen=_MOST)
        self.gap_s = -math.inf
        self._read_s: float | None = None

    def note_read(self) -> None:
        """Note that all that another process has reported until now is noted."""
        self._read_s = time.monotonic()

    @property
    def known_s(self) -> float:
        """Monotonic time up to which all that was sent is noted."""
        return time.monotonic() if self._read_s is None else self._read_s

    def note(self, position: np.ndarray) -> None:
        """Note a position (Da,) of a command that is sent now or was a moment ago."""
        row = np.asarray(position, dtype=np.float64).tobytes()
        if self._sent and self._sent[-1][1] == row:  # a robot at rest
            self._sent[-1] = (time.monotonic(), row)
        else:
            self._sent.append((time.monotonic(), row))

    def has(self, message: bytes, now_s: float) -> bool:
        """Return whether a serialized command contains one of these positions."""
        for sent_s, row in reversed(self._sent.copy()):
            if now_s - sent_s > _KEPT_S:
                return False
            if row in message:
                return True
        return False
