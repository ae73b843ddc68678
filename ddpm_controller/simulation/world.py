"""What every world is to those who step it, show it and score it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol, Self, runtime_checkable

import numpy as np


@dataclass(frozen=True, eq=False)
class NamedVector:
    """Numbers from a sensor other than the joints, each with its name.

    Attributes:
        names: One per element; unique in a world, joints included.
        values: (D,), SI units.
    """

    names: tuple[str, ...]
    values: np.ndarray

    def __post_init__(self) -> None:
        if self.values.shape != (len(self.names),):
            raise ValueError(
                f"{len(self.names)} names need as many values in one row, got {self.values.shape}"
            )


class Camera(Protocol):
    """Description of a camera, whatever its optics."""

    @property
    def name(self) -> str:
        """Name in the world and of the observation stream."""
        ...

    @property
    def height(self) -> int:
        """Pixels."""
        ...

    @property
    def width(self) -> int:
        """Pixels."""
        ...

    @property
    def intrinsics(self) -> np.ndarray:
        """Camera matrix K, (3, 3), pixels."""
        ...


class World(Protocol):
    """Joints that follow position commands at a fixed tick, cameras, and a goal.

    Deterministic: the same seed and commands give the same states and pictures, bit for bit.

    Args:
        tick_hz: Rate of ``step``; divides the rate of the physics.

    Attributes:
        name: Name of the task.
        timeout_s: Time that an episode may reasonably take.
        joint_names: Order of every array of joints (D,).
        published_joint_names: The same in the order in which the robot's driver reports them.
        cameras: What ``render`` knows.
        tick_s: Time that one ``step`` advances.
    """

    name: ClassVar[str]
    timeout_s: ClassVar[float]
    joint_names: ClassVar[tuple[str, ...]]
    published_joint_names: ClassVar[tuple[str, ...]]
    cameras: ClassVar[tuple[Camera, ...]]
    tick_s: float

    def __init__(self, tick_hz: float = 50.0) -> None: ...

    @staticmethod
    def robot_description() -> str:
        """Return the robot as URDF text, with limits for every joint."""
        ...

    def another(self) -> Self:
        """Return a further world of this kind and rate; what is costly may be shared."""
        ...

    def reset(self, seed: int) -> None:
        """Begin the episode of ``seed``."""
        ...

    def step(self, command: np.ndarray) -> None:
        """Advance one tick under ``command`` (D,), in the order of ``joint_names``.

        Raises:
            ValueError: The command has another shape or is not finite; nothing has moved.
        """
        ...

    def render(self, camera: str) -> np.ndarray:
        """Return the picture of a camera, (H, W, 3) uint8, RGB."""
        ...

    def close(self) -> None:
        """Free what only this world uses."""
        ...

    @property
    def time_s(self) -> float:
        """Time since reset."""
        ...

    @property
    def positions(self) -> np.ndarray:
        """Measured, (D,)."""
        ...

    @property
    def velocities(self) -> np.ndarray:
        """Measured, (D,), per second."""
        ...

    @property
    def command_in_force(self) -> np.ndarray:
        """The set point after limits, (D,)."""
        ...

    @property
    def success(self) -> bool:
        """Whether the goal is reached at this moment."""
        ...

    @property
    def vectors(self) -> Mapping[str, NamedVector]:
        """Values of other sensors, by the name of the observation stream; often nothing."""
        ...

    @property
    def score(self) -> float | None:
        """How near to the goal the episode has come at best, 0 to 1; None where unmeasured."""
        ...

    @property
    def tally(self) -> Mapping[str, float]:
        """Counts of this episode that no policy sees, by name; NaN where there is none yet.

        The names are the same at all times; a world that counts nothing has none.
        """
        ...

    @property
    def instruction(self) -> str:
        """Task of this episode in words, one sentence; empty in a world without words."""
        ...

    def running_cost(self) -> float:
        """Return the cost of a second in the present state, at least 0.

        A planner adds ``running_cost() * tick_s`` after every tick. It is the terminal cost and
        what leads to the next thing to do, such as the distance of the hand from the object.
        Like ``terminal_cost`` it reads the true state, with all that is hidden from a policy and
        without noise, and changes nothing.
        """
        ...

    def terminal_cost(self) -> float:
        """Return the cost of ending in the present state, at least 0: how much is left to do.

        Nearly 0 at success. The unit is the world's own, named there; costs of two worlds do not
        compare.
        """
        ...


@runtime_checkable
class ForkedWorld(Protocol):
    """A world whose goal can be reached in ways that exclude each other."""

    @property
    def pushed(self) -> tuple[float, int] | None:
        """Time of a push since reset and the way that it left open; None before any."""
        ...

    def mode_of(self, actions: np.ndarray) -> int:
        """Return which way a chunk (Ta, D) goes, -1 or 1; 0 where neither."""
        ...


@runtime_checkable
class LedWorld(Protocol):
    """A world whose robot is led by a requested velocity.

    Attributes:
        request_stream: Stream of the request among the vectors.
    """

    request_stream: ClassVar[str]

    @property
    def vectors(self) -> Mapping[str, NamedVector]:
        """As ``World.vectors``."""
        ...

    def lead(self, request: np.ndarray | None) -> None:
        """Let ``request`` be what the robot is requested to do; None: as the episode has it."""
        ...
