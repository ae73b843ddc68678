"""The arm with a stick on its table; a task adds objects, what is hidden, and what success is."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Self

import mujoco
import numpy as np

from ddpm_controller.simulation.disturbances import UNPERTURBED, Disturbances, Perturbation, Push
from ddpm_controller.simulation.joints import JointRange
from ddpm_controller.simulation.scene import Scene
from ddpm_controller.simulation.set_point import SetPoint, num_substeps
from ddpm_controller.simulation.stick.stick_arm import (
    PUBLISHED_STICK_NAMES,
    STICK_JOINTS,
    STICK_NAMES,
    joints_for,
)
from ddpm_controller.simulation.stick.stick_description import (
    STICK_CAMERAS,
    stick_description,
    stick_mjcf,
)
from ddpm_controller.simulation.world import Camera, NamedVector

POSITION_NOISE = 0.004
VELOCITY_NOISE = 0.05
"""Standard deviations of what is measured, rad and rad/s."""
FAILURE_COST_M = 1.0
"""Cost of an episode that has failed; more than any way in reach of the arm."""
_VELOCITY_NAMES = tuple(f"{name}_velocity" for name in STICK_NAMES)
_NOISE_STREAM, _PERTURBATION_STREAM = 2, 3
"""Keep what is drawn from one seed apart; an expert has 1."""


class StickWorld(ABC):
    """Three joints, a ball at the tip, noisy sensors; position commands at a fixed tick.

    Deterministic: the same seed and commands give the same states and pictures, bit for bit.

    Args:
        tick_hz: Rate of ``step``; divides 200 Hz.
        scene: Model and renderer of another world of the same kind, to share them.
        perturbation: Of every episode.

    Attributes:
        name: Of the task.
        timeout_s: Time that an episode may reasonably take, unless it is stretched.
        joint_names: Order of every array of joints, rad.
        published_joint_names: The same in the order of the arm's driver.
        cameras: What ``render`` knows.
        tick_s: Time that one ``step`` advances.
        scene: Model and renderer.
        perturbation: As given.

    Raises:
        ValueError: ``tick_hz`` does not divide the rate of the physics.
    """

    name: ClassVar[str]
    timeout_s: ClassVar[float]
    objects_mjcf: ClassVar[str]
    extra_mjcf: ClassVar[str] = ""
    joint_names: ClassVar[tuple[str, ...]] = STICK_NAMES
    published_joint_names: ClassVar[tuple[str, ...]] = PUBLISHED_STICK_NAMES
    cameras: ClassVar[tuple[Camera, ...]] = STICK_CAMERAS

    def __init__(
        self,
        tick_hz: float = 50.0,
        scene: Scene | None = None,
        perturbation: Perturbation = UNPERTURBED,
    ) -> None:
        if scene is None:
            self.scene = Scene(stick_mjcf(self.objects_mjcf, self.extra_mjcf))
        else:
            self.scene = scene
        if perturbation.pull_backs:
            raise ValueError(f"nothing can be pulled back in the world {self.name!r}")
        self._owns_scene = scene is None
        model = self.scene.model
        self._num_substeps = num_substeps(model, tick_hz)
        self._tick_hz = tick_hz
        self.tick_s = 1.0 / tick_hz
        self.perturbation = perturbation
        self._state = mujoco.MjData(model)
        self._set_point = SetPoint(STICK_NAMES, JointRange.of(STICK_JOINTS), self.tick_s)
        self._joints = slice(0, len(STICK_NAMES))  # the arm comes first in the model
        self._hand = model.body("elbow_link").id
        # Views of the state, which live as long as it does: a look at them costs nothing.
        self._tip = self._state.site("tip").xpos
        self.reset(0)

    @staticmethod
    def robot_description() -> str:
        """Return the arm as URDF text."""
        return stick_description()

    def another(self) -> Self:
        """Return a further world at the same rate, on this one's model and renderer."""
        return type(self)(self._tick_hz, self.scene, self.perturbation)

    def reset(self, seed: int) -> None:
        """Begin the episode of ``seed``: what is hidden and where the tip is, anew each time."""
        mujoco.mj_resetData(self.scene.model, self._state)
        self._ticks = 0
        start = self._begin(np.random.default_rng(seed))
        joints = joints_for(start)
        self._set_point.begin(joints)
        self._state.qpos[self._joints] = joints
        self._state.act[:] = joints
        self._noise = np.random.default_rng([seed, _NOISE_STREAM])
        disturbing = np.random.default_rng([seed, _PERTURBATION_STREAM])
        self._disturbances = Disturbances(self.perturbation, disturbing)
        mujoco.mj_forward(self.scene.model, self._state)
        self._measure()

    def step(self, command: np.ndarray) -> None:
        """Advance one tick under ``command`` (3,), in the order of ``joint_names``.

        As a position controller does, it moves its set point only as far as the limits of
        position and velocity allow.

        Raises:
            ValueError: The command has another shape or is not finite; nothing has moved.
        """
        self._state.ctrl[:] = self._set_point.follow(command)
        self._state.xfrc_applied[self._hand, :3] = self._force()
        for _ in range(self._num_substeps):
            mujoco.mj_step(self.scene.model, self._state)
            self._watch()
        self._ticks += 1
        self._judge()
        self._measure()

    def push(self, push: Push) -> None:
        """Push the hand in this episode too."""
        self._disturbances.pushes.append(push)

    def render(self, camera: str) -> np.ndarray:
        """Return the picture of a camera, (96, 96, 3) uint8, RGB; black while occluded."""
        if self.occluded:
            return np.zeros((96, 96, 3), np.uint8)
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
        """Measured with noise, (3,), rad."""
        return self._positions.copy()

    @property
    def velocities(self) -> np.ndarray:
        """Measured with noise, (3,), rad/s."""
        return self._velocities.copy()

    @property
    def command_in_force(self) -> np.ndarray:
        """The set point after limits, (3,), rad."""
        return self._set_point.position

    @property
    def vectors(self) -> Mapping[str, NamedVector]:
        """``joint_velocity``, (3,), rad/s, and what the sensors of the task tell."""
        return self._vectors

    @property
    def score(self) -> None:
        """None: a goal is reached or it is not."""
        return None

    @property
    def instruction(self) -> str:
        """Empty: the task is the same in every episode."""
        return ""

    @property
    def occluded(self) -> bool:
        """Whether what is measured stands still now."""
        return self._disturbances.occluded(self.time_s)

    @property
    def tip(self) -> np.ndarray:
        """Centre of the ball, (3,), m, as it is."""
        return np.array(self._tip)

    @property
    @abstractmethod
    def success(self) -> bool:
        """Whether the goal is reached at this moment."""

    @property
    @abstractmethod
    def tally(self) -> Mapping[str, float]:
        """What has been counted in this episode, for evaluations; never observed."""

    @abstractmethod
    def running_cost(self) -> float:
        """Return the cost of a second in the present state."""

    @abstractmethod
    def terminal_cost(self) -> float:
        """Return how much is left to do in the present state."""

    @abstractmethod
    def _begin(self, random: np.random.Generator) -> np.ndarray:
        """Draw what is hidden and return the place (3,) at which the tip begins."""

    @abstractmethod
    def _watch(self) -> None:
        """Look at the state after each step of the physics."""

    @abstractmethod
    def _judge(self) -> None:
        """Look at the state after each tick."""

    @abstractmethod
    def _sensed(self, noise: np.random.Generator) -> Mapping[str, NamedVector]:
        """Return what the sensors of the task tell now."""

    def _force(self) -> np.ndarray:
        """Return the sum of what pushes the hand in the coming tick, (3,), N."""
        now_s, force = self.time_s, np.zeros(3)
        for push in self._disturbances.pushes:
            if push.start_s <= now_s < push.start_s + push.duration_s:
                force += push.force
        return force

    def _measure(self) -> None:
        if self._ticks and self.occluded:
            return
        position, velocity = self._noise.standard_normal((2, len(STICK_NAMES)))
        self._positions = self._state.qpos[self._joints] + POSITION_NOISE * position
        self._velocities = self._state.qvel[self._joints] + VELOCITY_NOISE * velocity
        speeds = NamedVector(_VELOCITY_NAMES, self._velocities)
        self._vectors = {"joint_velocity": speeds, **self._sensed(self._noise)}
