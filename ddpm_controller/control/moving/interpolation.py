"""Smooth curves in time: a quintic through the rows of a chunk, an offset that fades, a stop."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ddpm_controller.types import ActionChunk

_STEEPEST = 1.25
"""Largest slope at a row in neighbouring steps; two such slopes cannot make a quintic turn."""


@dataclass(frozen=True)
class Motion:
    """Where a curve is at one moment.

    Attributes:
        position: (Da,) rad or m.
        velocity: (Da,) rad/s or m/s.
        acceleration: (Da,) rad/s^2 or m/s^2.
    """

    position: np.ndarray
    velocity: np.ndarray
    acceleration: np.ndarray

    @classmethod
    def rest(cls, position: np.ndarray) -> "Motion":
        """Return no motion at ``position``."""
        return cls(position, np.zeros_like(position), np.zeros_like(position))


def chosen(mask: np.ndarray, first: Motion, second: Motion) -> Motion:
    """Return ``first`` for the columns of ``mask`` (Da,), else ``second``."""
    return Motion(
        np.where(mask, first.position, second.position),
        np.where(mask, first.velocity, second.velocity),
        np.where(mask, first.acceleration, second.acceleration),
    )


@dataclass(frozen=True)
class Quintic:
    """The polynomial of degree 5 from one motion to another.

    Attributes:
        first: Motion at the beginning.
        last: Motion at the end.
        duration_s: Time between them, above 0.
    """

    first: Motion
    last: Motion
    duration_s: float

    @cached_property
    def _coefficients(self) -> tuple[np.ndarray, ...]:
        """Of u and u^2, the latter doubled, then of u^3, u^4 and u^5."""
        t_s = self.duration_s
        step = self.last.position - self.first.position
        v0, v1 = self.first.velocity * t_s, self.last.velocity * t_s
        a0, a1 = self.first.acceleration * t_s**2, self.last.acceleration * t_s**2
        # Coefficients of u^3, u^4 and u^5 from the conditions at u = 1.
        c3 = 10 * step - 6 * v0 - 4 * v1 - 1.5 * a0 + 0.5 * a1
        c4 = -15 * step + 8 * v0 + 7 * v1 + 1.5 * a0 - a1
        c5 = 6 * step - 3 * (v0 + v1) + 0.5 * (a1 - a0)
        return v0, a0, c3, c4, c5

    def at(self, passed_s: float | np.ndarray) -> Motion:
        """Return the motion ``passed_s`` after the beginning, at most ``duration_s``."""
        u, t_s = passed_s / self.duration_s, self.duration_s
        v0, a0, c3, c4, c5 = self._coefficients
        position = self.first.position + u * (v0 + u * (a0 / 2 + u * (c3 + u * (c4 + u * c5))))
        velocity = v0 + u * (a0 + u * (3 * c3 + u * (4 * c4 + u * 5 * c5)))
        acceleration = a0 + u * (6 * c3 + u * (12 * c4 + u * 20 * c5))
        return Motion(position, velocity / t_s, acceleration / t_s**2)


def monotone_slopes(rows: np.ndarray) -> np.ndarray:
    """Slopes per row, (Ta, Da), per step: central differences, limited.

    Zero at a turning point and at most ``_STEEPEST`` times the smaller neighbouring step, so
    that the derivative of a quintic segment keeps its sign: see ``monotone_accelerations``.
    """
    if len(rows) == 1:
        return np.zeros_like(rows)
    steps = np.diff(rows, axis=0)  # (Ta - 1, Da)
    before, after = steps[:-1], steps[1:]
    largest = _STEEPEST * np.minimum(np.abs(before), np.abs(after))
    inner = np.clip((before + after) / 2, -largest, largest)
    inner = np.where(before * after > 0, inner, 0.0)
    return np.concatenate([steps[:1], inner, steps[-1:]])


def monotone_accelerations(rows: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """Accelerations per row, (Ta, Da), per step squared, such that no segment overshoots.

    Second differences, limited; zero at both ends. The derivative of a segment with the step D,
    the slopes v0, v1 and the accelerations a0, a1 has the Bernstein coefficients
    v0, v0 + a0/4, 5 D - 2 (v0 + v1) + (a1 - a0)/4, v1 - a1/4, v1: where all have the sign of D,
    so has the derivative.
    """
    found = np.zeros_like(rows)
    if len(rows) < 3:
        return found
    steps = np.diff(rows, axis=0)
    # What the third coefficient has left when there is no acceleration; never below 0.
    slack = np.abs(5 * steps - 2 * (slopes[:-1] + slopes[1:]))
    room = 2 * np.minimum(slack[:-1], slack[1:])
    before, after, inner = np.sign(steps[:-1]), np.sign(steps[1:]), slopes[1:-1]
    wish = np.clip(np.diff(steps, axis=0), -room, room)
    # From the second and the fourth coefficient.
    lowest = np.where(after > 0, -4 * inner, -np.inf)
    highest = np.where(after < 0, -4 * inner, np.inf)
    highest = np.where(before > 0, np.minimum(highest, 4 * inner), highest)
    lowest = np.where(before < 0, np.maximum(lowest, 4 * inner), lowest)
    found[1:-1] = np.clip(wish, lowest, highest)
    return found


@dataclass(frozen=True)
class Stop:
    """From one motion to rest in ``duration_s``: the velocity falls along a cubic.

    The acceleration is continuous. From no acceleration the highest one is 1.5 v / T and the
    highest jerk 6 v / T^2.
    """

    begin_s: float
    begin: Motion
    duration_s: float

    def at(self, now_s: float) -> Motion:
        """Return the motion at ``now_s``; at rest once the duration is over."""
        t_s = self.duration_s
        u = min(max(now_s - self.begin_s, 0.0), t_s) / t_s
        v, a = self.begin.velocity * t_s, self.begin.acceleration * t_s**2
        w = 1.0 - u
        travelled = v * u * (1 - u * u * w - u**3 / 2) + a * u * u * (
            1 / 2 - 2 / 3 * u + u * u / 4
        )
        velocity = w * w * ((1 + 2 * u) * v + u * a)
        acceleration = w * (-6 * u * v + (1 - 3 * u) * a)
        return Motion(self.begin.position + travelled, velocity / t_s, acceleration / t_s**2)


class ChunkCurve:
    """A chunk as a curve in absolute time, continuous up to the acceleration.

    Between two rows it stays between them. Before the first row it rests there; behind the last
    row it comes to a stop within ``stop_s``, because nothing is known beyond.

    Args:
        chunk: Its rows.
        stop_s: Time of the stop.
        velocities: (Da,) columns that are velocities, which fade to 0 then; None: there is none.
    """

    def __init__(
        self, chunk: ActionChunk, stop_s: float, velocities: np.ndarray | None = None
    ) -> None:
        self.chunk = chunk
        self._velocities = velocities
        rows, period_s = chunk.actions, chunk.period_s
        slopes = monotone_slopes(rows)
        accelerations = monotone_accelerations(rows, slopes)
        self._knots = [
            Motion(row, slope / period_s, acceleration / period_s**2)
            for row, slope, acceleration in zip(rows, slopes, accelerations, strict=True)
        ]
        self._segment = (-1, Quintic(self._knots[0], self._knots[-1], period_s))
        self._stop = Stop(chunk.end_s, self._knots[-1], stop_s)
        self._fade = FadingOffset(chunk.end_s, self._knots[-1], stop_s)

    def at(self, now_s: float) -> Motion:
        """Return the motion at ``now_s``."""
        if now_s >= self.chunk.end_s:
            stopped = self._stop.at(now_s)
            if self._velocities is None:
                return stopped
            return chosen(self._velocities, self._fade.at(now_s), stopped)
        if now_s < self.chunk.start_s:
            return Motion.rest(self.chunk.actions[0])
        period_s = self.chunk.period_s
        passed_s = now_s - self.chunk.start_s
        i = min(int(passed_s / period_s), len(self._knots) - 2)
        if self._segment[0] != i:
            self._segment = (i, Quintic(self._knots[i], self._knots[i + 1], period_s))
        return self._segment[1].at(min(passed_s - i * period_s, period_s))


@dataclass(frozen=True)
class FadingOffset:
    """What is added to a new curve so that it begins where the old one was.

    It starts with ``begin`` and reaches zero, with zero velocity and acceleration, after
    ``duration_s``, along a quintic.

    Attributes:
        begin_s: The moment.
        begin: Offset and its derivatives then.
        duration_s: How long it fades.
    """

    begin_s: float
    begin: Motion
    duration_s: float

    def at(self, now_s: float) -> Motion:
        """Return the offset and its derivatives at ``now_s``."""
        passed_s = max(now_s - self.begin_s, 0.0)
        if passed_s >= self.duration_s:
            return Motion.rest(np.zeros_like(self.begin.position))
        return self._fade.at(passed_s)

    @cached_property
    def _fade(self) -> Quintic:
        zero = Motion.rest(np.zeros_like(self.begin.position))
        return Quintic(self.begin, zero, self.duration_s)


def fade_peaks(begin: Motion, duration_s: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return bounds of what a fade adds in velocity, acceleration and jerk, each (Da,).

    The highest values of the quintic for a difference in position alone, in velocity alone and
    in acceleration alone, added. What the difference has at its beginning is there anyway: it
    counts only where it must change.
    """
    d, v, a = (np.abs(each) for each in (begin.position, begin.velocity, begin.acceleration))
    t_s = duration_s
    velocity = 1.875 * d / t_s
    acceleration = 5.78 * d / t_s**2 + 4 * v / t_s
    jerk = 60 * d / t_s**3 + 36 * v / t_s**2 + 9 * a / t_s
    return velocity, acceleration, jerk
