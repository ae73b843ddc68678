"""Episode after episode in one world: what is seen at which tick, and when a mark is due.

Both the ROS node and recording without ROS go through here, so they see the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ddpm_controller.simulation.world import (
    NamedVector,
    World,
)
from ddpm_controller.simulation.worlds import Driver, Expert, make_expert

START_NS = 1_000_000_000
"""Lockstep time of the first tick; not zero, which means "no time yet" to ROS."""


@dataclass(frozen=True)
class Tick:
    """Everything that is published about one moment.

    Attributes:
        stamp_ns: The moment.
        positions: (D,) in the order of the world's ``joint_names``, rad and m.
        velocities: (D,), rad/s and m/s.
        vectors: Stream name -> values of another sensor.
        images: Camera name -> (H, W, 3) uint8, those due at this tick.
        success: Whether the goal has been reached in this episode.
        score: How near to the goal the episode has come; None where unmeasured.
        tally: What the world counts unseen; empty where it does not.
        begins: An episode begins with this tick.
        ends: The episode ends with this tick, with success.
        episode: Number of the episode in this session, from 0.
        seed: Seed of the episode.
        note: What the expert has to cope with in this episode; empty without one.
        instruction: Goal of this episode in words; empty where there is none.
    """

    stamp_ns: int
    positions: np.ndarray
    velocities: np.ndarray
    vectors: Mapping[str, NamedVector]
    images: Mapping[str, np.ndarray]
    success: bool
    score: float | None
    tally: Mapping[str, float]
    begins: bool
    ends: bool
    episode: int
    seed: int
    note: str
    instruction: str = ""


class Session:
    """A world with a clock that never goes back, cameras at their own rate, and an expert.

    Args:
        world: Owned by the caller, who closes it.
        camera_hz: Rate of the pictures, at most the world's rate.
        expert: Whether ``expert_command`` is used.
        pictures: Whether ``images`` are rendered; without them ticks come faster.
        driver: What takes the commands, rows of an action (Da,); None: they are set points (D,)
            of the world.

    Raises:
        ValueError: The cameras' rate does not divide the world's.
    """

    def __init__(
        self,
        world: World,
        camera_hz: float,
        expert: bool,
        pictures: bool = True,
        driver: Driver | None = None,
    ) -> None:
        ticks_per_image = 1.0 / (world.tick_s * camera_hz)
        self._ticks_per_image = round(ticks_per_image)
        if self._ticks_per_image < 1 or abs(ticks_per_image - self._ticks_per_image) > 1e-6:
            raise ValueError(
                f"camera_hz {camera_hz} must divide tick_hz {1 / world.tick_s:g}; use for example "
                f"{1 / world.tick_s:g} or {0.5 / world.tick_s:g}"
            )
        self.world, self._driver = world, driver
        self._wants_expert = expert
        self._wants_pictures = pictures
        self._expert: Expert | None = None
        self._tick_ns = round(world.tick_s * 1e9)
        self._stamp_ns = START_NS - self._tick_ns
        self._ticks = 0
        self._episode = -1
        self._seed = 0
        self._ended = False

    def reset(self, seed: int, stamp_ns: int | None = None) -> Tick:
        """Begin the episode of ``seed``, one tick later or at ``stamp_ns``.

        Raises:
            ValueError: An expert is requested and there is none for this world.
        """
        self.world.reset(seed)
        self._expert = make_expert(self.world, seed) if self._wants_expert else None
        self._ticks = 0
        self._episode += 1
        self._seed = seed
        self._ended = False
        return self._tick(stamp_ns, begins=True)

    def step(self, command: np.ndarray | None, stamp_ns: int | None = None) -> Tick:
        """Apply a command for a tick, or none; return what is seen then.

        Raises:
            ValueError: The command is refused; see ``World.step``.
        """
        if command is None:
            command = self.world.command_in_force
        elif self._driver is not None:
            command = self._driver.target(command)
        self.world.step(command)
        self._ticks += 1
        return self._tick(stamp_ns, begins=False)

    @property
    def vectors(self) -> Mapping[str, NamedVector]:
        """What is measured besides the joints, by the world and by its driver."""
        if self._driver is None:
            return self.world.vectors
        return {**self.world.vectors, **self._driver.vectors}

    def expert_command(self) -> np.ndarray | None:
        """Return the expert's command for the present tick; None when it is done."""
        if self._expert is None or self._expert.done:
            return None
        command = self._expert.command()
        return command if self._driver is None else self._driver.row_for(command)

    def _tick(self, stamp_ns: int | None, begins: bool) -> Tick:
        self._stamp_ns = self._stamp_ns + self._tick_ns if stamp_ns is None else stamp_ns
        world = self.world
        due = self._wants_pictures and self._ticks % self._ticks_per_image == 0
        cameras = self.world.cameras if due else ()
        success = self._ended or self.world.success
        ends = success and not self._ended
        self._ended = success
        return Tick(
            stamp_ns=self._stamp_ns,
            positions=self.world.positions,
            velocities=self.world.velocities,
            vectors=self.vectors,
            images={camera.name: self.world.render(camera.name) for camera in cameras},
            success=success,
            score=self.world.score,
            tally=world.tally,
            begins=begins,
            ends=ends,
            episode=self._episode,
            seed=self._seed,
            note="" if self._expert is None else self._expert.occasion,
            instruction=world.instruction,
        )
