"""Velocities whose joints stay inside their position limits, by what is measured.

As for a box in space, what is sent keeps a way to rest: a velocity is sent only if the joint stays
inside its limits with it and with the fastest fade to 0 behind it; where it would not, the next
step of that fade is sent, which has been looked at then. Before that comes to it, velocities are
cut to what can be stopped gently in the way that is left.
"""

from collections import deque
from copy import copy

import numpy as np

from ddpm_controller.control.moving.braking import stoppable_speed
from ddpm_controller.control.moving.governor import SHARE, Governor, Limited
from ddpm_controller.control.moving.interpolation import Motion, chosen
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.control.moving.step_limit import Bounds
from ddpm_controller.control.moving.time_optimal import TimeOptimal

_GENTLE = 0.5
"""Share of acceleration and jerk with which a joint comes to its limit."""
_SETTLES = 2.0
"""Times that a measurement is late the way that is left is gone in, at the least."""
_MOMENTS = 25
"""Moments of a fade at which its way is summed up."""
_SPEED_MOMENTS = 100
"""Unit of time of the solver: this part of the longest stop, or a period; its numbers are near 1
then."""
_ROUNDING = 1e-9
"""rad or m."""


class VelocityGovernor:
    """Leads velocities within limits that the governor alone does not know.

    A robot holds a velocity until the next one comes, and where it is measured now it was at most
    ``late_s`` before: all places where it may be by now have to be inside.

    Args:
        governor: For the limits of the columns.
        limits: Limits of the columns, with velocities among them.
        period_s: Time between ticks.
        led_s: Time by which commands are ahead of the clock, as ``StepLimit``.
    """

    def __init__(
        self, governor: Governor, limits: JointLimits, period_s: float, led_s: float = 0.0
    ) -> None:
        assert limits.velocities is not None
        self._governor, self._limits, self._period_s = governor, limits, period_s
        self._columns, self._chosen = limits.velocities, limits.velocities.chosen
        self._late_s = limits.velocities.late_s + led_s
        self._led: deque[tuple[float, np.ndarray]] = deque()
        used = limits.scaled(SHARE)
        longest_s = float((used.upper / used.velocity)[self._chosen].max())
        self._unit_s = max(longest_s / _SPEED_MOMENTS, period_s)
        self._unit = used.jerk * self._unit_s**3
        self._highest = np.stack(
            [used.velocity * self._unit_s, used.acceleration * self._unit_s**2]
        )
        self._highest /= self._unit
        self._way = TimeOptimal(len(self._unit))

    def copied(self) -> "VelocityGovernor":
        """Return another one that continues from here, whatever becomes of this one."""
        another = copy(self)
        another._led = self._led.copy()
        return another

    def forget(self) -> None:
        """Begin afresh: the joints rest where they are measured."""
        self._led.clear()

    def note(self, moment_s: float, values: np.ndarray) -> None:
        """Note what was sent for a moment, (Da,)."""
        while self._led and self._led[-1][0] >= moment_s:  # the clock went back
            self._led.pop()
        self._led.append((moment_s, values))
        # The oldest is in force until the next one.
        while len(self._led) > 1 and self._led[1][0] <= moment_s - self._late_s:
            self._led.popleft()

    def step(
        self,
        last: Motion,
        wish: Motion,
        elapsed_s: float,
        bounds: Bounds | None = None,
        measured: np.ndarray | None = None,
    ) -> Limited:
        """Return what to send next; see ``Governor.step``.

        Args:
            last: As there.
            wish: As there; a velocity that is not finite fades to 0.
            elapsed_s: As there.
            bounds: As there.
            measured: (Da,) newest measured positions of the joints, NaN where none is; None:
                there are none, and no position limit is looked at.
        """
        zero = Motion.rest(np.zeros_like(last.position))
        if not np.isfinite([wish.position, wish.velocity, wish.acceleration]).all():
            return self._without_wish(last, zero, elapsed_s)
        room = self._room(measured, elapsed_s)
        cut = self._cut(wish, last, room)
        found = self._governor.step(last, cut, elapsed_s, bounds)
        over = self._leaves(found.motion, room)
        if over.any():
            cut = chosen(over, zero, cut)
            found = self._governor.step(last, cut, elapsed_s, bounds)
        if cut is wish or not (cut.position != wish.position).any():
            return found
        reasons = ("position", *(each for each in found.reasons if each != "position"))
        return Limited(found.motion, reasons, found.step_s)

    # Parts

    def _without_wish(self, last: Motion, zero: Motion, elapsed_s: float) -> Limited:
        """Return a step of the fastest stop of all columns."""
        broken = Motion.rest(np.full_like(last.position, np.nan))
        held = self._governor.step(last, broken, elapsed_s)
        faded = self._governor.step(last, zero, elapsed_s)
        motion = chosen(self._chosen, faded.motion, held.motion)
        return Limited(motion, ("not_finite",), held.step_s)

    def _room(self, measured: np.ndarray | None, elapsed_s: float) -> Bounds | None:
        """Return the ways (Da,) that are left down, 0 or less, and up, 0 or more."""
        if measured is None or not self._columns.are_bounded:
            return None
        lowest, highest = self._travelled(elapsed_s)
        free = np.isnan(measured) | ~self._chosen
        down = np.where(free, -np.inf, self._columns.lower - (measured + lowest))
        up = np.where(free, np.inf, self._columns.upper - (measured + highest))
        # A joint that is outside may come back, and go no further.
        return Bounds(np.minimum(down, 0.0), np.maximum(up, 0.0))

    def _travelled(self, elapsed_s: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the farthest ways (Da,) down and up since one of the last ``late_s``."""
        none = np.zeros(len(self._limits.lower))
        if not self._led:
            return none, none
        moments_s = np.array([moment_s for moment_s, _ in self._led])
        values = np.array([row for _, row in self._led])
        ends_s = np.append(moments_s[1:], moments_s[-1] + elapsed_s)
        begin_s = ends_s[-1] - self._late_s - elapsed_s
        held_s = np.maximum(ends_s - np.maximum(moments_s, begin_s), 0.0)
        ways = np.cumsum((values * held_s[:, None])[::-1], axis=0)  # from now backwards
        return np.minimum(ways.min(axis=0), 0.0), np.maximum(ways.max(axis=0), 0.0)

    def _cut(self, wish: Motion, last: Motion, room: Bounds | None) -> Motion:
        """Return ``wish`` with the velocities that a gentle stop allows."""
        if room is None:
            return wish
        held = np.abs(last.position) * self._period_s  # until the next tick
        left = np.maximum(np.stack([-room.lower, room.upper]) - held, 0.0)
        used = self._limits.scaled(_GENTLE)
        speeds = stoppable_speed(left, used.velocity, used.acceleration)
        # Close to the limit it is the late measurement that must not make it swing.
        speeds = np.minimum(speeds, left / (_SETTLES * (self._late_s + self._period_s)))
        down, up = np.where(self._chosen & np.isfinite(left), speeds, np.inf)
        value = np.minimum(np.maximum(wish.position, -down), up)
        same = value == wish.position
        if same.all():
            return wish
        return chosen(same, wish, Motion.rest(value))

    def _leaves(self, motion: Motion, room: Bounds | None) -> np.ndarray:
        """Return which joints leave their room with ``motion`` and a fade behind it, (Da,)."""
        if room is None:
            return np.zeros(len(self._chosen), dtype=bool)
        lowest, highest = self._stop_way(motion)
        leaves: np.ndarray = self._chosen & (
            (lowest < room.lower - _ROUNDING) | (highest > room.upper + _ROUNDING)
        )
        return leaves

    def _stop_way(self, motion: Motion) -> tuple[np.ndarray, np.ndarray]:
        """Return the farthest ways (Da,) down and up on the fastest fade, each value held."""
        unit_s, highest = self._unit_s, self._highest
        where = self._chosen  # the others are not to fade
        scaled = Motion(
            np.where(where, motion.position / self._unit, 0.0),
            np.where(where, motion.velocity * unit_s / self._unit, 0.0),
            np.where(where, motion.acceleration * unit_s**2 / self._unit, 0.0),
        )
        duration, rows = self._way.way(
            scaled,
            np.stack([-highest[0], highest[0]]),
            np.stack([-highest[1], highest[1]]),
            _MOMENTS,
        )
        if not np.isfinite(duration):  # not known: it must not be sent
            return np.full_like(self._unit, -np.inf), np.full_like(self._unit, np.inf)
        values, rates = rows[:, 0] * self._unit, rows[:, 1] * self._unit / unit_s
        step_s = duration * unit_s / (_MOMENTS - 1)
        # The integral of the cubic between two moments.
        parts = step_s / 2 * (values[:-1] + values[1:]) + step_s**2 / 12 * (rates[:-1] - rates[1:])
        ways = np.cumsum(parts, axis=0)
        held = self._period_s * np.stack([values.min(axis=0), values.max(axis=0)])
        low, high = (
            np.minimum([ways.min(axis=0), held[0]], 0.0),
            np.maximum([ways.max(axis=0), held[1]], 0.0),
        )
        lowest: np.ndarray = low.sum(axis=0)
        return lowest, high.sum(axis=0)
