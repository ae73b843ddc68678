"""PushT: push a T onto its place, the benchmark of Florence et al. 2021 and Chi et al. 2023.

The physics and the pictures are gym-pusht's, which is imported when a world is made and not
before. Lengths are metres at one millimetre per pixel of the published task.
"""

import os
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from ddpm_controller.simulation.pusht.plane_camera import PlaneCamera
from ddpm_controller.simulation.pusht.pusht_block import (
    CORNER_NAMES,
    METRES_PER_PIXEL,
    PUSHER_NAMES,
    block_corners,
    goal_coverage,
    goal_distance,
)
from ddpm_controller.simulation.pusht.pusht_description import BOARD_M, pusht_description
from ddpm_controller.simulation.world import Camera, NamedVector

SUCCESS_COVERAGE = 0.95
"""Part of the goal that the T must cover more than; the published threshold."""
PHYSICS_HZ = 100.0


class PushTWorld:
    """A round pusher on two prismatic joints, a T on a board, and the place where it belongs.

    A command is where a PD controller pulls the pusher to, held over the tick, as in the human
    demonstrations. It is cut to the board; the world has no other limit. A command that is held
    for 0.1 s moves everything as a step of gym-pusht does, bit for bit.

    Attributes:
        name: Of the task.
        timeout_s: 300 steps of the published 10 Hz.
        joint_names: Order of every array of joints, m.
        published_joint_names: The same order.
        cameras: ``camera_top``, the published picture of 96 x 96 pixels.
        tick_s: Time that one ``step`` advances.

    Raises:
        ValueError: ``tick_hz`` does not divide the rate of the physics.
        RuntimeError: gym-pusht is not installed; says how to.
    """

    name: ClassVar[str] = "pusht"
    timeout_s: ClassVar[float] = 30.0
    joint_names: ClassVar[tuple[str, ...]] = PUSHER_NAMES
    published_joint_names: ClassVar[tuple[str, ...]] = PUSHER_NAMES
    cameras: ClassVar[tuple[Camera, ...]] = (PlaneCamera("camera_top", BOARD_M),)

    def __init__(self, tick_hz: float = 50.0) -> None:
        if not tick_hz > 0 or abs(PHYSICS_HZ / tick_hz - round(PHYSICS_HZ / tick_hz)) > 1e-9:
            raise ValueError(
                f"tick_hz {tick_hz} must divide {PHYSICS_HZ:g} Hz, the rate of the physics; use "
                "for example 10, 25 or 50"
            )
        self._tick_hz = tick_hz
        self.tick_s = 1.0 / tick_hz
        self._num_substeps = round(PHYSICS_HZ / tick_hz)
        self._task = _published_task()
        self._best_coverage = 0.0
        self.reset(0)

    @staticmethod
    def robot_description() -> str:
        """Return the pusher as URDF text."""
        return pusht_description()

    def another(self) -> "PushTWorld":
        """Return a further world at the same rate; nothing is worth sharing."""
        return PushTWorld(self._tick_hz)

    def reset(self, seed: int) -> None:
        """Begin the episode of ``seed``: gym-pusht's own random start, as papers evaluate.

        That start sets the position of the T before its angle, which turns it about its centre
        of mass and so moves it again. No matter where it lies by chance; see ``reset_to``.
        """
        self._task.reset(seed=seed)
        self._begin()

    def reset_to(self, state: np.ndarray) -> None:
        """Begin where a recorded state says, at rest.

        The angle comes first: the other order, gym-pusht's ``reset_to_state``, misplaces a
        recorded T by up to 9 cm.

        Args:
            state: (5,) pusher x, y and frame of the T x, y, m; its angle, rad.

        Raises:
            ValueError: Another shape, or not finite.
        """
        state = np.asarray(state, dtype=np.float64)
        if state.shape != (5,) or not np.isfinite(state).all():
            raise ValueError(
                "a state needs 5 finite numbers (pusher x, y, T x, y, m, and its angle, rad), "
                f"got {state}"
            )
        task = self._task
        task._setup()  # an empty board: nothing of the last episode's contacts is left
        task.agent.position = (state[:2] / METRES_PER_PIXEL).tolist()
        task.block.angle = float(state[4])
        task.block.position = (state[2:4] / METRES_PER_PIXEL).tolist()
        for body in (task.agent, task.block):
            task.space.reindex_shapes_for_body(body)
        self._begin()

    def step(self, command: np.ndarray) -> None:
        """Advance one tick with the pusher pulled to ``command`` (2,), m.

        Raises:
            ValueError: The command has another shape or is not finite; nothing has moved.
        """
        command = np.asarray(command, dtype=np.float64)
        if command.shape != (len(PUSHER_NAMES),) or not np.isfinite(command).all():
            raise ValueError(
                f"a command needs {len(PUSHER_NAMES)} finite positions for {list(PUSHER_NAMES)}, "
                f"got {command}"
            )
        self._command = np.clip(command, 0.0, BOARD_M)
        target = self._command / METRES_PER_PIXEL
        for _ in range(self._num_substeps):
            self._pull(target)
        self._ticks += 1
        self._coverage = goal_coverage(self.vectors["block_corners"].values)
        self._best_coverage = max(self._best_coverage, self._coverage)

    def render(self, camera: str) -> np.ndarray:
        """Return the published picture, (96, 96, 3) uint8, RGB: the board from above.

        Raises:
            ValueError: There is no such camera.
        """
        if camera != self.cameras[0].name:
            raise ValueError(f"no camera {camera!r}; there is {self.cameras[0].name!r}")
        return np.array(self._task._render())  # render() would be larger, with the command in it

    def close(self) -> None:
        """Free nothing: the pictures are drawn in memory."""

    @property
    def time_s(self) -> float:
        """Time since reset."""
        return self._ticks * self.tick_s

    @property
    def positions(self) -> np.ndarray:
        """Of the pusher's centre, (2,), m."""
        return np.array(self._task.agent.position) * METRES_PER_PIXEL

    @property
    def velocities(self) -> np.ndarray:
        """Of the pusher, (2,), m/s."""
        return np.array(self._task.agent.velocity) * METRES_PER_PIXEL

    @property
    def command_in_force(self) -> np.ndarray:
        """Where the pusher is pulled to, (2,), m; where it is, before the first command."""
        return self._command.copy()

    @property
    def block_pose(self) -> np.ndarray:
        """Frame of the T, (3,): x, y, m, and angle, rad, which counts full turns."""
        block = self._task.block
        return np.array([*np.array(block.position) * METRES_PER_PIXEL, block.angle])

    @property
    def vectors(self) -> Mapping[str, NamedVector]:
        """``block_corners``, (16,), m: where a tracker sees the T."""
        return {"block_corners": NamedVector(CORNER_NAMES, block_corners(*self.block_pose))}

    @property
    def coverage(self) -> float:
        """Part of the goal that the T covers now, 0 to 1."""
        return self._coverage

    @property
    def best_coverage(self) -> float:
        """The largest ``coverage`` since reset, of those at the ends of ticks."""
        return self._best_coverage

    @property
    def score(self) -> float:
        """``best_coverage``."""
        return self._best_coverage

    @property
    def success(self) -> bool:
        """Whether the T covers more than ``SUCCESS_COVERAGE`` now; nothing has to be held."""
        return self._coverage > SUCCESS_COVERAGE

    @property
    def tally(self) -> Mapping[str, float]:
        """Empty: nothing is counted."""
        return {}

    @property
    def instruction(self) -> str:
        """Empty: the task is the same in every episode."""
        return ""

    def running_cost(self) -> float:
        """Return ``terminal_cost`` and the way of the pusher to the T, in widths of the board."""
        centre = self._corners().reshape(8, 2).mean(axis=0)
        way = float(np.linalg.norm(self.positions - centre)) / BOARD_M
        return self.terminal_cost() + (1.0 - self._coverage) * way

    def terminal_cost(self) -> float:
        """Return the part of the goal that is bare, and the T's way in widths of the board."""
        return 1.0 - self._coverage + goal_distance(self._corners()) / BOARD_M

    def _corners(self) -> np.ndarray:
        return block_corners(*self.block_pose)

    def _begin(self) -> None:
        self._command = self.positions
        self._ticks = 0
        self._coverage = goal_coverage(self.vectors["block_corners"].values)
        self._best_coverage = self._coverage

    def _pull(self, target: np.ndarray) -> None:
        """Advance the physics once under the published PD controller; ``target`` (2,), pixels."""
        task = self._task
        velocity = np.array(task.agent.velocity)
        acceleration = task.k_p * (target - np.array(task.agent.position)) - task.k_v * velocity
        task.agent.velocity = (velocity + acceleration * task.dt).tolist()
        task.space.step(task.dt)


def _published_task() -> Any:
    """Return gym-pusht's environment, which draws without a window."""
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    try:
        from gym_pusht.envs.pusht import PushTEnv
    except ImportError as error:
        raise RuntimeError(
            f'the world pusht needs gym-pusht ({error}): pip install "ddpm_controller[pusht]"'
        ) from error
    return PushTEnv(obs_type="state", render_mode="rgb_array")
