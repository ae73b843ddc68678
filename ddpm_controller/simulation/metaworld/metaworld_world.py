"""Tasks of MetaWorld, disturbed: a handle that is hidden, a hand that is pushed, work undone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from ddpm_controller.simulation.disturbances import UNPERTURBED, Disturbances, Perturbation, Push
from ddpm_controller.simulation.joints import JointRange
from ddpm_controller.simulation.metaworld.metaworld_description import (
    HAND_JOINTS,
    HAND_NAMES,
    metaworld_description,
)
from ddpm_controller.simulation.metaworld.metaworld_task import MetaWorldTask
from ddpm_controller.simulation.set_point import SetPoint, num_substeps
from ddpm_controller.simulation.submovements import detour, minimum_jerk
from ddpm_controller.simulation.world import Camera, NamedVector

NOISE_M, NOISE_M_S = 0.001, 0.01
"""Standard deviations of what is measured."""
GIVES_WAY_M_N = 0.0018
"""Of the hand under a push: by about 3 cm under a usual one."""
_VELOCITY_NAMES = tuple(f"{name}_velocity" for name in HAND_NAMES)
_NOISE_STREAM, _PERTURBATION_STREAM = 2, 3
"""Keep what is drawn from one seed apart; an expert has 1."""
PULLED_M = 0.05
"""How far what has been moved is pulled back."""
_OFF_S, _DRAWN_S = 1.2, (0.25, 0.75)
"""How long the hand is off it then, and from when to when it is drawn back; held until then."""


@dataclass(frozen=True)
class Slide:
    """What is to be moved, and how it is pulled back.

    Attributes:
        joint: MetaWorld's name of it.
        near: Position at which the goal is near, m; 0 is where it rests.
        end: Position at which the goal is reached, as MetaWorld judges, m.
        away: How far the hand is knocked off meanwhile, (3,), m.
    """

    joint: str
    near: float
    end: float
    away: tuple[float, float, float]


class MetaWorldWorld:
    """The hand of MetaWorld, led by position commands at a fixed tick, with noisy sensors.

    A command is the place to which the hand is drawn, moved no faster than MetaWorld's actions
    move it, and how far the fingers shall open. Deterministic: the same seed and commands give
    the same states, bit for bit. Nothing takes pictures.

    Args:
        tick_hz: Rate of ``step``; divides 400 Hz.
        perturbation: Of every episode.

    Attributes:
        name: Of the task.
        published_name: MetaWorld's name of it.
        slide: What is to be moved.
        largest_lead_m: Distance of a command from the hand, (3,), beyond which an expert does
            not lead it further: who is held up does not press harder.
        object_places: Index in MetaWorld's observation -> name, of what is seen of objects, m.
        timeout_s: Time that an episode may reasonably take, unless it is stretched.
        joint_names: Order of every array of joints, m.
        published_joint_names: The same order.
        cameras: None.
        tick_s: Time that one ``step`` advances.
        perturbation: As given.

    Raises:
        ValueError: ``tick_hz`` does not divide the rate of the physics.
        RuntimeError: MetaWorld is not installed; says how to.
    """

    name: ClassVar[str]
    published_name: ClassVar[str]
    slide: ClassVar[Slide]
    largest_lead_m: ClassVar[tuple[float, float, float]]
    object_places: ClassVar[Mapping[int, str]]
    timeout_s: ClassVar[float] = 9.0
    joint_names: ClassVar[tuple[str, ...]] = HAND_NAMES
    published_joint_names: ClassVar[tuple[str, ...]] = HAND_NAMES
    cameras: ClassVar[tuple[Camera, ...]] = ()

    def __init__(self, tick_hz: float = 50.0, perturbation: Perturbation = UNPERTURBED) -> None:
        self._task = MetaWorldTask(self.published_name, self.slide.joint)
        self._num_substeps = num_substeps(self._task.model, tick_hz)
        self._tick_hz = tick_hz
        self.tick_s = 1.0 / tick_hz
        self.perturbation = perturbation
        self._set_point = SetPoint(HAND_NAMES, JointRange.of(HAND_JOINTS), self.tick_s)
        self._object_index = list(self.object_places)
        self._object_names = tuple(self.object_places.values())
        self._vectors: Mapping[str, NamedVector] = {}
        self.reset(0)

    @staticmethod
    def robot_description() -> str:
        """Return the hand as URDF text."""
        return metaworld_description()

    def another(self) -> Self:
        """Return a further world at the same rate; MetaWorld moves bodies in the model itself."""
        return type(self)(self._tick_hz, self.perturbation)

    def reset(self, seed: int) -> None:
        """Begin the episode of ``seed``: where the object is, anew each time."""
        self._ticks = 0
        self._task.begin(np.random.default_rng(seed))
        self._set_point.begin(np.append(self._task.place, self._task.opening))
        self._noise = np.random.default_rng([seed, _NOISE_STREAM])
        disturbing = np.random.default_rng([seed, _PERTURBATION_STREAM])
        self._disturbances = Disturbances(self.perturbation, disturbing)
        self._pulls_left, self._pulls = self.perturbation.pull_backs, 0
        self._pulled_s: float | None = None
        self._pulled_from = 0.0
        self._measure()

    def step(self, command: np.ndarray) -> None:
        """Advance one tick under ``command`` (4,), in the order of ``joint_names``.

        Raises:
            ValueError: The command has another shape or is not finite; nothing has moved.
        """
        *place, opening = self._set_point.follow(command)
        self._task.lead(np.array(place) + self._displacement(), opening)
        if self._pulled_s is None:
            self._task.advance(self._num_substeps)
        else:
            self._advance_pulled(self._pulled_s)
        self._ticks += 1
        self._task.look()
        self._watch()
        self._measure()

    def push(self, push: Push) -> None:
        """Push the hand in this episode too."""
        self._disturbances.pushes.append(push)

    def occlude(self, begin_s: float, end_s: float) -> None:
        """Hide the objects in this episode too, from and to a time since reset."""
        self._disturbances.occlude(begin_s, end_s)

    def pull_back(self) -> None:
        """Pull back once more in this episode, when the goal is near."""
        self._pulls_left += 1

    def render(self, camera: str) -> np.ndarray:
        """Refuse: there is no camera.

        Raises:
            ValueError: Always.
        """
        raise ValueError(f"no camera {camera!r}; the world {self.name!r} has none")

    def close(self) -> None:
        """Free what MetaWorld holds."""
        self._task.close()

    @property
    def time_s(self) -> float:
        """Time since reset."""
        return self._ticks * self.tick_s

    @property
    def positions(self) -> np.ndarray:
        """Measured with noise, (4,), m."""
        return self._positions.copy()

    @property
    def velocities(self) -> np.ndarray:
        """Measured with noise, (4,), m/s."""
        return self._velocities.copy()

    @property
    def command_in_force(self) -> np.ndarray:
        """The set point after limits, (4,), m."""
        return self._set_point.position

    @property
    def vectors(self) -> Mapping[str, NamedVector]:
        """``joint_velocity``, (4,), m/s, and ``object``, m, which may be hidden."""
        return self._vectors

    @property
    def observed(self) -> np.ndarray:
        """What MetaWorld's policies take, (18,): all as it is, without noise, never hidden."""
        return np.array(self._task.observed)

    @property
    def moved(self) -> float:
        """Position of what is to be moved, m, on its own slide."""
        return self._task.moved

    @property
    def success(self) -> bool:
        """Whether the goal is reached at this moment, as MetaWorld judges."""
        return self._task.success

    @property
    def score(self) -> None:
        """None: a goal is reached or it is not."""
        return None

    @property
    def instruction(self) -> str:
        """Empty: the task is the same in every episode."""
        return ""

    def running_cost(self) -> float:
        """Return ``terminal_cost`` and the way from the hand over the objects in order, m."""
        stops = self._task.observed[[0, 1, 2, *self._object_index]].reshape(-1, 3)
        way = float(np.linalg.norm(np.diff(stops, axis=0), axis=1).sum())
        left = self.terminal_cost()
        return left + left / abs(self.slide.end) * way

    def terminal_cost(self) -> float:
        """Return how far what is to be moved still has to go, m."""
        end = self.slide.end
        return abs(end) - min(abs(end), max(0.0, float(np.sign(end)) * self.moved))

    @property
    def tally(self) -> Mapping[str, float]:
        """How far the object has been moved, m, and how often it was pulled back."""
        return {"moved_m": abs(self.moved), "pulled_back": float(self._pulls)}

    @property
    def occluded(self) -> bool:
        """Whether what is seen of objects stands still now."""
        return self._disturbances.occluded(self.time_s)

    def _displacement(self) -> np.ndarray:
        """Return how far the hand is taken from where it is led in the coming tick, (3,), m."""
        now_s, place = self.time_s + self.tick_s, np.zeros(3)
        for push in self._disturbances.pushes:
            place += GIVES_WAY_M_N * push.force * detour((now_s - push.start_s) / push.duration_s)
        if self._pulled_s is not None:
            place += np.array(self.slide.away) * detour((now_s - self._pulled_s) / _OFF_S)
        return place

    def _watch(self) -> None:
        """Begin to pull back when the goal has come near, and end it when its time is over."""
        if self._pulled_s is not None:
            if self.time_s >= self._pulled_s + _OFF_S:
                self._pulled_s = None
        elif self._pulls_left and abs(self.moved) > abs(self.slide.near):
            self._pulled_s, self._pulled_from = self.time_s, self.moved
            self._pulls_left -= 1
            self._pulls += 1

    def _advance_pulled(self, begun_s: float) -> None:
        """Go on by a tick; from step to step the object is where it is drawn to, then free."""
        step_s = self.tick_s / self._num_substeps
        begin_s, end_s = _DRAWN_S
        way = -PULLED_M * np.sign(self.slide.near)
        for step in range(self._num_substeps):
            progress = (self.time_s + step * step_s - begun_s - begin_s) / (end_s - begin_s)
            if progress < 1.0:
                self._task.draw(self._pulled_from + way * minimum_jerk(progress))
            self._task.advance(1)

    def _measure(self) -> None:
        position, velocity = self._noise.standard_normal((2, len(HAND_NAMES)))
        seen = self._noise.standard_normal(len(self._object_index))
        truth = np.append(self._task.place, self._task.opening)
        self._positions = truth + NOISE_M * position
        self._velocities = self._task.velocity + NOISE_M_S * velocity
        speeds = NamedVector(_VELOCITY_NAMES, self._velocities)
        if self._ticks and self.occluded:
            objects = self._vectors["object"]
        else:
            values = self._task.observed[self._object_index] + NOISE_M * seen
            objects = NamedVector(self._object_names, values)
        self._vectors = {"joint_velocity": speeds, "object": objects}


