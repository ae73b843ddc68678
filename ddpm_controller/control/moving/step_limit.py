"""How far a command may be from the measured position, whatever the robot does.

The bounds of a moment are those within which the motion and the fastest stop behind it have to
stay. They follow the robot: where it stands still, so do they, and what is led comes to rest.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ddpm_controller.control.moving.braking import stopping_distance
from ddpm_controller.control.moving.safety import JointLimits

_SLOWEST_SHARE = 0.1
"""Of the velocity limit: a step that does not allow even this is worth a warning."""


@dataclass(frozen=True)
class Bounds:
    """Positions between which a motion has to stay, inside the joint limits.

    Attributes:
        lower: (Da,) lowest, rad or m.
        upper: (Da,) highest.
    """

    lower: np.ndarray
    upper: np.ndarray

    def clip(self, position: np.ndarray) -> np.ndarray:
        """Return the nearest position (Da,) inside."""
        inside: np.ndarray = np.minimum(np.maximum(position, self.lower), self.upper)
        return inside


class StepLimit:
    """Bounds around the measured position, moment by moment.

    Where a motion is decided ahead of now, the robot may be anywhere between where it is measured
    and where it is led until then: the bounds hold around all of these.

    Args:
        limits: Limits of the joints, with the step.
        led_s: Time before a moment in which the robot may be where it is led: what its commands
            are ahead of the clock and it lags.
    """

    def __init__(self, limits: JointLimits, led_s: float = 0.0) -> None:
        self._limits, self._led_s = limits, led_s
        self.is_finite = bool(np.isfinite(limits.step).any())
        self._led: deque[tuple[float, np.ndarray]] = deque()

    def copied(self) -> "StepLimit":
        """Return another one that knows the same."""
        return self.within(self._limits)

    def within(self, limits: JointLimits) -> "StepLimit":
        """Return another one that knows the same, for other limits."""
        another = StepLimit(limits, self._led_s)
        another._led = self._led.copy()
        return another

    def forget(self) -> None:
        """Begin afresh: what was led before does not count."""
        self._led.clear()

    def note(self, moment_s: float, position: np.ndarray) -> None:
        """Note where the robot is led at a moment, (Da,)."""
        if not self.is_finite or self._led_s == 0:
            return
        while self._led and self._led[-1][0] >= moment_s:  # the clock went back
            self._led.pop()
        self._led.append((moment_s, position))
        while self._led[0][0] < moment_s - self._led_s:
            self._led.popleft()

    def around(self, measured: np.ndarray | None) -> Bounds | None:
        """Return the bounds of the next moment for a robot at ``measured`` (Da,)."""
        if measured is None or not self.is_finite:
            return None
        step, limits = self._limits.step, self._limits
        measured = limits.resting(measured)
        lowest = highest = measured
        if self._led:
            rows = np.array([position for _, position in self._led])
            lowest = np.minimum(measured, rows.min(axis=0))
            highest = np.maximum(measured, rows.max(axis=0))
        # A robot that was thrown off its way counts alone.
        lower = np.minimum(highest - step, measured)
        upper = np.maximum(lowest + step, measured)
        inside = (np.clip(each, limits.lower, limits.upper) for each in (lower, upper))
        return Bounds(*inside)


def needed_step(limits: JointLimits, late_s: float) -> np.ndarray:
    """Return the step (Da,) that a motion at a tenth of the velocity limits needs.

    It is what the joint moves until the robot is measured there, and the fastest stop.

    Args:
        limits: Limits of the joints.
        late_s: Time by which a command is ahead of the measured position: the committed lead,
            the latencies and one period of the measurement.
    """
    speed = _SLOWEST_SHARE * limits.velocity
    way = stopping_distance(speed, limits.acceleration, limits.jerk)
    needed: np.ndarray = speed * late_s + way
    return needed


def small_steps(limits: JointLimits, names: Sequence[str], late_s: float) -> str:
    """Return in words which joints hardly move for their step, with the figures, or nothing."""
    needed = needed_step(limits, late_s)
    found = [
        f"{name} has {limits.step[i]:.4g} and needs {needed[i]:.4g} for a tenth of its velocity "
        "limit"
        for i, name in enumerate(names)
        if limits.step[i] < needed[i]
    ]
    if not found:
        return ""
    return (
        f"max_step_from_measured is so small that the robot hardly moves: {', '.join(found)}, "
        f"since a command is {late_s:.3f} s ahead of what is measured and has to stop within "
        "the step; raise it in the joint-limits file, or lower command.stream_lead_s"
    )
