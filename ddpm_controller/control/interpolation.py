"""Smooth curves in time: a cubic through the rows of a chunk, an offset that fades, a stop."""

from dataclasses import dataclass

import numpy as np

from ddpm_controller.types import ActionChunk


@dataclass(frozen=True)
class Motion:
    """Where a curve is at one moment.

    Attributes:
        position: (Da,) rad or m.
        velocity: (Da,) rad/s or m/s.
    """

    position: np.ndarray
    velocity: np.ndarray


def hermite(
    u: float | np.ndarray,
    first: np.ndarray,
    first_slope: np.ndarray,
    last: np.ndarray,
    last_slope: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Cubic Hermite segment at ``u`` in [0, 1]: value and derivative by ``u``, both (Da,)."""
    v = 1.0 - u
    value = (
        (1 + 2 * u) * v * v * first
        + u * v * v * first_slope
        + u * u * (3 - 2 * u) * last
        - u * u * v * last_slope
    )
    slope = (
        6 * u * v * (last - first) + v * (1 - 3 * u) * first_slope + u * (3 * u - 2) * last_slope
    )
    return value, slope


def monotone_slopes(rows: np.ndarray) -> np.ndarray:
    """Slopes per row, (Ta, Da), such that the cubic never leaves the range of two neighbours.

    Central differences, limited as in Fritsch & Carlson 1980 (Sec. 4): zero at a turning
    point and at most three times the smaller neighbouring step.
    """
    if len(rows) == 1:
        return np.zeros_like(rows)
    steps = np.diff(rows, axis=0)  # (Ta - 1, Da)
    before, after = steps[:-1], steps[1:]
    largest = 3 * np.minimum(np.abs(before), np.abs(after))
    inner = np.clip((before + after) / 2, -largest, largest)
    inner = np.where(before * after > 0, inner, 0.0)
    return np.concatenate([steps[:1], inner, steps[-1:]])


@dataclass(frozen=True)
class Stop:
    """From one motion to rest: the velocity falls linearly to zero in ``duration_s``."""

    begin_s: float
    begin: Motion
    duration_s: float

    def at(self, now_s: float) -> Motion:
        """Return the motion at ``now_s``; at rest once the duration is over."""
        passed_s = min(max(now_s - self.begin_s, 0.0), self.duration_s)
        left = 1.0 - passed_s / self.duration_s if self.duration_s > 0 else 0.0
        travelled_s = passed_s * (1.0 + left) / 2
        return Motion(
            self.begin.position + self.begin.velocity * travelled_s, self.begin.velocity * left
        )


class ChunkCurve:
    """A chunk as a curve in absolute time, continuous in position and velocity.

    Before the first row it rests there; behind the last row it comes to a stop within
    ``stop_s``, because nothing is known beyond.
    """

    def __init__(self, chunk: ActionChunk, stop_s: float) -> None:
        self.chunk = chunk
        self._slopes = monotone_slopes(chunk.actions)
        last = Motion(chunk.actions[-1], self._slopes[-1] / chunk.period_s)
        self._stop = Stop(chunk.end_s, last, stop_s)

    def at(self, now_s: float) -> Motion:
        """Return the motion at ``now_s``."""
        rows, period_s = self.chunk.actions, self.chunk.period_s
        if now_s >= self.chunk.end_s:
            return self._stop.at(now_s)
        if now_s < self.chunk.start_s:
            return Motion(rows[0], np.zeros_like(rows[0]))
        phase = (now_s - self.chunk.start_s) / period_s
        i = min(int(phase), len(rows) - 2)
        value, slope = hermite(
            min(phase - i, 1.0), rows[i], self._slopes[i], rows[i + 1], self._slopes[i + 1]
        )
        return Motion(value, slope / period_s)


@dataclass(frozen=True)
class FadingOffset:
    """What is added to a new curve so that it begins where the old one was.

    It starts with ``begin`` and reaches zero, with zero velocity, after ``duration_s``; each
    joint has a beginning of its own.

    Attributes:
        begin_s: (Da,) moments.
        begin: Offset and its velocity at these moments.
        duration_s: How long it fades.
    """

    begin_s: np.ndarray
    begin: Motion
    duration_s: float

    def at(self, now_s: float) -> Motion:
        """Return the offset and its velocity at ``now_s``."""
        zero = np.zeros_like(self.begin.position)
        u = np.clip((now_s - self.begin_s) / self.duration_s, 0.0, 1.0)  # (Da,)
        value, slope = hermite(
            u, self.begin.position, self.begin.velocity * self.duration_s, zero, zero
        )
        return Motion(value, slope / self.duration_s)
