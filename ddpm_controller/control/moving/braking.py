"""The fastest stop that an acceleration and a jerk limit allow, for each joint on its own.

The acceleration goes to its peak against the motion, stays there, and goes back to zero: three
phases whose times have a closed form (the velocity interface of Berscheid & Kroeger 2021,
"Jerk-limited Real-time Trajectory Generation with Arbitrary Target States", for a target at rest).
"""

from dataclasses import dataclass

import numpy as np

from ddpm_controller.control.moving.interpolation import Motion


def after(motion: Motion, jerk: np.ndarray, passed: np.ndarray) -> Motion:
    """Return the motion when the (Da,) times ``passed`` have gone by under a constant jerk."""
    acceleration = motion.acceleration + jerk * passed
    velocity = motion.velocity + passed * (motion.acceleration + jerk * passed / 2)
    position = motion.position + passed * (
        motion.velocity + passed * (motion.acceleration / 2 + jerk * passed / 6)
    )
    return Motion(position, velocity, acceleration)


@dataclass(frozen=True)
class Braking:
    """The fastest way from one motion to rest.

    Attributes:
        begin: Motion at the beginning; its acceleration is within the limit.
        times: (3, Da) duration of each phase.
        jerks: (3, Da) jerk in each phase.
    """

    begin: Motion
    times: np.ndarray
    jerks: np.ndarray

    @classmethod
    def of(cls, begin: Motion, acceleration: np.ndarray, jerk: np.ndarray) -> "Braking":
        """Return the stop from ``begin`` within the limits (Da,)."""
        v, a = begin.velocity, begin.acceleration
        # Where the velocity would go if the acceleration only went to zero decides the side.
        side = np.where(v + a * np.abs(a) / (2 * jerk) < 0, -1.0, 1.0)
        v, a = side * v, side * a
        left = np.maximum(v * jerk + a * a / 2, 0.0)
        peak = np.minimum(acceleration, np.sqrt(left))
        first = np.maximum(a + peak, 0.0) / jerk
        long = left > peak * peak
        flat = np.where(long, (left - peak * peak) / (jerk * np.where(long, peak, 1.0)), 0.0)
        jerks = np.array([-side * jerk, np.zeros_like(jerk), side * jerk])
        return cls(begin, np.array([first, flat, peak / jerk]), jerks)

    @property
    def duration(self) -> np.ndarray:
        """(Da,) time until rest."""
        total: np.ndarray = self.times.sum(axis=0)
        return total

    def at(self, passed: float) -> Motion:
        """Return the motion when ``passed`` has gone by; exactly at rest after the end."""
        motion, left = self.begin, np.full_like(self.begin.position, max(passed, 0.0))
        for duration, jerk in zip(self.times, self.jerks, strict=True):
            motion = after(motion, jerk, np.minimum(left, duration))
            left = np.maximum(left - duration, 0.0)
        moves = passed < self.duration
        return Motion(
            motion.position,
            np.where(moves, motion.velocity, 0.0),
            np.where(moves, motion.acceleration, 0.0),
        )

    def _end(self) -> np.ndarray:
        motion = self.begin
        for duration, jerk in zip(self.times, self.jerks, strict=True):
            motion = after(motion, jerk, duration)
        return motion.position

    def extent(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return lowest and highest position and highest speed on the way, each (Da,)."""
        begin, jerk = self.begin, np.abs(self.jerks[0])
        end = self._end()
        v, a = begin.velocity, begin.acceleration
        # The velocity changes its sign once where the acceleration points against it and is
        # more than the velocity needs: there the position turns.
        turns = (v * a < 0) & (a * a / 2 > jerk * np.abs(v))
        ahead = np.where(turns, a * a - 2 * jerk * np.abs(v), 0.0)
        turn = np.where(turns, (np.abs(a) - np.sqrt(ahead)) / jerk, 0.0)
        turned = after(begin, -np.sign(a) * jerk, turn).position
        points = np.array([begin.position, end, turned])
        # An acceleration that still drives the motion raises the speed until it is zero.
        top = v + a * np.abs(a) / (2 * jerk)
        return points.min(axis=0), points.max(axis=0), np.maximum(np.abs(v), np.abs(top))


def stop_bounds(
    velocity: np.ndarray, acceleration: np.ndarray, highest: np.ndarray, jerk: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the highest speed of the fastest stop, and a way that it stays below, each (Da,).

    The way is the highest speed for the longest time that a stop can take: quick to find, and
    twice the real one or more.

    Args:
        velocity: (Da,) at the beginning.
        acceleration: (Da,) likewise.
        highest: (Da,) acceleration of the stop.
        jerk: (Da,) of the stop.
    """
    pull = np.abs(acceleration)
    rise = acceleration * pull / (2 * jerk)
    fastest = np.maximum(np.abs(velocity), np.abs(velocity + rise))
    speed = np.abs(velocity) + np.abs(rise)
    return fastest, speed * ((highest + pull) / jerk + speed / highest)


def stoppable_speed(
    distance: np.ndarray, acceleration: np.ndarray, jerk: np.ndarray
) -> np.ndarray:
    """Return the highest speed (Da,) without acceleration that can be stopped in ``distance``.

    The stop takes v / A + A / J where the peak A is reached, else 2 sqrt(v / J), at half of
    the speed in the mean.
    """
    distance = np.maximum(distance, 0.0)
    short = np.cbrt(distance * distance * jerk)
    half = acceleration * acceleration / (2 * jerk)
    long = np.sqrt(half * half + 2 * acceleration * np.where(short > 0, distance, 0.0)) - half
    speed: np.ndarray = np.where(short <= 2 * half, short, long)
    return speed


def stopping_distance(speed: np.ndarray, acceleration: np.ndarray, jerk: np.ndarray) -> np.ndarray:
    """Return the way (Da,) of the fastest stop: the reverse of ``stoppable_speed``."""
    long = speed / acceleration + acceleration / jerk
    short = 2 * np.sqrt(speed / jerk)
    way: np.ndarray = speed / 2 * np.where(speed * jerk >= acceleration**2, long, short)
    return way
