"""The last thing that a command passes: a filter that no limit can be broken through.

What is sent are samples of one motion whose velocity, acceleration and jerk stay inside the
limits, so their divided differences do too. After every sample the fastest stop must still end
inside the position and velocity limits; where it would not, the stop itself is the next step.
By induction there is always a way to rest.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ddpm_controller.control.moving.braking import Braking, stop_bounds, stoppable_speed
from ddpm_controller.control.moving.certificate import Certificate
from ddpm_controller.control.moving.interpolation import Motion, chosen
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.control.moving.step_limit import Bounds
from ddpm_controller.control.moving.time_optimal import TimeOptimal

SHARE = 0.999
"""Of velocity, acceleration and jerk are used: rounding must not exceed a limit."""
LONGEST_STEP = 1.25
"""Periods that a step may last: the jitter of a tick shall not look like a motion of its own."""
_ROUNDED = 1.0005
"""Times the longest way of a period may be gone: float64 stamps at 1.7e9 s are 2.4e-7 s apart, so
a period of 2 ms may last 1.2e-4 longer. This is half of what ``SHARE`` leaves."""
UNNOTICED_S = 5e-6
"""At the velocity limit; no stamp and no encoder is better, and no motion looks different."""
_NEAR = 8.0
"""A target that can be reached in so many periods is followed with its acceleration."""
_REST = Motion(np.zeros(()), np.zeros(()), np.zeros(()))
_BELOW = 1e-6
"""Of a stricter velocity: so much below it a joint is, to be certain of it."""
_TOLERANCE = 1e-6
"""Of the jerk limit times period^3: a thousandth of what ``SHARE`` leaves."""


@dataclass(frozen=True)
class Limited:
    """A motion that may be sent, and which limits changed it.

    Attributes:
        motion: Finite and inside the limits.
        reasons: Any of ``not_finite``, ``position``, ``step``, ``velocity``, ``acceleration``,
            ``jerk``.
        step_s: Time by which the motion advanced.
        is_noticeable: Whether a joint is further from the requested place than it moves in
            ``UNNOTICED_S``; what is closer counts for the motion alone.
    """

    motion: Motion
    reasons: tuple[str, ...] = ()
    step_s: float = 0.0
    is_noticeable: bool = True

    @property
    def noticed(self) -> tuple[str, ...]:
        """Reasons that are worth to be counted and published."""
        return self.reasons if self.is_noticeable else ()


class Governor:
    """Leads what was sent towards the target, in the shortest time that the limits allow.

    A target that can be reached in one step is reached exactly. All numbers inside count time in
    periods and position in the distance J T^3 of each joint, from where it is: there the jerk
    limit is 1, and the absolute tolerances of ruckig mean the same for every joint and rate.

    Args:
        limits: Limits of the joints.
        period_s: Time between ticks.
    """

    def __init__(self, limits: JointLimits, period_s: float) -> None:
        self._limits, self._period_s = limits, period_s
        self._range = Bounds(limits.lower, limits.upper)
        self._used = used = limits.scaled(SHARE)
        self._unit = used.jerk * period_s**3
        self._jerk = np.ones_like(used.jerk)
        self._acceleration = used.acceleration / (used.jerk * period_s)
        self._velocity = used.velocity / (used.jerk * period_s**2)
        self._farthest = _ROUNDED * used.velocity * period_s
        self._way = TimeOptimal(len(self._unit))
        self._certificate = Certificate(used)

    def step(
        self, last: Motion, wish: Motion, elapsed_s: float, bounds: Bounds | None = None
    ) -> Limited:
        """Return what to send next.

        Args:
            last: What was sent before: a motion returned by this function, or a rest inside the
                position limits.
            wish: Wanted now; anything, also numbers that are not finite.
            elapsed_s: Since ``last``. After a late tick the motion advances by one period only:
                to catch up must not be a jump.
            bounds: Narrower than the position limits, and free to move: where ``last`` cannot be
                stopped inside any more, the fastest stop leads out of them and the way back
                follows.
        """
        period_s = self._period_s
        step_s = min(max(elapsed_s, 0.0), period_s)
        if step_s == 0.0:
            return Limited(last)
        is_longer = period_s < elapsed_s <= LONGEST_STEP * period_s
        passed_s = elapsed_s if is_longer else step_s
        if self._certificate.holds(last, wish, passed_s, bounds) and not (
            is_longer and self._is_too_far(wish, last)
        ):
            return Limited(wish, (), passed_s)
        if not np.isfinite([wish.position, wish.velocity, wish.acceleration]).all():
            braked = self._braked(self._scaled(last, last.position), step_s / period_s)
            return Limited(self._physical(braked, last), ("not_finite",), step_s)
        if is_longer:
            found = self._led(wish, last, elapsed_s / period_s, bounds)
            if not self._is_too_far(found[0], last):
                return self._limited(*found, wish, last, elapsed_s)
        found = self._led(wish, last, step_s / period_s, bounds)
        return self._limited(*found, wish, last, step_s)

    def _limited(
        self, found: Motion, held: np.ndarray, wish: Motion, last: Motion, step_s: float
    ) -> Limited:
        off = np.abs(found.position - wish.position)
        is_noticeable = not (off <= UNNOTICED_S * self._limits.velocity).all()
        return Limited(found, self._reasons(found, held, wish, last), step_s, is_noticeable)

    @property
    def highest_speed(self) -> np.ndarray:
        """(Da,) speed that is used, rad/s or m/s."""
        return self._used.velocity

    def admits(self, motion: Motion) -> np.ndarray:
        """Return which joints of ``motion`` keep the limits and can be stopped in them, (Da,)."""
        moving = self._scaled(motion, motion.position)
        return self._can_stop(moving, motion, 1.0, self._range)

    def inside(self, position: np.ndarray) -> np.ndarray:
        """Return the nearest position (Da,) within the limits."""
        return self._range.clip(position)

    def slowed(self, last: Motion, wish: Motion, top: np.ndarray, passed_s: float) -> Motion:
        """Return the motion ``passed_s`` after ``last`` on the fastest way to a lower speed.

        Each joint goes to the velocity of ``wish``, as far as that is slower, and at most at
        ``top``: the fastest stop, as seen from a frame that moves so.

        Args:
            last: What was sent before.
            wish: Wanted now; anything.
            top: (Da,) highest speed to go to.
            passed_s: At most a period.
        """
        used = self._used
        # Where the velocity goes if the acceleration only ends.
        end = last.velocity + last.acceleration * np.abs(last.acceleration) / (2 * used.jerk)
        end = np.minimum(np.maximum(end, -top), top)
        wanted = np.where(np.isfinite(wish.velocity), wish.velocity, 0.0)
        frame = np.minimum(np.maximum(wanted, np.minimum(end, 0.0)), np.maximum(end, 0.0))
        seen = Motion(np.zeros_like(frame), last.velocity - frame, last.acceleration)
        braked = Braking.of(seen, used.acceleration, used.jerk).at(passed_s)
        position = last.position + frame * passed_s + braked.position
        return Motion(self._inside(position), frame + braked.velocity, braked.acceleration)

    def _is_too_far(self, motion: Motion, last: Motion) -> bool:
        """Return whether a joint has gone further than a period allows."""
        return not (np.abs(motion.position - last.position) <= self._farthest).all()

    # Parts; motions here are scaled and count from the last position, `h` is in periods

    def _scaled(self, motion: Motion, origin: np.ndarray) -> Motion:
        period_s = self._period_s
        return Motion(
            (motion.position - origin) / self._unit,
            motion.velocity * period_s / self._unit,
            motion.acceleration * period_s**2 / self._unit,
        )

    def _physical(self, motion: Motion, last: Motion) -> Motion:
        period_s = self._period_s
        position = last.position + motion.position * self._unit
        return Motion(
            self._inside(position),  # off by rounding at most
            motion.velocity * self._unit / period_s,
            motion.acceleration * self._unit / period_s**2,
        )

    def _inside(self, position: np.ndarray) -> np.ndarray:
        inside: np.ndarray = np.clip(position, self._limits.lower, self._limits.upper)
        return inside

    def _led(
        self, wish: Motion, last: Motion, h: float, bounds: Bounds | None
    ) -> tuple[Motion, np.ndarray]:
        """Return the motion after ``h`` periods, and the joints that ``bounds`` hold, (Da,)."""
        found = self._towards(self._target(wish, self._range), wish, last, h, self._range)
        if bounds is None:
            return found, np.zeros(found.position.shape, dtype=bool)
        scaled = self._scaled(found, last.position)
        moved = (bounds.lower != self._limits.lower) | (bounds.upper != self._limits.upper)
        held = moved & ~self._can_stop(scaled, last, h, bounds)
        if not held.any():
            return found, held
        target = self._target(wish, bounds)
        kept = self._towards(target, target, last, h, self._relaxed(bounds, last))
        return chosen(held, kept, found), held

    def _relaxed(self, bounds: Bounds, last: Motion) -> Bounds:
        """Return ``bounds`` with room for the fastest stop from ``last``."""
        start = self._scaled(last, last.position)
        lowest, highest, _ = Braking.of(start, self._acceleration, self._jerk).extent()
        return Bounds(
            np.minimum(bounds.lower, last.position + lowest * self._unit),
            np.maximum(bounds.upper, last.position + highest * self._unit),
        )

    def _target(self, wish: Motion, limits: Bounds) -> Motion:
        """Return the target, cut to where the joints can be and still stop in time."""
        inside, used = limits.clip(wish.position), self._used
        below, above = inside - limits.lower, limits.upper - inside
        zero = np.zeros_like(inside)
        with np.errstate(over="ignore"):
            _, way = stop_bounds(wish.velocity, zero, used.acceleration, used.jerk)
        down = up = used.velocity
        if not (way <= np.minimum(below, above)).all():
            speeds = stoppable_speed(np.array([below, above]), used.acceleration, used.jerk)
            down, up = np.minimum(speeds, used.velocity)
        outside = inside != wish.position
        velocity = np.where(outside, 0.0, np.minimum(np.maximum(wish.velocity, -down), up))
        changed = outside | (velocity != wish.velocity)
        highest = self._limits.acceleration
        acceleration = np.minimum(np.maximum(wish.acceleration, -highest), highest)
        return Motion(inside, velocity, np.where(changed, 0.0, acceleration))

    def _towards(
        self, target: Motion, wish: Motion, last: Motion, h: float, bounds: Bounds
    ) -> Motion:
        start = self._scaled(last, last.position)
        braked = self._braked(start, h)
        # The fastest stop is always possible, and ends in its time only if it is not cut.
        with np.errstate(over="ignore"):
            brakes = _same(braked, self._scaled(wish, last.position))
        stop = Motion(self._inside(wish.position), wish.velocity, wish.acceleration)
        if brakes.all():
            return stop
        goal = self._scaled(target, last.position)
        found, arrived = self._chased(start, goal, h)
        safe = self._can_stop(found, last, h, bounds)
        arrived &= safe
        if not safe.all():
            frame = Motion.rest(goal.position)
            rest, _ = self._moved(_relative(start, frame, h), frame, self._velocity, h)
            found = chosen(safe, found, rest)
            safe = self._can_stop(found, last, h, bounds)
        if not safe.all():
            found = chosen(safe, found, braked)
        return chosen(brakes, stop, chosen(arrived, target, self._physical(found, last)))

    def _chased(self, start: Motion, goal: Motion, h: float) -> tuple[Motion, np.ndarray]:
        """Return the motion after ``h``, and for which joints it is the goal.

        Time-optimal in a frame that moves as the goal does: near it with its acceleration, for
        then the goal is reached and kept; from afar with its velocity only, which carries more
        about where it will be.
        """
        top, most = self._velocity, 0.99 * self._acceleration
        pull = np.minimum(np.maximum(goal.acceleration, -most), most)
        steady = Motion(goal.position, goal.velocity, pull)
        nearly = np.maximum(top, 1.05 * np.abs(goal.velocity))
        relative = _relative(start, steady, h)
        near = _reachable(relative)
        found, duration = self._moved(chosen(near, relative, _REST), steady, nearly, h)
        near &= duration <= _NEAR
        arrived = near & (duration <= h + _TOLERANCE) & (steady.acceleration == goal.acceleration)
        if not near.all():
            slower = np.clip(goal.velocity, -0.95 * top, 0.95 * top)
            moving = Motion(goal.position, slower, np.zeros_like(slower))
            relative = _relative(start, moving, h)
            found = chosen(near, found, self._moved(relative, moving, top, h)[0])
        return chosen(arrived, goal, found), arrived

    def _moved(
        self, start: Motion, frame: Motion, top: np.ndarray, h: float
    ) -> tuple[Motion, np.ndarray]:
        """Return the motion after ``h`` towards rest in ``frame``, and (Da,) times to arrive.

        Args:
            start: Where it begins, as seen from the frame.
            frame: The origin of the frame after ``h``; its acceleration is constant.
            top: (Da,) highest speed, above that of the frame.
            h: Periods.
        """
        speeds = np.array([-top - frame.velocity, top - frame.velocity])
        bound = self._acceleration
        accelerations = np.array([-bound - frame.acceleration, bound - frame.acceleration])
        moved, duration = self._way.after(start, speeds, accelerations, h)
        return _sum(frame, moved), duration

    def _braked(self, start: Motion, h: float) -> Motion:
        return Braking.of(start, self._acceleration, self._jerk).at(h)

    def _can_stop(self, found: Motion, last: Motion, h: float, bounds: Bounds) -> np.ndarray:
        """Return for which joints ``found`` may be sent and can be stopped afterwards, (Da,)."""
        lower = (bounds.lower - last.position) / self._unit - _TOLERANCE
        upper = (bounds.upper - last.position) / self._unit + _TOLERANCE
        top, most = self._velocity + _TOLERANCE, self._acceleration + _TOLERANCE
        fastest, way = stop_bounds(
            found.velocity, found.acceleration, self._acceleration, self._jerk
        )
        inside = (found.position - way >= lower) & (found.position + way <= upper)
        if not inside.all():  # the real way decides
            braking = Braking.of(found, self._acceleration, self._jerk)
            lowest, highest, fastest = braking.extent()
            inside = (lowest >= lower) & (highest <= upper)
        safe: np.ndarray = (
            inside
            & (fastest <= top)
            & (np.abs(found.acceleration) <= most)
            & (np.abs(found.position) <= top * h)
        )
        return safe

    def _reasons(
        self, found: Motion, held: np.ndarray, wish: Motion, last: Motion
    ) -> tuple[str, ...]:
        changed = found.position != wish.position
        if not changed.any():
            return ()
        limits, period_s = self._limits, self._period_s
        outside = (wish.position < limits.lower) | (wish.position > limits.upper)
        fast = np.abs(wish.position - last.position) > limits.velocity * period_s
        hard = np.abs(wish.velocity - last.velocity) > limits.acceleration * period_s
        masks = {
            "position": changed & outside,
            "step": changed & held,
            "velocity": changed & ~held & fast,
            "acceleration": changed & ~held & ~outside & ~fast & hard,
            "jerk": changed & ~held & ~outside & ~fast & ~hard,
        }
        if limits.velocities is not None:
            masks = _of_velocities(masks, limits.velocities.chosen)
        return tuple(name for name, mask in masks.items() if mask.any())


class Tightening:
    """From the limits in force into stricter ones, without a jump and without a stop.

    A motion that is too fast for stricter limits cannot be led by them: no way within them begins
    there. Each joint first loses what is too much, within the limits before, and is led within the
    stricter ones from the moment on at which it could be stopped within them. It stands in the
    place of the governor until every joint is.

    Args:
        before: Governor for the limits that are in force.
        limits: The stricter ones, none of them looser.
        period_s: Time between ticks.

    Attributes:
        limits: As given.
        governor: For them.
    """

    def __init__(self, before: Governor, limits: JointLimits, period_s: float) -> None:
        self.limits, self.governor = limits, Governor(limits, period_s)
        self._before, self._period_s = before, period_s

    def admits(self, motion: Motion) -> np.ndarray:
        """Return which joints of ``motion`` could be stopped within the stricter limits, (Da,)."""
        return self.governor.admits(motion)

    def is_stuck(self, motion: Motion) -> bool:
        """Return whether a joint rests where the stricter limits do not let it be."""
        rests = (motion.velocity == 0) & (motion.acceleration == 0)
        return bool((rests & ~self.admits(motion)).any())

    def step(
        self, last: Motion, wish: Motion, elapsed_s: float, bounds: Bounds | None = None
    ) -> Limited:
        """Return what to send next; see ``Governor.step``.

        ``last`` is within the limits before. ``stricter`` is the first of the reasons while a
        joint is not within the others yet.
        """
        step_s = min(max(elapsed_s, 0.0), self._period_s)
        ready = self.admits(last)
        if ready.all():
            return self.governor.step(last, wish, step_s, bounds)
        place = Motion.rest(self.governor.inside(last.position))
        led = self.governor.step(
            chosen(ready, last, place), chosen(ready, wish, place), step_s, bounds
        )
        slower = self._before.slowed(last, wish, self._top(last), step_s)
        held = self._before.step(last, slower, step_s, bounds)
        reasons = ("stricter", *(each for each in led.reasons if each != "step"))
        return Limited(chosen(ready, led.motion, held.motion), reasons, step_s)

    def _top(self, last: Motion) -> np.ndarray:
        """Return the speed (Da,) to which a joint that is too fast slows down.

        It is 0 where even that could not be stopped inside the stricter positions.
        """
        allowed = (1 - _BELOW) * self.governor.highest_speed
        speed = np.minimum(np.abs(last.velocity), allowed)
        cruise = Motion(last.position, np.copysign(speed, last.velocity), np.zeros_like(speed))
        top: np.ndarray = np.where(self.admits(cruise), allowed, 0.0)
        return top


def _of_velocities(masks: Mapping[str, np.ndarray], chosen: np.ndarray) -> dict[str, np.ndarray]:
    """Return which limit changed which column (Da,), where ``chosen`` ones are velocities.

    What leads them as positions are led has found the limit of a derivative one lower.
    """
    none = np.zeros_like(chosen)
    lower = {"velocity": "position", "acceleration": "velocity", "jerk": "acceleration"}
    found = {
        name: np.where(chosen, masks[lower[name]] if name in lower else none, mask)
        for name, mask in masks.items()
    }
    return {**found, "jerk": found["jerk"] | (chosen & masks["jerk"])}


def _same(first: Motion, second: Motion) -> np.ndarray:
    """Return for which joints two motions are one up to rounding, (Da,)."""
    same: np.ndarray = (
        (np.abs(first.position - second.position) <= _TOLERANCE)
        & (np.abs(first.velocity - second.velocity) <= _TOLERANCE)
        & (np.abs(first.acceleration - second.acceleration) <= _TOLERANCE)
    )
    return same


def _sum(first: Motion, second: Motion) -> Motion:
    return Motion(
        first.position + second.position,
        first.velocity + second.velocity,
        first.acceleration + second.acceleration,
    )


def _back(frame: Motion, h: float) -> Motion:
    """Return where a frame of constant acceleration was ``h`` before."""
    velocity = frame.velocity - h * frame.acceleration
    position = frame.position - h * frame.velocity + h * h / 2 * frame.acceleration
    return Motion(position, velocity, frame.acceleration)


def _relative(start: Motion, frame: Motion, h: float) -> Motion:
    """Return ``start`` as seen from a frame that has its motion ``h`` later."""
    begin = _back(frame, h)
    return Motion(
        start.position - begin.position,
        start.velocity - begin.velocity,
        start.acceleration - begin.acceleration,
    )


def _reachable(start: Motion) -> np.ndarray:
    """Return for which joints the jerk 1 may lead to rest at 0 within ``_NEAR``, (Da,)."""
    t = _NEAR
    acceleration, velocity = np.abs(start.acceleration), np.abs(start.velocity)
    reachable: np.ndarray = (
        (acceleration <= t)
        & (velocity <= t * acceleration + t * t / 2)
        & (np.abs(start.position) <= t * velocity + t * t / 2 * acceleration + t**3 / 6)
    )
    return reachable
