"""A small, slow and smooth motion of one joint around where it is, to see how late it follows."""

import math
from dataclasses import dataclass

import numpy as np

from ddpm_controller.control.moving.interpolation import Motion
from ddpm_controller.control.moving.safety import JointLimits

_SHARE = 0.2
"""Of the velocity and acceleration limits that the motion may use."""
_ROOM = 0.9
"""Of the way to the nearest position limit that it may use."""
_SMALLEST = 0.2
"""Of the amplitude asked for; with less the joint is too near a limit to be measured."""


class ExcitationError(ValueError):
    """The joint cannot be moved as far as a measurement needs."""


@dataclass(frozen=True)
class Excitation:
    """A sine that begins and ends at rest: it swells and dies in half a period each.

    Attributes:
        centre: (Da,) where the joints are.
        joint: Index of the one that moves.
        amplitude: rad or m.
        period_s: Period of the sine.
        num_periods: At least 1.
    """

    centre: np.ndarray
    joint: int
    amplitude: float
    period_s: float = 2.0
    num_periods: int = 3

    def __post_init__(self) -> None:
        if not self.period_s > 0 or not self.amplitude > 0 or self.num_periods < 1:
            raise ValueError(
                f"period_s and amplitude must be above 0 and num_periods at least 1, got "
                f"{self.period_s}, {self.amplitude} and {self.num_periods}"
            )

    @property
    def duration_s(self) -> float:
        """From rest to rest."""
        return self.num_periods * self.period_s

    def at(self, passed_s: float) -> Motion:
        """Return the motion of all joints ``passed_s`` after the beginning."""
        position, velocity, acceleration = self._sine(min(max(passed_s, 0.0), self.duration_s))
        there = self.centre.copy()
        there[self.joint] += position
        speeds, changes = np.zeros_like(there), np.zeros_like(there)
        speeds[self.joint], changes[self.joint] = velocity, acceleration
        return Motion(there, speeds, changes)

    def _sine(self, passed_s: float) -> tuple[float, float, float]:
        """Return position, velocity and acceleration of window times sine."""
        w, dw, ddw = self._window(passed_s)
        rate = 2 * math.pi / self.period_s
        s, c = math.sin(rate * passed_s), rate * math.cos(rate * passed_s)
        return (
            self.amplitude * w * s,
            self.amplitude * (dw * s + w * c),
            self.amplitude * (ddw * s + 2 * dw * c - w * rate**2 * s),
        )

    def _window(self, passed_s: float) -> tuple[float, float, float]:
        half_s = self.period_s / 2
        left_s = self.duration_s - passed_s
        side = 1.0 if passed_s <= left_s else -1.0
        u = min(passed_s, left_s, half_s) / half_s
        window = u**3 * (10 + u * (-15 + 6 * u))
        slope = 30 * u**2 * (1 - u) ** 2 / half_s
        bend = 60 * u * (1 - u) * (1 - 2 * u) / half_s**2
        return window, side * slope, bend


def safe_amplitude(
    wish: float,
    centre: np.ndarray,
    joint: int,
    name: str,
    limits: JointLimits,
    period_s: float,
) -> float:
    """Return the largest amplitude up to ``wish`` that stays far inside the limits.

    Raises:
        ExcitationError: That is too little to measure.
    """
    rate = 2 * math.pi / period_s
    room = min(centre[joint] - limits.lower[joint], limits.upper[joint] - centre[joint])
    by_speed = _SHARE * limits.velocity[joint] / rate
    by_acceleration = _SHARE * limits.acceleration[joint] / rate**2
    amplitude = float(min(wish, _ROOM * room, by_speed, by_acceleration))
    if amplitude < _SMALLEST * wish:
        raise ExcitationError(
            f"{name} at {centre[joint]:.4f} is {room:.4f} from the nearest of its limits "
            f"[{limits.lower[joint]:.4f}, {limits.upper[joint]:.4f}] and may move at "
            f"{limits.velocity[joint]:.4g} per s: a motion of {wish:.4g} to both sides in "
            f"{period_s:g} s does not fit; move it away from the limit, or ask for a smaller or "
            "slower motion"
        )
    return amplitude
