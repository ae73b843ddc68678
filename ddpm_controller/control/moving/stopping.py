"""A stop that lasts as long as was asked for where the limits allow it, else is the fastest."""

import numpy as np

from ddpm_controller.control.moving.braking import Braking
from ddpm_controller.control.moving.governor import SHARE
from ddpm_controller.control.moving.interpolation import Motion, Stop
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.control.moving.step_limit import Bounds

_NUM_CHECKS = 33
"""Moments of a gentle stop that are looked at; the governor looks at every command anyway."""


class SafeStop:
    """From one motion to rest, inside the limits.

    Each joint takes ``stop_s`` along a smooth curve; a joint for which that would break a limit
    takes the fastest stop, which the governor has kept possible.

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

    def at(self, now_s: float) -> Motion:
        """Return the motion at ``now_s``; at rest once the stop is over."""
        gentle, fast = self._gentle.at(now_s), self._fast.at(now_s - self._begin_s)
        pairs = (
            (gentle.position, fast.position),
            (gentle.velocity, fast.velocity),
            (gentle.acceleration, fast.acceleration),
        )
        return Motion(*(np.where(self._is_gentle, *pair) for pair in pairs))

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
    there while the speed falls, V / A.
    """
    used = limits.scaled(SHARE)
    fastest = used.velocity / used.acceleration + 2 * used.acceleration / used.jerk
    return max(stop_s, float(fastest.max()))
