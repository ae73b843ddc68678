"""A scripted drummer, who counts."""

import numpy as np

from ddpm_controller.simulation.stick.drum_world import SURFACE_M, DrumWorld, random_top
from ddpm_controller.simulation.stick.stick_arm import place_of
from ddpm_controller.simulation.stick.stick_hand import StickHand

PERIOD_S = (0.6, 0.9)
ONSET_S = (0.2, 1.0)
"""Ranges of the time between strikes and of the time before the first begins."""
_DOWN, _HOLD, _UP, _WAIT = 0.30, 0.12, 0.28, 0.30
"""Shares of a period. The stick stays on the drum for about a row of a policy at 10 Hz, which
would else see most strikes without their lowest point, and learn to strike beside it."""
_WAIT_SPREAD = 0.35
"""No two waits at the top are the same: a drummer, not a machine."""
_DEPTH_M = (0.035, 0.045)
_STRAY = np.array([0.03, 0.01])
"""Largest distance of a strike from the drummer's place: angle and radius."""


class DrumExpert:
    """Waits, strikes until the drum has counted enough, and rests.

    A strike that a push has spoilt is made up for.

    Attributes:
        occasion: What happens in this episode: an element of ``stick_hand.OCCASIONS``.
    """

    def __init__(self, world: DrumWorld, seed: int) -> None:
        self._random = np.random.default_rng([seed, 1])
        self._world = world
        self._hand = StickHand(world, self._random)
        self.occasion = self._hand.occasion
        self._place = place_of(world.command_in_force)[:2]
        self._period_s = self._random.uniform(*PERIOD_S)
        self._next_s = world.time_s + self._random.uniform(*ONSET_S)

    @property
    def done(self) -> bool:
        """Whether the strikes were made and the rest was kept."""
        return self._world.success

    def command(self) -> np.ndarray:
        """Return the command (3,) of this tick; call once before each step."""
        if self._world.time_s >= self._next_s and self._world.strikes < self._world.wanted:
            self._strike()
        return self._hand.command()

    def _strike(self) -> None:
        """Go down into the drum and up again; the next one begins when this is over."""
        random, period_s = self._random, self._period_s
        angle, radius = self._place + random.uniform(-_STRAY, _STRAY)
        wait_s = _WAIT * period_s * random.uniform(1 - _WAIT_SPREAD, 1 + _WAIT_SPREAD)
        bottom = SURFACE_M - random.uniform(*_DEPTH_M)
        self._hand.go(0.0, _DOWN * period_s, angle=angle, radius=radius, height=bottom)
        raised_s = (_DOWN + _HOLD) * period_s
        self._hand.go(raised_s, _UP * period_s, height=random_top(random))
        self._next_s = self._world.time_s + raised_s + _UP * period_s + wait_s
