"""Add a world: objects, what success is, and a scripted expert that demonstrates it.

python examples/add_a_world.py

In the package the two classes are files of a family, ddpm_controller/simulation/stick/, and one
entry in ddpm_controller/simulation/worlds.py names them with a robot file and a recipe:

    "plate": WorldEntry(
        "stick.plate_world:PlateWorld",
        "stick.plate_expert:PlateExpert",
        robot="config/robots/plate.yaml",
        recipe="config/training/plate.yaml",
    ),
"""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from ddpm_controller.simulation.stick.stick_hand import StickHand
from ddpm_controller.simulation.stick.stick_world import StickWorld
from ddpm_controller.simulation.world import NamedVector

PLATE = np.array([0.35, 0.20, 0.06])
"""Centre of the plate's surface, m."""


class PlateWorld(StickWorld):
    """A plate on a post; success is the tip of the stick within 2 cm of its centre."""

    name: ClassVar[str] = "plate"
    timeout_s: ClassVar[float] = 4.0
    objects_mjcf: ClassVar[str] = (
        f'<body name="plate" pos="{PLATE[0]} {PLATE[1]} 0.03">'
        '<geom class="thing" type="cylinder" size="0.05 0.03" rgba="0.1 0.3 0.8 1"/></body>'
    )

    @property
    def success(self) -> bool:
        """Whether the tip is at the plate now."""
        return self.terminal_cost() < 0.02

    @property
    def tally(self) -> Mapping[str, float]:
        """Nothing: the world counts nothing."""
        return {}

    def running_cost(self) -> float:
        """Return ``terminal_cost``: there is nothing to do on the way."""
        return self.terminal_cost()

    def terminal_cost(self) -> float:
        """Return the distance of the tip from the plate's centre, m."""
        return float(np.linalg.norm(self.tip - PLATE))

    def _begin(self, random: np.random.Generator) -> np.ndarray:
        return np.array([random.uniform(-0.5, 0.0), 0.43, 0.15])  # angle, radius, height

    def _watch(self) -> None: ...

    def _judge(self) -> None: ...

    def _sensed(self, noise: np.random.Generator) -> Mapping[str, NamedVector]:
        return {}


class PlateExpert:
    """Moves the tip to the plate in one smooth movement; ``occasion`` is whether it is pushed."""

    def __init__(self, world: PlateWorld, seed: int) -> None:
        self._world, self._hand = world, StickHand(world, np.random.default_rng([seed, 1]))
        self.occasion = self._hand.occasion
        angle, radius = np.arctan2(PLATE[1], PLATE[0]), float(np.hypot(*PLATE[:2]))
        self._hand.go(0.1, 1.5, angle=angle, radius=radius, height=PLATE[2])

    @property
    def done(self) -> bool:
        """Whether there is nothing left to do."""
        return self._world.success

    def command(self) -> np.ndarray:
        """Return the command (3,) of this tick, rad."""
        return self._hand.command()


world = PlateWorld()
for seed in range(5):
    world.reset(seed)
    expert = PlateExpert(world, seed)
    start_m = world.terminal_cost()
    while not world.success and world.time_s < world.timeout_s:
        world.step(expert.command())
    print(
        f"seed {seed}, push: {expert.occasion}: {start_m:.2f} m to go, then "
        f"{world.terminal_cost():.3f} m after {world.time_s:.1f} s, success: {world.success}"
    )
world.close()
