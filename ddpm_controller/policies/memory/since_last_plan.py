"""What happened since the plan before: observations not seen yet, and what was executed.

A recurrent state counts ticks of the policy's clock. Its own clock is a grid that begins with the
state; a plan takes in one observation for each tick that has passed, the nearest one, so that
neither the times of plans nor the length of the window change what it has seen.
"""

import math
from dataclasses import dataclass

import numpy as np

from ddpm_controller.policies.memory.previous_chunk import ROWS, START
from ddpm_controller.policy import EXPECTED_DELAY, Window
from ddpm_controller.types import Memory, Observation, rows_at

FOLLOWED = "recalled_followed"
"""Key of the memory: what was followed at the moments of ``ROWS`` before they took over, (Tp, Da);
NaN where nothing was."""
_ROUNDING = 1e-6
"""In ticks; sums of periods are off by rounding."""


@dataclass(frozen=True)
class Unseen:
    """What the state has not taken in yet.

    Attributes:
        observations: One per tick, oldest first; empty when less than half a tick has passed.
        stamp_s: The tick that the state has counted with them.
        gap_s: Time before them of which nothing is left in the window.
        begins: Whether there is no state yet, or one from the future.
    """

    observations: tuple[Observation, ...]
    stamp_s: float
    gap_s: float
    begins: bool


def unseen(window: Window, stamp_s: float, period_s: float) -> Unseen:
    """Return what of a window is new to a state that has counted until ``stamp_s``.

    A state begins with the newest observation alone: what was before belongs to no run.

    Args:
        window: ``period_s`` apart.
        stamp_s: NaN: there is no state.
        period_s: Period of the policy's clock.
    """
    newest_s = window[-1].stamp_s
    passed = (newest_s - stamp_s) / period_s
    if math.isnan(passed) or passed < -0.5 - _ROUNDING:
        return Unseen((window[-1],), newest_s, 0.0, True)
    ticks = math.floor(passed + 0.5 + _ROUNDING)
    later = (*window[1:], None)
    # Before the first moment of a stream its first observation is repeated: that is no tick.
    distinct = tuple(
        each
        for each, after in zip(window, later, strict=True)
        if after is None or after.stamp_s - each.stamp_s > period_s / 2
    )
    observations = distinct[-ticks:] if ticks else ()
    gap_s = (ticks - len(observations)) * period_s
    return Unseen(observations, stamp_s + ticks * period_s, gap_s, False)


@dataclass(frozen=True)
class Execution:
    """How a chunk is carried out.

    Attributes:
        first: Row for the moment at which it was asked for.
        sent: Rows up to the last one that is sent; behind it the robot stays.
        period_s: Between rows.
        delay_s: Time until it takes over, where the memory has none.
        fade_s: Time in which it fades in.
    """

    first: int
    sent: int
    period_s: float
    delay_s: float
    fade_s: float

    def executed(self, memory: Memory, moments_s: np.ndarray) -> np.ndarray:
        """Return what was commanded at moments (N,) before the next plan, (N, Da), SI."""
        start_s = float(memory[START])
        place = (moments_s - start_s) / self.period_s
        said = rows_at(memory[ROWS], place.clip(0, self.sent - 1))
        before = rows_at(memory[FOLLOWED], place.clip(0, len(memory[ROWS]) - 1))
        delay_s = float(memory.get(EXPECTED_DELAY, self.delay_s))
        over_s = start_s + self.first * self.period_s + delay_s
        share = _faded(moments_s - over_s, self.fade_s)[:, None]
        return np.where(np.isnan(before), said, before + share * (said - before))

    def actions_before(self, memory: Memory, new: Unseen) -> np.ndarray:
        """Return what was executed one tick before each new observation, (N, Da), SI.

        NaN at the beginning of a state, before which nothing is known.
        """
        if new.begins:
            return np.full((len(new.observations), memory[ROWS].shape[1]), np.nan)
        moments_s = np.array([each.stamp_s for each in new.observations]) - self.period_s
        return self.executed(memory, moments_s)

    def followed(self, memory: Memory, start_s: float, new: Unseen) -> np.ndarray:
        """Return what is followed at the moments of rows from ``start_s`` on, (Tp, Da), SI.

        Before the new plan takes over; NaN at the beginning of a state.
        """
        rows = memory[ROWS]
        if new.begins:
            return np.full(rows.shape, np.nan)
        return self.executed(memory, start_s + self.period_s * np.arange(len(rows)))


def _faded(passed_s: np.ndarray, fade_s: float) -> np.ndarray:
    """Return how much of a new chunk is in force, 0 to 1, as the controller fades it in."""
    if fade_s <= 0:
        return (passed_s >= -1e-9).astype(np.float64)
    u = (passed_s / fade_s).clip(0.0, 1.0)
    return u**3 * (10 + u * (6 * u - 15))
