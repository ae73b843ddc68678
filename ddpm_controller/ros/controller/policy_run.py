"""One RunPolicy goal as the control thread sees it."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

_TOLERANCE_S = 1e-6
"""Sums of ticks are off by less than this."""


class Outcome(IntEnum):
    """How a run ended; the numbers are those of ddpm_msgs/action/RunPolicy."""

    SUCCESS = 0
    TIMEOUT = 1
    CANCELLED = 2
    STOPPED = 3


@dataclass(frozen=True)
class RunEnd:
    """What is known when a run has ended.

    Attributes:
        outcome: Why it ended.
        message: The same in words.
        duration_s: In the node's time.
        plans: Chunks that were taken over.
    """

    outcome: Outcome
    message: str
    duration_s: float
    plans: int


class PolicyRun:
    """A run that has been asked for.

    Args:
        timeout_s: In the node's time; 0: none.
        seed: Seed of the denoising noise.
        not_before_s: Observations and ticks before this do not count; -inf: all do.
        on_end: Called once, on the control thread.
    """

    def __init__(
        self, timeout_s: float, seed: int, not_before_s: float, on_end: Callable[[RunEnd], None]
    ) -> None:
        self.timeout_s = timeout_s
        self.seed = seed
        self.not_before_s = not_before_s
        self.plans = 0
        self._on_end = on_end
        self._started_s = not_before_s
        self._now_s = not_before_s

    @property
    def elapsed_s(self) -> float:
        """Time since the run began."""
        return self._now_s - self._started_s if math.isfinite(self._now_s) else 0.0

    def is_over(self, now_s: float) -> bool:
        """Note the time and return whether the run has had all of it."""
        if not math.isfinite(self._started_s):
            self._started_s = now_s
        self._now_s = max(now_s, self._started_s)
        return self.timeout_s > 0 and self.elapsed_s >= self.timeout_s - _TOLERANCE_S

    def end(self, outcome: Outcome, message: str) -> None:
        """Tell whoever asked for the run how it ended."""
        self._on_end(RunEnd(outcome, message, self.elapsed_s, self.plans))
