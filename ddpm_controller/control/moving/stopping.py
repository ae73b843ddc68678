"""A stop that lasts as long as was asked for where the limits allow it, else is the fastest.

For each moment, or as points of a trajectory.
"""

import numpy as np

from ddpm_controller.control.moving.braking import Braking
from ddpm_controller.control.moving.governor import SHARE
from ddpm_controller.control.moving.interpolation import (
    FadingOffset,
    Motion,
    Quintic,
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


_MOMENTS = 25
"""Moments of a gentle stop that are looked at."""
_ROUNDING = 1e-5
"""Of a limit: a joint that is at its limit now does not break it; a hundredth of what ``SHARE``
leaves."""
_CLOSEST_S = 2e-6
"""Points closer than this are one: what a jerk does in so short a time is below ``SHARE``."""

_STEPS = np.array([1.0, -1.0, -1.0])[:, None, None]
AT_ONCE = 0.25
"""Of a period: in this time one chunk fades into the next, so that it counts at the next tick."""
STAND_S = 0.1
"""Longest time in which a stop leads to the stand; in 0.2 s a Go1 at 1.2 m/s often falls."""
_UP_RAD_S = 1.0
"""Pace at which a robot at rest is led to its stand, by the joint with the longest way."""


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


class EmbeddedStop:
    """From one motion to rest, inside the limits, in as few points as are exact for quintics.

    Each joint takes the gentle stop, a quartic, and needs a point at its end alone. A joint for
    which that would break a limit takes the fastest stop, whose jerk is constant in three phases,
    and needs a point at the end of each. All joints share the points: between them a motion is a
    polynomial of degree 4 at most, and a quintic from one point to the next is that polynomial.
    Columns that are velocities, which no trajectory carries, fade to 0 meanwhile.

    Args:
        limits: Limits of the joints; the fastest stop uses the same share of them as the governor.
        stop_s: Time that a gentle stop takes.
        fastest: Take the fastest stop for all joints: what a Cartesian box was checked with.
    """

    def __init__(self, limits: JointLimits, stop_s: float, *, fastest: bool = False) -> None:
        if not stop_s > 0:
            raise ValueError(f"stop_s must be above 0, got {stop_s}")
        self._stop_s, self._fastest = stop_s, fastest
        used = limits.scaled(SHARE)
        self._used = used
        self._lower, self._upper = limits.lower, limits.upper
        self._range = Bounds(limits.lower, limits.upper)
        self._acceleration, self._jerk = used.acceleration, used.jerk
        self._rates_s = np.array([[1.0], [stop_s], [stop_s**2]])
        u = np.linspace(0.0, 1.0, _MOMENTS)
        self._way = np.stack(_travelled(u), axis=1)  # (moments, 2): of v T and of a T^2
        w = 1.0 - u
        velocity = np.stack([w * w * (1 + 2 * u), w * w * u], axis=1)
        acceleration = np.stack([-6 * w * u, w * (1 - 3 * u)], axis=1)
        jerk = np.array([[-6.0, -4.0], [6.0, 2.0]])  # linear in time: highest at an end
        self._rates = np.concatenate([velocity, acceleration, jerk])
        rows = (used.velocity * stop_s, used.acceleration * stop_s**2, used.jerk * stop_s**3)
        counts = (_MOMENTS, _MOMENTS, 2)
        bounds = [np.tile(row, (n, 1)) for row, n in zip(rows, counts, strict=True)]
        self._bounds = np.concatenate(bounds) * (1 + _ROUNDING)  # (2 moments + 2, Da)

    def points(self, begin: Motion, bounds: Bounds | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return times (N,) after ``begin`` and motions (N, 3, Da) there, the last one at rest.

        A joint whose gentle stop would leave ``bounds`` takes the fastest one.
        """
        if self._used.velocities is None:
            return self._of_positions(begin, bounds)
        are_velocities = self._used.velocities.chosen
        still = chosen(are_velocities, Motion.rest(begin.position), begin)
        times_s, found = self._of_positions(still, bounds)
        duration_s = fading_s(begin, self._stop_s, self._used, are_velocities)
        if duration_s > times_s[-1] + _CLOSEST_S:
            times_s = np.append(times_s, duration_s)
            found = np.concatenate([found, found[-1:]])
        fade = FadingOffset(0.0, begin, duration_s)
        for rows, moment_s in zip(found, times_s, strict=True):
            motion = fade.at(float(moment_s))
            each = np.array([motion.position, motion.velocity, motion.acceleration])
            rows[:, are_velocities] = each[:, are_velocities]
        return times_s, found

    def _of_positions(self, begin: Motion, bounds: Bounds | None) -> tuple[np.ndarray, np.ndarray]:
        scaled = np.array([begin.velocity, begin.acceleration])
        scaled[0] *= self._stop_s
        scaled[1] *= self._stop_s**2
        gentle = self._is_gentle(begin.position, scaled, bounds or self._range)
        if gentle.all():
            return np.array([self._stop_s]), self._gentle_end(begin.position, scaled)[None]
        hard = ~gentle
        motion = Motion(begin.position[hard], begin.velocity[hard], begin.acceleration[hard])
        fast = Braking.of(motion, self._acceleration[hard], self._jerk[hard])
        ends_s = fast.times.cumsum(axis=0)  # (3, joints that are hard)
        times_s = _apart(ends_s, self._stop_s, num_gentle=len(hard) - len(motion.position))
        found = np.empty((len(times_s), 3, len(hard)))
        found[:, :, hard] = _fast(fast, ends_s, times_s)
        if len(motion.position) < len(hard):
            found[:, :, gentle] = self._gentle(begin.position[gentle], scaled[:, gentle], times_s)
        position = found[:, 0]  # outside by rounding at most
        np.minimum(np.maximum(position, self._lower), self._upper, out=position)
        return times_s, found

    def _is_gentle(self, position: np.ndarray, scaled: np.ndarray, bounds: Bounds) -> np.ndarray:
        """Return for which joints the gentle stop keeps the limits, (Da,)."""
        if self._fastest:
            return np.zeros(position.shape, dtype=bool)
        allowed = np.abs(self._rates @ scaled) <= self._bounds
        way = self._way @ scaled
        inside = (way >= bounds.lower - position) & (way <= bounds.upper - position)
        found: np.ndarray = allowed.all(axis=0) & inside.all(axis=0)
        return found

    def _gentle_end(self, position: np.ndarray, scaled: np.ndarray) -> np.ndarray:
        end = np.zeros((3, len(position)))
        position = position + self._way[-1] @ scaled
        end[0] = np.minimum(np.maximum(position, self._lower), self._upper)  # off by rounding
        return end

    def _gentle(self, position: np.ndarray, scaled: np.ndarray, times_s: np.ndarray) -> np.ndarray:
        """Motions (N, 3, Da) of the gentle stop; at rest from its end on."""
        u = np.minimum(times_s / self._stop_s, 1.0)
        w = 1.0 - u  # exactly 0 at the end
        of_velocity, of_acceleration = _travelled(u)
        rows = np.array(
            [
                [of_velocity, w * w * (1 + 2 * u), -6 * w * u],
                [of_acceleration, w * w * u, w * (1 - 3 * u)],
            ]
        )  # (2, 3, N)
        found: np.ndarray = (rows / self._rates_s).T @ scaled  # (N, 3, Da)
        found[:, 0] += position
        return found


def _fast(fast: Braking, ends_s: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    """Motions (N, 3, Da) of the fastest stop; at rest from its end on."""
    begin = fast.begin
    t = np.minimum(times_s[:, None], ends_s[2])  # (N, Da)
    moves = t < ends_s[2] - _CLOSEST_S
    # The jerk is a sum of three steps, each at the beginning of a phase: + J, - J, - J.
    since = np.stack([t, t - ends_s[0], t - ends_s[1]])  # (3, N, Da)
    np.maximum(since, 0.0, out=since)
    gained = since * (_STEPS * fast.jerks[0])
    found = np.empty((len(times_s), 3, len(begin.position)))
    found[:, 2] = (begin.acceleration + gained.sum(axis=0)) * moves
    gained *= since
    found[:, 1] = (begin.velocity + t * begin.acceleration + gained.sum(axis=0) / 2) * moves
    gained *= since
    way = t * (begin.velocity + t / 2 * begin.acceleration)
    found[:, 0] = begin.position + way + gained.sum(axis=0) / 6
    return found


def _travelled(u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Way of the gentle stop at the shares ``u`` of its time, for v T = 1 and for a T^2 = 1."""
    of_velocity = u * (1 - u * u * (1 - u) - u**3 / 2)
    of_acceleration = u * u * (1 / 2 - 2 / 3 * u + u * u / 4)
    return of_velocity, of_acceleration


def _apart(ends_s: np.ndarray, stop_s: float, num_gentle: int) -> np.ndarray:
    """Return the moments in order at which a joint needs a point, none too close to another."""
    ends = np.append(ends_s, stop_s) if num_gentle else ends_s.flatten()
    ends.sort()
    last_s = ends[-1]
    if last_s <= _CLOSEST_S:
        return np.array([stop_s])
    is_new = ends > _CLOSEST_S
    is_new[1:] &= ends[1:] - ends[:-1] > _CLOSEST_S
    times_s: np.ndarray = ends[is_new]
    times_s[-1] = last_s  # there everything rests
    return times_s


class StandingStop:
    """From one motion to rest at the stand: a quintic, then rest.

    The joints of a walking robot must not be held where they are in the middle of a step, and the
    drives must not be sent zeros: all of them are led to a stand together.

    Args:
        begin_s: The moment.
        begin: Motion that was sent then.
        duration_s: Time until the robot stands, above 0; the governor takes longer where limits
            need that.
        stand: (Da,) positions to end at.
    """

    def __init__(
        self, begin_s: float, begin: Motion, duration_s: float, stand: np.ndarray
    ) -> None:
        self._begin_s, self._rest = begin_s, Motion.rest(stand)
        self._way = Quintic(begin, self._rest, duration_s)

    def at(self, now_s: float) -> Motion:
        """Return the motion at ``now_s``; at rest once the stop is over."""
        passed_s = max(now_s - self._begin_s, 0.0)
        return self._rest if passed_s >= self._way.duration_s else self._way.at(passed_s)


def standing_up_s(position: np.ndarray, stand: np.ndarray) -> float:
    """Return in which time a robot at rest at ``position`` (Da,) is led to its stand, s."""
    return float(np.abs(stand - position).max()) / _UP_RAD_S
