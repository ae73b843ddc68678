"""Copies of a model that differ in mass, friction and gains, for plans that expect to be wrong."""

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import mujoco  # when something is rolled out


@dataclass(frozen=True)
class PerturbedModels:
    """How many copies there are and how far they are from the model.

    Attributes:
        copies: Number of perturbed copies beside the model itself.
        mass: Largest share by which masses and inertias differ, in [0, 1).
        friction: Largest share by which the friction of all contacts differs.
        gain: Largest share by which the gains of all actuators differ.
        seed: Seed of the copies.
    """

    copies: int = 0
    mass: float = 0.0
    friction: float = 0.0
    gain: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.copies <= 64:
            raise ValueError(f"copies must be from 0 to 64, got {self.copies}")
        for name in ("mass", "friction", "gain"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be a share in [0, 1), got {getattr(self, name)}")

    def of(self, model: "mujoco.MjModel") -> "list[mujoco.MjModel]":
        """Return the model and its copies."""
        random = np.random.default_rng(self.seed)
        return [model, *(self._copy(model, random) for _ in range(self.copies))]

    def _copy(self, model: "mujoco.MjModel", random: np.random.Generator) -> "mujoco.MjModel":
        import mujoco

        found = copy.copy(model)
        mass, friction, gain = 1.0 + random.uniform(-1, 1, 3) * (
            self.mass,
            self.friction,
            self.gain,
        )
        found.body_mass[:] *= mass
        found.body_inertia[:] *= mass
        found.geom_friction[:] *= friction
        found.actuator_gainprm[:, 0] *= gain
        found.actuator_biasprm[:, 1:3] *= gain
        mujoco.mj_setConst(found, mujoco.MjData(found))
        return found
