"""A scripted person who remembers which light was on."""

import numpy as np

from ddpm_controller.simulation.stick.cue_reach_world import PLACES, CueReachWorld
from ddpm_controller.simulation.stick.stick_hand import StickHand

_REACTION_S = (0.15, 0.35)
_DURATION_S = (0.8, 1.2)
_STRAY = np.array([0.02, 0.008, 0.006])
"""Largest distance of the aim from the centre of the place: angle, radius, height."""


class CueReachExpert:
    """Waits at home for the go, and then reaches.

    Attributes:
        occasion: What happens in this episode: an element of ``stick_hand.OCCASIONS``.
    """

    def __init__(self, world: CueReachWorld, seed: int) -> None:
        random = np.random.default_rng([seed, 1])
        self._world = world
        self._hand = StickHand(world, random)
        self.occasion = self._hand.occasion
        self._reaction_s = random.uniform(*_REACTION_S)
        self._duration_s = random.uniform(*_DURATION_S)
        self._aim = np.array(PLACES[world.place]) + random.uniform(-_STRAY, _STRAY)
        self._waited_s = 0.0
        self._gone = False

    @property
    def done(self) -> bool:
        """Whether the place is held."""
        return self._world.success

    def command(self) -> np.ndarray:
        """Return the command (3,) of this tick; call once before each step."""
        if self._world.may_go and not self._gone:
            self._waited_s += self._world.tick_s
            if self._waited_s >= self._reaction_s:
                angle, radius, height = self._aim
                self._hand.go(0.0, self._duration_s, angle=angle, radius=radius, height=height)
                self._gone = True
        return self._hand.command()
