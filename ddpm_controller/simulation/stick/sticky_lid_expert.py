"""A scripted person who opens the lid, at the other tab if the first does not come."""

from collections.abc import Callable

import numpy as np

from ddpm_controller.simulation.stick.stick_hand import StickHand
from ddpm_controller.simulation.stick.sticky_lid_world import (
    BEHIND_M,
    TAB_ANGLES,
    TRAVEL_M,
    StickyLidWorld,
    random_home,
)

_ONSET_S = (0.2, 1.0)
_PAUSE_S = (0.3, 0.8)
"""At home, before the other tab."""
_GAP_M = 0.025
"""From the tab to where the tip goes down behind it."""
_GRIP_M = 0.045
_STUCK_M = 0.01
_APPROACH_S, _DESCEND_S, _PULL_S, _LEAVE_S, _RETURN_S = 0.9, 0.4, 0.8, 0.35, 0.8
_PATIENCE = 0.7
"""Share of the time of a pull after which a tab that has not come is locked."""


class StickyLidExpert:
    """Pulls A; if it does not come, lets go, pauses at home and pulls B.

    Each phase is a method that runs every tick and names the next one when it is over.

    Attributes:
        occasion: What happens in this episode: an element of ``stick_hand.OCCASIONS``.
    """

    def __init__(self, world: StickyLidWorld, seed: int) -> None:
        self._random = np.random.default_rng([seed, 1])
        self._world = world
        self._hand = StickHand(world, self._random)
        self.occasion = self._hand.occasion
        self._slowness = self._random.uniform(0.85, 1.2)
        self._tab = 0
        self._until_s = world.time_s + self._random.uniform(*_ONSET_S)
        self._next: Callable[[], None] = self._approach

    @property
    def done(self) -> bool:
        """Whether the lid is open."""
        return self._world.success

    def command(self) -> np.ndarray:
        """Return the command (3,) of this tick; call once before each step."""
        if self._world.time_s >= self._until_s:
            self._next()
        return self._hand.command()

    def _approach(self) -> None:
        angle = TAB_ANGLES[self._tab] + self._random.uniform(-0.03, 0.03)
        radius = BEHIND_M + _GAP_M + self._random.uniform(-0.005, 0.005)
        self._move(_APPROACH_S, self._descend, angle=angle, radius=radius)

    def _descend(self) -> None:
        self._move(_DESCEND_S, self._pull, height=_GRIP_M + self._random.uniform(-0.008, 0.008))

    def _pull(self) -> None:
        self._move(_PULL_S, self._hold, radius=BEHIND_M - TRAVEL_M - 0.01)
        self._until_s = self._world.time_s + _PATIENCE * _PULL_S * self._slowness

    def _hold(self) -> None:
        """Go on pulling, or let go of a tab that does not come."""
        if self._world.displacements[self._tab] < _STUCK_M:
            self._move(_LEAVE_S, self._rise, radius=BEHIND_M + _GAP_M)

    def _rise(self) -> None:
        self._home = random_home(self._random)
        self._move(_DESCEND_S, self._return, height=self._home[2])

    def _return(self) -> None:
        self._move(_RETURN_S, self._approach, angle=self._home[0], radius=self._home[1])
        self._until_s += self._random.uniform(*_PAUSE_S)
        self._tab = 1 - self._tab

    def _move(
        self,
        duration_s: float,
        then: Callable[[], None],
        angle: float = np.nan,
        radius: float = np.nan,
        height: float = np.nan,
    ) -> None:
        duration_s *= self._slowness
        self._hand.go(0.0, duration_s, angle=angle, radius=radius, height=height)
        self._until_s = self._world.time_s + duration_s
        self._next = then
