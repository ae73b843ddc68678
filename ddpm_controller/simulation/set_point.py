"""The set point of a robot's position controller, and the physics steps of a world's tick."""

from collections.abc import Sequence

import mujoco
import numpy as np

from ddpm_controller.simulation.joints import JointRange


class SetPoint:
    """Where a position controller leads the joints: a command within the limits.

    Args:
        names: Of the joints, D of them.
        limits: Of position and velocity.
        tick_s: Time between two commands.
    """

    def __init__(self, names: Sequence[str], limits: JointRange, tick_s: float) -> None:
        self._names, self._limits = names, limits
        self._reach = limits.velocity * tick_s
        self._position = np.zeros(len(names))

    @property
    def position(self) -> np.ndarray:
        """In force, (D,), a copy."""
        return self._position.copy()

    def begin(self, position: np.ndarray) -> None:
        """Begin at ``position`` (D,)."""
        self._position = np.array(position)

    def follow(self, command: np.ndarray) -> np.ndarray:
        """Go towards ``command`` (D,) as far as the limits allow; return what is in force then.

        Raises:
            ValueError: The command has another shape or is not finite; nothing has changed.
        """
        command = np.asarray(command, dtype=np.float64)
        if command.shape != (len(self._names),) or not np.isfinite(command).all():
            raise ValueError(
                f"a command needs {len(self._names)} finite positions for {list(self._names)}, "
                f"got {command}"
            )
        inside = np.clip(command, self._limits.lower, self._limits.upper)
        self._position = np.clip(
            inside, self._position - self._reach, self._position + self._reach
        )
        return self._position


def num_substeps(model: mujoco.MjModel, tick_hz: float) -> int:
    """Return how many steps of the physics one tick has.

    Raises:
        ValueError: ``tick_hz`` does not divide the rate of the physics.
    """
    physics_hz = 1 / model.opt.timestep
    count = round(physics_hz / tick_hz) if tick_hz > 0 else 0
    if abs(count * tick_hz / physics_hz - 1.0) > 1e-9:
        raise ValueError(
            f"tick_hz {tick_hz} must divide {physics_hz:g} Hz, the rate of the physics; use for "
            "example 20, 25 or 50"
        )
    return count