class DrawerOpenWorld(MetaWorldWorld):
    """``drawer-open``: hook the handle of a drawer and pull it all the way out."""

    name: ClassVar[str] = "drawer_open"
    published_name: ClassVar[str] = "drawer-open-v3"
    slide: ClassVar[Slide] = Slide("goal_slidey", near=-0.13, end=-0.16, away=(0.0, 0.0, 0.09))
    largest_lead_m: ClassVar[tuple[float, float, float]] = (0.03, 0.10, 0.10)
    object_places: ClassVar[Mapping[int, str]] = {4: "handle_x", 5: "handle_y", 6: "handle_z"}


class ButtonPressWorld(MetaWorldWorld):
    """``button-press-topdown``: press a button from above to its end; let go, it comes up."""

    name: ClassVar[str] = "button_press"
    published_name: ClassVar[str] = "button-press-topdown-v3"
    slide: ClassVar[Slide] = Slide("btnbox_joint", near=-0.05, end=-0.069, away=(0.0, 0.0, 0.20))
    # A button far away takes 0.14 m to be pressed to its end.
    largest_lead_m: ClassVar[tuple[float, float, float]] = (0.03, 0.10, 0.16)
    object_places: ClassVar[Mapping[int, str]] = {4: "button_x", 5: "button_y", 6: "button_z"}


class HammerWorld(MetaWorldWorld):
    """``hammer``: take a hammer and drive a nail into a board with it."""

    name: ClassVar[str] = "hammer"
    published_name: ClassVar[str] = "hammer-v3"
    slide: ClassVar[Slide] = Slide("NailSlideJoint", near=0.07, end=0.09, away=(0.0, -0.10, 0.0))
    # The hammer slips out of the hand at 0.10 m.
    largest_lead_m: ClassVar[tuple[float, float, float]] = (0.03, 0.03, 0.10)
    object_places: ClassVar[Mapping[int, str]] = {
        **{4: "hammer_x", 5: "hammer_y", 6: "hammer_z"},
        **{11: "nail_x", 12: "nail_y", 13: "nail_z"},
    }
