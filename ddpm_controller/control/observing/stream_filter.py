"""A vector stream estimated from its own recent history, where one is asked for."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class StreamFilter:
    """What stands in for the newest value of a stream when it is sampled.

    Attributes:
        num_rows: N, rows of history that it sees.
        period_s: Time between them.
        estimate: (N, D) oldest first -> (D,); pure, so that a replay gives the same.
    """

    num_rows: int
    period_s: float
    estimate: Callable[[np.ndarray], np.ndarray]

    def __post_init__(self) -> None:
        if self.num_rows < 1 or not self.period_s > 0:
            raise ValueError(
                f"a filter needs at least 1 row and a period above 0, got {self.num_rows} and "
                f"{self.period_s}"
            )

    @property
    def history_s(self) -> float:
        """How far back it looks, s."""
        return (self.num_rows - 1) * self.period_s

    def value(self, history: np.ndarray) -> np.ndarray:
        """Return the estimate (D,) for ``history`` (N, D).

        An estimate that is not finite or of another shape must not reach a policy: the newest
        value as it came is returned then.
        """
        found = np.asarray(self.estimate(history), dtype=np.float64)
        newest: np.ndarray = history[-1]
        return found if found.shape == newest.shape and np.isfinite(found).all() else newest
