"""What a robot on legs measures, with noise, delay and dropouts."""

from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

import mujoco
import numpy as np

from ddpm_controller.simulation.legged.conditions import LeggedConditions

NOISE: Mapping[str, float] = {
    "positions": 0.01,
    "velocities": 0.3,
    "orientation": 0.02,
    "angular_velocity": 0.1,
    "base_velocity": 0.05,
    "base_height": 0.01,
}
"""Standard deviations of noise 1: rad, rad/s, rad, rad/s, m/s and m."""


class Measured(NamedTuple):
    """One moment of the sensors.

    Attributes:
        positions: (12,) joints, rad.
        velocities: (12,) likewise, rad/s.
        orientation: (4,) quaternion w, x, y, z of the base.
        angular_velocity: (3,) in the frame of the base, rad/s.
        base_velocity: (3,) in the frame of the base, m/s.
        base_height: (1,) of the base above the ground, m.
    """

    positions: np.ndarray
    velocities: np.ndarray
    orientation: np.ndarray
    angular_velocity: np.ndarray
    base_velocity: np.ndarray
    base_height: np.ndarray


class Sensors:
    """Reads a state tick by tick.

    Args:
        conditions: Noise, delay and dropouts.
        random: Source of noise and dropouts.
    """

    def __init__(self, conditions: LeggedConditions, random: np.random.Generator) -> None:
        self._conditions, self._random = conditions, random
        self._waiting: deque[Measured] = deque(maxlen=conditions.delay_ticks + 1)
        self._newest: Measured | None = None

    def measure(self, state: mujoco.MjData) -> Measured:
        """Take a reading of ``state`` and return what comes out of the sensors now."""
        true = Measured(
            state.qpos[7:].copy(),
            state.qvel[6:].copy(),
            state.qpos[3:7] / np.linalg.norm(state.qpos[3:7]),
            state.sensor("gyro").data.copy(),
            state.sensor("local_linvel").data.copy(),
            state.qpos[2:3].copy(),
        )
        self._waiting.append(self._noisy(true) if self._conditions.noise else true)
        found = self._waiting[0]
        if self._newest is not None and self._conditions.dropouts:
            kept = self._random.uniform(size=len(found)) < self._conditions.dropouts
            pairs = zip(kept, self._newest, found, strict=True)
            found = Measured(*(old if is_kept else new for is_kept, old, new in pairs))
        self._newest = found
        return found

    def _noisy(self, true: Measured) -> Measured:
        scale, random = self._conditions.noise, self._random
        rows = {
            name: getattr(true, name) + scale * sigma * random.standard_normal(size)
            for name, sigma in NOISE.items()
            if name != "orientation"
            for size in [len(getattr(true, name))]
        }
        turned = np.empty(4)
        angles = scale * NOISE["orientation"] * random.standard_normal(3)
        small = np.append(1.0, angles / 2)
        mujoco.mju_mulQuat(turned, true.orientation, small / np.linalg.norm(small))
        return Measured(**rows, orientation=turned)
