"""A Unitree Go1 that walks on a flat floor as it is requested to."""

from collections.abc import Mapping
from typing import ClassVar

import mujoco
import numpy as np

from ddpm_controller.simulation.legged.conditions import (
    NOMINAL,
    LeggedConditions,
    pushes,
    requests,
)
from ddpm_controller.simulation.legged.go1_model import (
    JOINT_NAMES,
    PUBLISHED_NAMES,
    go1_description,
    go1_model,
    home,
)
from ddpm_controller.simulation.legged.sensors import Sensors
from ddpm_controller.simulation.legged.tracking import Tracking
from ddpm_controller.simulation.set_point import num_substeps
from ddpm_controller.simulation.world import Camera, NamedVector

EPISODE_S = 10.0
FALLEN_HEIGHT_M, FALLEN_UPRIGHT = 0.15, 0.5
"""Lower, or further tilted, the robot has fallen; upright is the cosine of the tilt."""
ORIENTATION_NAMES = tuple(
    f"orientation.{each}" for each in ("r11", "r21", "r31", "r12", "r22", "r32")
)
"""The first two columns of the rotation matrix, as a stream of an orientation has them."""
REQUEST_NAMES = ("wished_velocity_x", "wished_velocity_y", "wished_yaw_rate")
_START_JOINTS, _START_SPEEDS = 0.03, 0.05
"""Standard deviations at the start, rad, and rad/s or m/s."""
_REQUEST_STREAM, _PUSH_STREAM, _NOISE_STREAM = 1, 2, 3
"""Keep what is drawn from one seed apart."""


