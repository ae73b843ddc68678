"""From the limits in force into stricter ones, without a jump and without a stop.

A motion that is too fast for stricter limits cannot be led by them: no way within them begins
there. Each joint first loses what is too much, within the limits before, and is led within the
stricter ones from the moment on at which it could be stopped within them.
"""

import numpy as np

from ddpm_controller.control.moving.governor import Governor, Limited
from ddpm_controller.control.moving.interpolation import Motion, chosen
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.control.moving.step_limit import Bounds

_BELOW = 1e-6
"""Of the stricter velocity: so much below it a joint is, to be certain of it."""


class Tightening:
    """Stands in the place of the governor until every joint is within the stricter limits.

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
