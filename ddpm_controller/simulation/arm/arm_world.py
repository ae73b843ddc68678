"""The arm on its table; a task adds objects and defines success."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Self

import mujoco
import numpy as np

from ddpm_controller.simulation.arm.arm import (
    HOME,
    HOME_OPENING,
    HOME_TIP,
    JOINT_NAMES,
    PUBLISHED_JOINT_NAMES,
    joint_range,
)
from ddpm_controller.simulation.arm.cameras import CAMERAS
from ddpm_controller.simulation.arm.kinematics import Kinematics
from ddpm_controller.simulation.arm.mjcf import scene_mjcf
from ddpm_controller.simulation.arm.robot_description import robot_description
from ddpm_controller.simulation.scene import Scene
from ddpm_controller.simulation.set_point import SetPoint, num_substeps
from ddpm_controller.simulation.world import Camera, NamedVector

SUCCESS_HOLD_S = 0.3


class ArmWorld(ABC):
    """Six joints, a gripper, two cameras; position commands at a fixed tick.

    Deterministic: the same seed and commands give the same states and pictures, bit for bit.

    Attributes:
        name: Name of the task.
        timeout_s: Time that an episode may reasonably take.
        joint_names: Order of every array of joints: rad, and m for the gripper.
        published_joint_names: The same in the order of the arm's driver.
        cameras: What ``render`` knows.
        tick_s: Time that one ``step`` advances.
        scene: Model and renderer; pass it to another world of the same kind to share it.
    """

    name: ClassVar[str]
    timeout_s: ClassVar[float]
    objects_mjcf: ClassVar[str]
    joint_names: ClassVar[tuple[str, ...]] = JOINT_NAMES
    published_joint_names: ClassVar[tuple[str, ...]] = PUBLISHED_JOINT_NAMES
    cameras: ClassVar[tuple[Camera, ...]] = CAMERAS

    def __init__(self, tick_hz: float = 50.0, scene: Scene | None = None) -> None:
        self.scene = Scene(scene_mjcf(self.objects_mjcf)) if scene is None else scene
        self._owns_scene = scene is None
        model = self.scene.model
        self._num_substeps = num_substeps(model, tick_hz)
        self._tick_hz = tick_hz
        self.tick_s = 1.0 / tick_hz
        self.kinematics = Kinematics(model)
        self._state = mujoco.MjData(model)
        self._set_point = SetPoint(JOINT_NAMES, joint_range(), self.tick_s)
        self._position_index = [model.joint(name).qposadr[0] for name in JOINT_NAMES]
        self._velocity_index = [model.joint(name).dofadr[0] for name in JOINT_NAMES]
        self._mirror_index = model.joint("gripper_mirror").qposadr[0]
        self._hand = model.body("wrist_roll_link").id
        self.reset(0)

    @staticmethod
    def robot_description() -> str:
        """Return the arm as URDF text."""
        return robot_description()

    def another(self) -> Self:
        """Return a further world at the same rate, on this one's model and renderer."""
        return type(self)(self._tick_hz, scene=self.scene)

    def reset(self, seed: int) -> None:
        """Begin the episode of ``seed``: arm near home, objects somewhere else each time."""
        mujoco.mj_resetData(self.scene.model, self._state)
        random = np.random.default_rng(seed)
        position = np.array(HOME_TIP) + random.uniform(-0.03, 0.03, 3)
        joints = self.kinematics.joints_for(position, random.uniform(-0.15, 0.15), np.array(HOME))
        opening = random.uniform(HOME_OPENING - 0.01, HOME_OPENING + 0.01)
        start = np.append(joints, opening)
        self._set_point.begin(start)
        self._state.qpos[self._position_index] = start
        self._state.qpos[self._mirror_index] = opening
        self._state.act[:] = start
        self._place_objects(random)
        self._ticks = 0
        self._held_ticks = 0
        self._push_ticks = 0
        mujoco.mj_forward(self.scene.model, self._state)

    def step(self, command: np.ndarray) -> None:
        """Advance one tick under ``command`` (7,), in the order of ``joint_names``.

        As a position controller does, it moves its set point only as far as the limits of
        position and velocity allow.

        Raises:
            ValueError: The command has another shape or is not finite; nothing has moved.
        """
        self._state.ctrl[:] = self._set_point.follow(command)
        if self._push_ticks == 0:
            self._state.xfrc_applied[self._hand] = 0.0
        self._push_ticks = max(0, self._push_ticks - 1)
        mujoco.mj_step(self.scene.model, self._state, self._num_substeps)
        self._ticks += 1
        self._held_ticks = self._held_ticks + 1 if self._at_goal() else 0

    def push(self, force: np.ndarray, duration_s: float) -> None:
        """Push the hand from now on with ``force`` (3,), N, for a while."""
        self._state.xfrc_applied[self._hand, :3] = force
        self._push_ticks = round(duration_s / self.tick_s)

    def render(self, camera: str) -> np.ndarray:
        """Return the picture of a camera, (96, 96, 3) uint8, RGB."""
        return self.scene.render(self._state, camera)

    def close(self) -> None:
        """Free the renderer, if it is this world's own."""
        if self._owns_scene:
            self.scene.close()

    @property
    def time_s(self) -> float:
        """Time since reset."""
        return self._ticks * self.tick_s

    @property
    def positions(self) -> np.ndarray:
        """Measured, (7,), rad and m."""
        return np.array(self._state.qpos[self._position_index])

    @property
    def velocities(self) -> np.ndarray:
        """Measured, (7,), rad/s and m/s."""
        return np.array(self._state.qvel[self._velocity_index])

    @property
    def command_in_force(self) -> np.ndarray:
        """The set point after limits, (7,), rad and m."""
        return self._set_point.position

    @property
    def success(self) -> bool:
        """Whether the goal has been held for ``SUCCESS_HOLD_S``."""
        return self._held_ticks * self.tick_s >= SUCCESS_HOLD_S - 1e-9

    @property
    def vectors(self) -> Mapping[str, NamedVector]:
        """Nothing: only the cameras see the objects."""
        return {}

    @property
    def score(self) -> None:
        """None: a goal is reached or it is not."""
        return None

    @property
    def tally(self) -> Mapping[str, float]:
        """Empty: nothing is counted."""
        return {}

    @property
    def instruction(self) -> str:
        """Empty: the task is the same in every episode."""
        return ""

    @property
    def tip(self) -> np.ndarray:
        """Point between the finger tips, (3,), m."""
        return np.array(self._state.site("tip").xpos)

    @property
    def yaw(self) -> float:
        """Of the hand about the vertical, rad."""
        rotation = self._state.site("tip").xmat
        return float(np.arctan2(rotation[3], rotation[0]))

    @abstractmethod
    def running_cost(self) -> float:
        """Return the cost of a second in the present state, m."""

    @abstractmethod
    def terminal_cost(self) -> float:
        """Return how much is left to do in the present state, m."""

    @abstractmethod
    def _place_objects(self, random: np.random.Generator) -> None:
        """Place the objects by the seed."""

    @abstractmethod
    def _at_goal(self) -> bool:
        """Return whether the goal is fulfilled at this moment."""
