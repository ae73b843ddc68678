"""A point that passes an obstacle on the left or on the right: the smallest choice."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from ddpm_controller.simulation.world import Camera, NamedVector

CENTRE_X_M = 0.55
RADIUS_M = 0.12
GOAL_X_M = 0.97
SPEED_M_S = 0.25
DETOUR_M = 0.2
"""Lateral distance at which a demonstration passes the obstacle's centre."""
_REACH_M = 0.3
"""Before and behind the centre; there the detour begins and ends."""
_RETURN_S = 0.35
"""Time in which a demonstration comes back to its path."""
_LAG_S = 0.03
_NAMES = ("point_x", "point_y")
_PUSH_AT_X_M, _HELD_Y_M, _HELD_S = 0.33, 0.16, 0.9


def detour(x: np.ndarray) -> np.ndarray:
    """Return the lateral part of the path at ``x``, 0 to 1, elementwise."""
    phase = np.clip((x - CENTRE_X_M) / _REACH_M, -1.0, 1.0)
    bump: np.ndarray = 0.5 * (1 + np.cos(np.pi * phase))
    return bump


def demonstrated(states: np.ndarray, sides: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    """Return where a demonstration goes from states (N, 2) in times (Tp,): (N, Tp, 2), m.

    Args:
        states: x and y, m.
        sides: (N,) -1 or 1.
        times_s: From now on.
    """
    x = np.minimum(states[:, :1] + SPEED_M_S * times_s, 1.1)
    path, here = (DETOUR_M * sides[:, None] * detour(each) for each in (x, states[:, :1]))
    y = path + (states[:, 1:] - here) * np.exp(-times_s / _RETURN_S)
    return np.stack([x, y], axis=-1)


class ForkWorld:
    """Two joints of a point that follow their command with a lag; both ways are as good.

    Touching the obstacle fails the episode.

    Args:
        tick_hz: Rate of ``step``.
        push: Whether a hand moves the point to the other side shortly before the obstacle and
            holds it there until only this side is open.
    """

    name: ClassVar[str] = "fork"
    timeout_s: ClassVar[float] = 6.0
    joint_names: ClassVar[tuple[str, ...]] = _NAMES
    published_joint_names: ClassVar[tuple[str, ...]] = _NAMES
    cameras: ClassVar[tuple[Camera, ...]] = ()

    def __init__(self, tick_hz: float = 50.0, push: bool = False) -> None:
        if not tick_hz > 0:
            raise ValueError(f"tick_hz must be above 0, got {tick_hz}")
        self.tick_s = 1.0 / tick_hz
        self._tick_hz, self._push = tick_hz, push
        self.reset(0)

    @staticmethod
    def robot_description() -> str:
        """Return no URDF: the world is not shown and has no driver."""
        return ""

    def another(self) -> "ForkWorld":
        """Return a further world of this kind and rate."""
        return ForkWorld(self._tick_hz, self._push)

    def reset(self, seed: int) -> None:
        """Begin the episode of ``seed``, which is a start near the middle."""
        random = np.random.default_rng(seed % 2**64)
        self._position = np.array([0.0, random.normal(0.0, 0.01)])
        self._velocity = np.zeros(2)
        self._command = self._position.copy()
        self._ticks = 0
        self._crashed = False
        self._pushed: tuple[float, int] | None = None

    def step(self, command: np.ndarray) -> None:
        """Advance one tick under ``command`` (2,), m.

        Raises:
            ValueError: The command has another shape or is not finite; nothing has moved.
        """
        command = np.asarray(command, dtype=np.float64)
        if command.shape != (2,) or not np.isfinite(command).all():
            raise ValueError(f"a command needs 2 finite positions for {_NAMES}, got {command}")
        self._command = command.copy()
        before = self._position
        follow = 1 - np.exp(-self.tick_s / _LAG_S)
        self._position = before + follow * (command - before)
        self._ticks += 1
        self._move_by_hand()
        self._velocity = (self._position - before) / self.tick_s
        distance = np.hypot(self._position[0] - CENTRE_X_M, self._position[1])
        self._crashed = self._crashed or bool(distance < RADIUS_M)

    def render(self, camera: str) -> np.ndarray:
        """Raise ValueError: there is no camera."""
        raise ValueError(f"no camera {camera!r}; the world fork has none")

    def close(self) -> None:
        """Free nothing."""

    @property
    def time_s(self) -> float:
        """Time since reset."""
        return self._ticks * self.tick_s

    @property
    def positions(self) -> np.ndarray:
        """Of the point, (2,), m."""
        return self._position.copy()

    @property
    def velocities(self) -> np.ndarray:
        """Of the point, (2,), m/s."""
        return self._velocity.copy()

    @property
    def command_in_force(self) -> np.ndarray:
        """(2,), m."""
        return self._command.copy()

    @property
    def vectors(self) -> Mapping[str, NamedVector]:
        """Nothing."""
        return {}

    @property
    def score(self) -> None:
        """Not measured."""
        return None

    @property
    def success(self) -> bool:
        """Whether the point is behind the obstacle, in the middle, and has never touched it."""
        there = self._position[0] >= GOAL_X_M and abs(self._position[1]) < 0.08
        return bool(there) and not self._crashed

    @property
    def tally(self) -> Mapping[str, float]:
        """Empty: nothing is counted."""
        return {}

    @property
    def instruction(self) -> str:
        """Empty: the task is the same in every episode."""
        return ""

    def running_cost(self) -> float:
        """Return ``terminal_cost``."""
        return self.terminal_cost()

    def terminal_cost(self) -> float:
        """Return the way to the goal, m, and 1 more when the obstacle was touched."""
        x, y = self._position
        return float(np.hypot(max(0.0, GOAL_X_M - x), y)) + float(self._crashed)

    @property
    def pushed(self) -> tuple[float, int] | None:
        """Time of the push and the side that it left open; None before."""
        return self._pushed

    def mode_of(self, actions: np.ndarray) -> int:
        """Return the side on which a chunk (Ta, 2) goes past, 0 where it does not reach it."""
        depth = detour(actions[:, 0])
        row = int(depth.argmax())
        if depth[row] < 0.2 or actions[0, 0] > CENTRE_X_M:
            return 0
        return int(np.sign(actions[row, 1]))

    def _move_by_hand(self) -> None:
        if not self._push:
            return
        if self._pushed is None and self._position[0] >= _PUSH_AT_X_M:
            self._pushed = (self.time_s, -1 if self._position[1] >= 0 else 1)
        if self._pushed is not None and self.time_s < self._pushed[0] + _HELD_S:
            self._position[1] = _HELD_Y_M * self._pushed[1]
