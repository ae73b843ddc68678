"""What a trajectory controller makes of two points: a line, a cubic or a quintic in time."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Point:
    """Joints at one moment.

    Attributes:
        position: (Da,) rad or m.
        velocity: (Da,) rad/s or m/s; None where none was given.
        acceleration: (Da,) rad/s^2 or m/s^2; None where none was given.
    """

    position: np.ndarray
    velocity: np.ndarray | None = None
    acceleration: np.ndarray | None = None

    def completed(self) -> "Point":
        """Return the same with zeros for what was not given."""
        zero = np.zeros_like(self.position)
        return Point(
            self.position,
            zero if self.velocity is None else self.velocity,
            zero if self.acceleration is None else self.acceleration,
        )


def between(first: Point, last: Point, duration_s: float, passed_s: float) -> Point:
    """Return where the joints are ``passed_s`` after ``first``, ``duration_s`` before ``last``.

    Positions on both ends: a line. Velocities too: a cubic. Accelerations too: a quintic.
    """
    t, T = passed_s, duration_s
    p, d = first.position, last.position - first.position
    v0, v1 = first.velocity, last.velocity
    if v0 is None or v1 is None:
        slope = d / T
        return Point(p + slope * t, slope, np.zeros_like(p))
    # Error of the polynomial that the first point alone gives, at the end.
    a0, a1 = first.acceleration, last.acceleration
    if a0 is None or a1 is None:
        e, f = d - v0 * T, v1 - v0
        terms = [(2, 3 * e / T**2 - f / T), (3, -2 * e / T**3 + f / T**2)]
        start = 0.0 * v0
    else:
        e, f, g = d - v0 * T - a0 * T**2 / 2, v1 - v0 - a0 * T, a1 - a0
        terms = [
            (3, 10 * e / T**3 - 4 * f / T**2 + g / (2 * T)),
            (4, -15 * e / T**4 + 7 * f / T**3 - g / T**2),
            (5, 6 * e / T**5 - 3 * f / T**4 + g / (2 * T**3)),
        ]
        start = a0
    return Point(
        p + v0 * t + start * t**2 / 2 + sum(c * t**n for n, c in terms),
        v0 + start * t + sum(n * c * t ** (n - 1) for n, c in terms),
        start + sum(n * (n - 1) * c * t ** (n - 2) for n, c in terms),
    )