class Go1World:
    """Twelve joints that follow position targets, a base that moves, and a requested velocity.

    An episode is a success when it has lasted 10 s without a fall and the base has followed the
    request; a fall ends nothing, since what follows it may matter.

    Args:
        tick_hz: Rate of ``step``; divides 250 Hz.
        perturbation: Load, ground, pushes, sensors and request of every episode.

    Attributes:
        name: Name of the task.
        timeout_s: Time after which an episode that has not succeeded is over.
        joint_names: Order of every array of joints, rad.
        published_joint_names: The same in the order of the robot's driver.
        cameras: None.
        tick_s: Time that one ``step`` advances.
        request_stream: Stream of the requested velocity.
        perturbation: As given.
        model: Model of the robot and its ground.

    Raises:
        ValueError: ``tick_hz`` does not divide the rate of the physics.
    """

    name: ClassVar[str] = "go1"
    timeout_s: ClassVar[float] = EPISODE_S + 0.5
    joint_names: ClassVar[tuple[str, ...]] = JOINT_NAMES
    published_joint_names: ClassVar[tuple[str, ...]] = PUBLISHED_NAMES
    cameras: ClassVar[tuple[Camera, ...]] = ()
    request_stream: ClassVar[str] = "cmd_vel"

    def __init__(self, tick_hz: float = 50.0, perturbation: LeggedConditions = NOMINAL) -> None:
        self.model = go1_model(perturbation.extra_mass_kg, perturbation.friction)
        self._num_substeps = num_substeps(self.model, tick_hz)
        self._tick_hz, self.tick_s = tick_hz, 1.0 / tick_hz
        self.perturbation = perturbation
        self._state = mujoco.MjData(self.model)
        self._lower, self._upper = self.model.jnt_range[1:].T
        self.reset(0)

    @staticmethod
    def robot_description() -> str:
        """Return the robot as URDF text."""
        return go1_description()

    def another(self) -> "Go1World":
        """Return a further world of this kind and rate."""
        return Go1World(self._tick_hz, self.perturbation)

    def reset(self, seed: int) -> None:
        """Begin the episode of ``seed``: the robot stands, nearly in its home pose."""
        seed %= 2**64
        state, random = self._state, np.random.default_rng(seed)
        mujoco.mj_resetDataKeyframe(self.model, state, self.model.key("home").id)
        state.qpos[7:] += _START_JOINTS * random.standard_normal(12)
        state.qvel[:] = _START_SPEEDS * random.standard_normal(18)
        mujoco.mj_forward(self.model, state)
        self._ticks, self._fallen = 0, False
        duration_s = self.perturbation.stretch * EPISODE_S
        self._requests = requests(
            self.perturbation, duration_s, np.random.default_rng([seed, _REQUEST_STREAM])
        )
        self._pushes = pushes(
            self.perturbation, duration_s, np.random.default_rng([seed, _PUSH_STREAM])
        )
        self._led: np.ndarray | None = None
        noise = np.random.default_rng([seed, _NOISE_STREAM])
        self._sensors = Sensors(self.perturbation, noise)
        self._tracking = Tracking(self.tick_s)
        self._measured = self._sensors.measure(state)

    def step(self, command: np.ndarray) -> None:
        """Advance one tick under position targets (12,), in the order of ``joint_names``.

        Targets beyond the range of a joint are those of its end.

        Raises:
            ValueError: The command has another shape or is not finite; nothing has moved.
        """
        command = np.asarray(command, dtype=np.float64)
        if command.shape != (len(JOINT_NAMES),) or not np.isfinite(command).all():
            raise ValueError(
                f"a command needs {len(JOINT_NAMES)} finite positions for {list(JOINT_NAMES)}, "
                f"got {command}"
            )
        self._state.ctrl[:] = np.clip(command, self._lower, self._upper)
        for _ in range(self._num_substeps):
            mujoco.mj_step(self.model, self._state)
        self._ticks += 1
        self._push()
        self._fallen = self._fallen or self._lies()
        self._tracking.note(self.base_velocity, self.request)
        self._measured = self._sensors.measure(self._state)

    def lead(self, request: np.ndarray | None) -> None:
        """Let ``request`` (3,) be the requested velocity; None: that of the episode."""
        before = self._led
        self._led = None if request is None else np.array(request, dtype=np.float64)
        if (before is None) != (request is None):
            self._tracking.restart()  # another source leads

    def render(self, camera: str) -> np.ndarray:
        """Raise ValueError: there is no camera."""
        raise ValueError(f"no camera {camera!r}; the world go1 has none")

    def close(self) -> None:
        """Free nothing."""

    @property
    def time_s(self) -> float:
        """Time since reset."""
        return self._ticks * self.tick_s

    @property
    def positions(self) -> np.ndarray:
        """Measured, (12,), rad."""
        return self._measured.positions.copy()

    @property
    def velocities(self) -> np.ndarray:
        """Measured, (12,), rad/s."""
        return self._measured.velocities.copy()

    @property
    def command_in_force(self) -> np.ndarray:
        """Position targets, (12,), rad."""
        return self._state.ctrl.copy() if self._ticks else home(self.model)

    @property
    def request(self) -> np.ndarray:
        """Requested velocity now, (3,), m/s and rad/s."""
        if self._led is not None:
            return self._led.copy()
        past = [request for begin_s, request in self._requests if begin_s <= self.time_s + 1e-9]
        return past[-1].copy()

    @property
    def base_velocity(self) -> np.ndarray:
        """Velocity of the base in its own frame, forward, to the left, and yaw rate, (3,)."""
        linear, gyro = self._state.sensor("local_linvel").data, self._state.sensor("gyro").data
        return np.array([linear[0], linear[1], gyro[2]])

    @property
    def height_m(self) -> float:
        """Height of the base above the ground."""
        return float(self._state.qpos[2])

    @property
    def feet_m(self) -> np.ndarray:
        """Heights of the feet above the ground, (4,), in the order FR, FL, RR, RL."""
        heights = [self._state.geom(leg).xpos[2] for leg in ("FR", "FL", "RR", "RL")]
        return np.array(heights) - self.model.geom("FR").size[0]

    @property
    def state(self) -> tuple[np.ndarray, np.ndarray]:
        """Positions (19,) and velocities (18,) of the model as they are, without noise."""
        return self._state.qpos.copy(), self._state.qvel.copy()

    @property
    def fallen(self) -> bool:
        """Whether the robot has fallen in this episode."""
        return self._fallen

    @property
    def success(self) -> bool:
        """Whether the episode has lasted long enough, without a fall and as it was requested."""
        is_over = self.time_s >= self.perturbation.stretch * EPISODE_S - 1e-9
        return is_over and not self._fallen and self._tracking.follows

    @property
    def vectors(self) -> Mapping[str, NamedVector]:
        """Orientation, angular velocity, velocity and height of the base, and the request."""
        measured = self._measured
        return {
            "orientation": NamedVector(ORIENTATION_NAMES, _six_numbers(measured.orientation)),
            "angular_velocity": NamedVector(_axes("angular_velocity"), measured.angular_velocity),
            "base_velocity": NamedVector(_axes("base_velocity"), measured.base_velocity),
            "base_height": NamedVector(("base_height",), measured.base_height),
            self.request_stream: NamedVector(REQUEST_NAMES, self.request),
        }

    @property
    def score(self) -> None:
        """None: an episode succeeds or it does not."""
        return None

    @property
    def tally(self) -> Mapping[str, float]:
        """Falls, and the mean errors of velocity, m/s, and yaw rate, rad/s; NaN at first."""
        return {
            "falls": float(self._fallen),
            "velocity_error": self._tracking.velocity_error,
            "yaw_rate_error": self._tracking.yaw_rate_error,
        }

    @property
    def instruction(self) -> str:
        """Empty: the request is a velocity."""
        return ""

    def running_cost(self) -> float:
        """Return ``terminal_cost`` and the distance from the requested velocity, m/s and rad/s."""
        return self.terminal_cost() + float(np.linalg.norm(self.base_velocity - self.request))

    def terminal_cost(self) -> float:
        """Return the share of the episode that is left, and 1 more once the robot has fallen."""
        whole_s = self.perturbation.stretch * EPISODE_S
        return max(1.0 - self.time_s / whole_s, 0.0) + float(self._fallen)

    def _lies(self) -> bool:
        _, x, y, _ = self._state.qpos[3:7] / np.linalg.norm(self._state.qpos[3:7])
        upright = 1.0 - 2.0 * (x * x + y * y)
        return bool(self.height_m < FALLEN_HEIGHT_M or upright < FALLEN_UPRIGHT)

    def _push(self) -> None:
        """Add the velocity of every push since the tick before."""
        for moment_s, velocity in self._pushes:
            if self.time_s - self.tick_s + 1e-9 < moment_s <= self.time_s + 1e-9:
                self._state.qvel[:2] += velocity


def _axes(name: str) -> tuple[str, ...]:
    return tuple(f"{name}_{axis}" for axis in "xyz")


def _six_numbers(quaternion: np.ndarray) -> np.ndarray:
    """Return the first two columns of the rotation of a quaternion w, x, y, z."""
    w, x, y, z = map(float, quaternion)
    return np.array(
        [
            1.0 - 2.0 * (y * y + z * z),
            2.0 * (x * y + z * w),
            2.0 * (x * z - y * w),
            2.0 * (x * y - z * w),
            1.0 - 2.0 * (x * x + z * z),
            2.0 * (y * z + x * w),
        ]
    )
