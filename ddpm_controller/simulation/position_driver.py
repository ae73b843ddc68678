"""A controller that takes positions of joints, as every simulated robot has one."""

from collections.abc import Mapping

import numpy as np

from ddpm_controller.simulation.world import NamedVector, World
from ddpm_controller.types import ActionSpec


class PositionDriver:
    """Rows of an action to set points of a world, and back.

    Args:
        world: Its set points stay where no column is theirs.
        spec: Columns of the action.

    Raises:
        ValueError: A column is no joint of the world, or no position.
    """

    def __init__(self, world: World, spec: ActionSpec) -> None:
        if set(spec.kinds) != {"joint_position"}:
            raise ValueError(
                f"the world {world.name!r} takes positions of joints only, the action has "
                f"{sorted(set(spec.kinds))}"
            )
        self._world = world
        self._joints = [world.joint_names.index(name) for name in spec.joint_names]

    def target(self, row: np.ndarray) -> np.ndarray:
        """Return the set points (D,) of the next tick under a row (Da,)."""
        target = self._world.command_in_force
        target[self._joints] = row
        return target

    def row_for(self, target: np.ndarray) -> np.ndarray:
        """Return the row (Da,) that leads the set points to ``target`` (D,)."""
        return target[self._joints]

    @property
    def vectors(self) -> Mapping[str, NamedVector]:
        """Nothing: it measures the joints only."""
        return {}
