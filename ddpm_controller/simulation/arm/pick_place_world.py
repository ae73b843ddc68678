"""Pick up the cube and put it on the pad; only the cameras see where they are."""

from typing import ClassVar

import mujoco
import numpy as np

from ddpm_controller.simulation.arm.arm_world import ArmWorld

CUBE_HALF = 0.022
PAD_HALF = 0.06
_LET_GO = CUBE_HALF + 0.008
"""Position of the gripper above which its fingers do not touch the cube, m."""
CUBE_YAW = 0.5
CUBE_AREA = ((0.28, 0.52), (-0.17, 0.17))
PAD_AREA = ((0.28, 0.52), (-0.17, 0.17))
"""(x, y) ranges of the centres, m."""
SEPARATION = 0.13
"""Smallest distance from cube to pad at the start, m: never begun half on it."""


class PickPlaceWorld(ArmWorld):
    """Success is the cube at rest on the pad, let go."""

    name: ClassVar[str] = "pick_place"
    timeout_s: ClassVar[float] = 15.0
    objects_mjcf: ClassVar[str] = (
        # The pad can not be touched: it is a mark on the table.
        '<body name="pad" mocap="true"><geom type="box" size="0.06 0.06 0.0015" contype="0" '
        'conaffinity="0" rgba="0.05 0.75 0.25 1"/></body>'
        '<body name="cube"><freejoint name="cube"/><geom name="cube" class="thing" type="box" '
        'size="0.022 0.022 0.022" mass="0.06" rgba="0.95 0.08 0.08 1"/></body>'
    )

    @property
    def cube(self) -> np.ndarray:
        """Centre of the cube, (3,), m."""
        return np.array(self._state.body("cube").xpos)

    @property
    def cube_yaw(self) -> float:
        """Direction of the cube's sides about the vertical, in [-pi/4, pi/4), rad."""
        rotation = self._state.body("cube").xmat
        angle = np.arctan2(rotation[3], rotation[0])
        return float((angle + np.pi / 4) % (np.pi / 2) - np.pi / 4)

    @property
    def pad(self) -> np.ndarray:
        """Centre of the pad, (3,), m."""
        return np.array(self._state.mocap_pos[0])

    def move_cube(self, offset: np.ndarray) -> None:
        """Shift the cube by ``offset`` (2,), m, staying inside its area."""
        lower, upper = np.transpose(CUBE_AREA)
        cube = self._state.joint("cube")
        cube.qpos[:2] = np.clip(cube.qpos[:2] + offset, lower, upper)
        cube.qvel[:] = 0.0
        mujoco.mj_forward(self.scene.model, self._state)

    def running_cost(self) -> float:
        """Return ``terminal_cost`` and the distance of the tip from a cube off the pad, m."""
        off_pad = min(1.0, self._way_of_cube() / PAD_HALF)
        return self.terminal_cost() + off_pad * float(np.linalg.norm(self.tip - self.cube))

    def terminal_cost(self) -> float:
        """Return how far the cube still has to go, and the fingers on the pad to open, m."""
        way = self._way_of_cube()
        on_pad = 1.0 - min(1.0, way / PAD_HALF)
        opening = 0.0 if self._let_go() else _LET_GO - float(self.positions[-1])
        return way + on_pad * opening

    def _place_objects(self, random: np.random.Generator) -> None:
        cube = random.uniform(*np.transpose(CUBE_AREA))
        pad = random.uniform(*np.transpose(PAD_AREA))
        while np.linalg.norm(cube - pad) < SEPARATION:
            pad = random.uniform(*np.transpose(PAD_AREA))
        yaw = random.uniform(-CUBE_YAW, CUBE_YAW)
        self._state.joint("cube").qpos[:] = [
            *(*cube, CUBE_HALF), *(np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)),
        ]  # fmt: skip
        self._state.mocap_pos[0] = [*pad, 0.0]

    def _at_goal(self) -> bool:
        cube = self.cube
        on_pad = np.abs(cube - self.pad)[:2].max() < PAD_HALF and cube[2] < CUBE_HALF + 0.008
        at_rest = np.linalg.norm(self._state.joint("cube").qvel[:3]) < 0.02
        return bool(on_pad and at_rest and self._let_go())

    def _let_go(self) -> bool:
        return bool(self.positions[-1] > _LET_GO or self.tip[2] - self.cube[2] > 0.05)

    def _way_of_cube(self) -> float:
        """Return the distance of the cube from where it rests in the middle of the pad, m."""
        return float(np.linalg.norm(self.cube - self.pad - np.array([0.0, 0.0, CUBE_HALF])))
