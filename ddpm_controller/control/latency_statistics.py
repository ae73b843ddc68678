"""How long it takes from the newest observation to the first command of its chunk."""

import math
from collections import deque

import numpy as np


class LatencyStatistics:
    """Percentiles of the last latencies, and the largest; times come in, no clock is read.

    One thread may add while another one asks.

    Args:
        num_kept: Latencies that count.

    Attributes:
        count: Latencies since the beginning; what is not finite does not count.
        max_s: The largest since the beginning, s; NaN before the first.
    """

    def __init__(self, num_kept: int = 1000) -> None:
        if num_kept < 1:
            raise ValueError(f"num_kept must be at least 1, got {num_kept}")
        self._kept: deque[float] = deque(maxlen=num_kept)
        self.count = 0
        self.max_s = math.nan

    def add(self, latency_s: float) -> None:
        """Take one latency, s."""
        if math.isfinite(latency_s):
            self._kept.append(latency_s)
            self.count += 1
            self.max_s = max(latency_s, self.max_s) if self.count > 1 else latency_s

    @property
    def median_s(self) -> float:
        """Of those kept, s; NaN before the first."""
        return self.quantile_s(0.5)

    @property
    def p95_s(self) -> float:
        """What 95 % of those kept do not exceed, s; NaN before the first."""
        return self.quantile_s(0.95)

    def quantile_s(self, share: float) -> float:
        """Return a quantile of those kept, s, interpolated; NaN before the first."""
        kept = list(self._kept)  # in one go: another may come meanwhile
        return float(np.quantile(kept, share)) if kept else math.nan

    def __str__(self) -> str:
        """In words, ms."""
        if not self._kept:
            return "no plan yet"
        return (
            f"{1e3 * self.median_s:.0f} ms in the median, 95 % within {1e3 * self.p95_s:.0f} ms "
            f"({len(self._kept)} plans)"
        )
