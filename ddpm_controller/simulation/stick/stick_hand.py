"""The hand of an expert with a stick: a smooth path of places, as joint commands."""

import numpy as np

from ddpm_controller.simulation.disturbances import random_push
from ddpm_controller.simulation.stick.stick_arm import joints_for, place_of
from ddpm_controller.simulation.stick.stick_world import StickWorld
from ddpm_controller.simulation.submovements import Submovements

OCCASIONS = ("none", "push")
_CHANCES = (0.6, 0.4)
_MOST_PUSHES = 3


class StickHand:
    """Moves the tip from wherever it is; in some episodes a hand pushes it.

    Attributes:
        occasion: What happens in this episode: an element of ``OCCASIONS``.
        path: Path of the tip: angle, radius, height.
    """

    def __init__(self, world: StickWorld, random: np.random.Generator) -> None:
        self._world = world
        self.path = Submovements(place_of(world.command_in_force))
        self.occasion = str(random.choice(OCCASIONS, p=_CHANCES))
        if self.occasion == "push":
            for _ in range(random.integers(1, _MOST_PUSHES, endpoint=True)):
                world.push(random_push(random))

    def go(
        self,
        delay_s: float,
        duration_s: float,
        *,
        angle: float = np.nan,
        radius: float = np.nan,
        height: float = np.nan,
    ) -> None:
        """Make a place the end of the path; what is left out stays as it is then.

        Args:
            delay_s: From now to the begin.
            duration_s: Duration of the movement.
            angle: rad.
            radius: m.
            height: m.
        """
        target = np.array([angle, radius, height])
        self.path.go(target, self._world.time_s + delay_s, duration_s)

    def command(self) -> np.ndarray:
        """Return the joint command (3,) for the present moment, rad."""
        return joints_for(self.path.at(self._world.time_s))
