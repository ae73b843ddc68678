"""A stop that lasts as long as was asked for where the limits allow it, else is the fastest."""

import numpy as np

from ddpm_controller.control.moving.braking import Braking
from ddpm_controller.control.moving.governor import SHARE
from ddpm_controller.control.moving.interpolation import (
    FadingOffset,
    Motion,
    Stop,
    chosen,
    fade_peaks,
)
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.control.moving.step_limit import Bounds

_LONGER = 1.25
"""Times a fade that is too short lasts the next one that is tried."""
_NUM_CHECKS = 33
"""Moments of a gentle stop that are looked at; the governor looks at every command anyway."""


class SafeStop:
    """From one motion to rest, inside the limits.

    Each joint takes ``stop_s`` along a smooth curve; a joint for which that would break a limit
    takes the fastest stop, which the governor has kept possible. Velocities fade to 0 in this
    time, or as soon as their limits allow.

    Args:
        begin_s: The moment.
        begin: What was sent then.
        stop_s: How long a gentle stop takes.
        limits: Limits of the joints.
        bounds: Positions that a gentle stop keeps to; None: those of the limits.
    """

    def __init__(
        self,
        begin_s: float,
        begin: Motion,
        stop_s: float,
        limits: JointLimits,
        bounds: Bounds | None = None,
    ) -> None:
        used = limits.scaled(SHARE)
        self._begin_s = begin_s
        self._gentle = Stop(begin_s, begin, stop_s)
        self._fast = Braking.of(begin, used.acceleration, used.jerk)
        self._is_gentle = self._allowed(used, bounds or Bounds(used.lower, used.upper), stop_s)
        self._velocities = limits.velocities
        if limits.velocities is not None:
            duration_s = fading_s(begin, stop_s, used, limits.velocities.chosen)
            self._fade = FadingOffset(begin_s, begin, duration_s)

    def at(self, now_s: float) -> Motion:
        """Return the motion at ``now_s``; at rest once the stop is over."""
        gentle, fast = self._gentle.at(now_s), self._fast.at(now_s - self._begin_s)
        stopped = chosen(self._is_gentle, gentle, fast)
        if self._velocities is None:
            return stopped
        return chosen(self._velocities.chosen, self._fade.at(now_s), stopped)

    def _allowed(self, used: JointLimits, bounds: Bounds, stop_s: float) -> np.ndarray:
        """Return for which joints the gentle stop keeps the limits, (Da,)."""
        motions = [
            self._gentle.at(self._begin_s + share * stop_s)
            for share in np.linspace(0.0, 1.0, _NUM_CHECKS)
        ]
        position = np.stack([each.position for each in motions])
        velocity = np.stack([each.velocity for each in motions])
        acceleration = np.stack([each.acceleration for each in motions])
        jerk = np.diff(acceleration, axis=0) * (_NUM_CHECKS - 1) / stop_s
        begin = self._gentle.begin
        # The jerk is linear in time: a difference is that of its middle, the ends are beyond.
        at_begin = np.abs(-6 * begin.velocity / stop_s - 4 * begin.acceleration) / stop_s
        at_end = np.abs(6 * begin.velocity / stop_s + 2 * begin.acceleration) / stop_s
        allowed: np.ndarray = (
            ((position >= bounds.lower) & (position <= bounds.upper)).all(axis=0)
            & (np.abs(velocity) <= used.velocity).all(axis=0)
            & (np.abs(acceleration) <= used.acceleration).all(axis=0)
            & (np.abs(jerk) <= used.jerk).all(axis=0)
            & (np.maximum(at_begin, at_end) <= used.jerk)
        )
        return allowed


def longest_stop_s(stop_s: float, limits: JointLimits) -> float:
    """Return within which time every stop ends, s.

    The fastest stop takes its acceleration to zero, to the peak and back, 2 A / J, and stays
    there while the speed falls, V / A. A velocity fades from its limit, with the highest rates.
    """
    used = limits.scaled(SHARE)
    fastest = used.velocity / used.acceleration + 2 * used.acceleration / used.jerk
    longest_s = max(stop_s, float(fastest.max()))
    if used.velocities is None:
        return longest_s
    worst = Motion(used.upper, used.velocity, used.acceleration)
    return max(longest_s, fading_s(worst, stop_s, used, used.velocities.chosen))


def fading_s(begin: Motion, stop_s: float, used: JointLimits, velocities: np.ndarray) -> float:
    """Return the time from ``stop_s`` on in which all of ``velocities`` (Da,) may fade to 0."""
    duration_s = stop_s
    while True:
        peaks = fade_peaks(begin, duration_s)
        highest = (used.velocity, used.acceleration, used.jerk)
        kept = [peak <= limit for peak, limit in zip(peaks, highest, strict=True)]
        if np.all(kept, axis=0)[velocities].all():
            return duration_s
        duration_s *= _LONGER
