"""Every world, one entry each. The only file that knows them all.

The table is read where no simulator is installed (launch files, help texts): an entry names its
classes as text and imports them when they are asked for.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from ddpm_controller.simulation.disturbances import (
    PERTURBATIONS,
    PULLING,
    UNPERTURBED,
)
from ddpm_controller.simulation.legged.conditions import CONDITIONS
from ddpm_controller.simulation.position_driver import PositionDriver
from ddpm_controller.simulation.world import NamedVector, World
from ddpm_controller.types import ActionSpec


class Expert(Protocol):
    """A scripted person; ``command`` is called once per tick, before the world's ``step``."""

    occasion: str

    @property
    def done(self) -> bool:
        """Whether there is nothing left to do."""
        ...

    def command(self) -> np.ndarray:
        """Return the command (D,) of this tick, rad and m."""
        ...


class Driver(Protocol):
    """The controller of a simulated robot: what it makes of a row of an action."""

    def target(self, row: np.ndarray) -> np.ndarray:
        """Return the set points (D,) of the next tick under a row (Da,)."""
        ...

    def row_for(self, target: np.ndarray) -> np.ndarray:
        """Return the row (Da,) that leads the set points to ``target`` (D,) in the next tick."""
        ...

    @property
    def vectors(self) -> Mapping[str, NamedVector]:
        """What it measures besides the joints, by the name of the observation stream."""
        ...


class Conditions(Protocol):
    """What a world is made with as ``perturbation``."""

    @property
    def stretch(self) -> float:
        """How many times as long an episode lasts."""
        ...


@dataclass(frozen=True)
class WorldEntry:
    """What belongs to a world.

    Attributes:
        module_and_class: The world, as ``<module in simulation>:<class>``.
        expert_module_and_class: Its expert, made from a world and a seed; empty where none is.
        robot: Robot file, inside the share directory.
        recipe: Recipe of a first policy, inside the share directory; empty where none is.
        perturbations: Ways to disturb trials, by name; ``nominal`` is not at all.
        protocols: Ways to run trials, see the command ``evaluate``.
        checkpoint: Shipped checkpoint, inside the share directory; empty: ``models/<world>``.
        demonstrations: Command that brings demonstrations of the task.
        extra: Optional dependency of the package that the world needs; empty for none.
        driver_module_and_class: What takes actions of other kinds than positions of joints, made
            from a world and an action; empty where nothing does.
    """

    module_and_class: str
    expert_module_and_class: str
    robot: str
    recipe: str
    perturbations: Mapping[str, Conditions] = field(
        default_factory=lambda: {"nominal": UNPERTURBED}
    )
    protocols: tuple[str, ...] = ("controller",)
    checkpoint: str = ""
    demonstrations: str = "demonstrate"
    extra: str = ""
    driver_module_and_class: str = ""

    def __post_init__(self) -> None:
        named = (self.module_and_class, self.expert_module_and_class)
        for text in named if self.expert_module_and_class else named[:1]:
            if text.count(":") != 1:
                raise ValueError(f"{text!r} must be <module in simulation>:<class>")
        if "nominal" not in self.perturbations:
            raise ValueError(
                f"perturbations must contain 'nominal', got {list(self.perturbations)}"
            )

    @property
    def world(self) -> type[World]:
        """The class of the world."""
        kind: type[World] = _imported(self.module_and_class)
        return kind

    def perturbed(self, perturbation: str) -> Callable[..., World]:
        """Return what makes a world that is disturbed in the way of this name.

        Raises:
            ValueError: The world has no perturbation of this name.
        """
        if perturbation not in self.perturbations:
            raise ValueError(
                f"no perturbation {perturbation!r}; there is {', '.join(self.perturbations)}"
            )
        kind: Callable[..., World] = self.world
        if perturbation == "nominal":
            return kind
        return partial(kind, perturbation=self.perturbations[perturbation])


WORLDS: dict[str, WorldEntry] = {
    "reach": WorldEntry(
        "arm.reach_world:ReachWorld",
        "arm.reach_expert:ReachExpert",
        robot="config/robots/sim_arm.yaml",
        recipe="config/training/reach.yaml",
        driver_module_and_class="arm.action_driver:ActionDriver",
    ),
    "pick_place": WorldEntry(
        "arm.pick_place_world:PickPlaceWorld",
        "arm.pick_place_expert:PickPlaceExpert",
        robot="config/robots/sim_arm.yaml",
        recipe="config/training/pick_place.yaml",
        driver_module_and_class="arm.action_driver:ActionDriver",
    ),
    "pusht": WorldEntry(
        "pusht.pusht_world:PushTWorld",
        "",
        robot="config/robots/pusht.yaml",
        recipe="config/training/pusht.yaml",
        protocols=("controller", "published"),
        demonstrations="ddpm pusht-demonstrations",
        extra="pusht",
    ),
    "drum": WorldEntry(
        "stick.drum_world:DrumWorld",
        "stick.drum_expert:DrumExpert",
        robot="config/robots/drum.yaml",
        recipe="config/training/drum.yaml",
        perturbations=PERTURBATIONS,
    ),
    "sticky_lid": WorldEntry(
        "stick.sticky_lid_world:StickyLidWorld",
        "stick.sticky_lid_expert:StickyLidExpert",
        robot="config/robots/sticky_lid.yaml",
        recipe="config/training/sticky_lid.yaml",
        perturbations=PERTURBATIONS,
    ),
    "cue_reach": WorldEntry(
        "stick.cue_reach_world:CueReachWorld",
        "stick.cue_reach_expert:CueReachExpert",
        robot="config/robots/cue_reach.yaml",
        recipe="config/training/cue_reach.yaml",
        perturbations=PERTURBATIONS,
    ),
    "drawer_open": WorldEntry(
        "metaworld.metaworld_world:DrawerOpenWorld",
        "metaworld.metaworld_expert:MetaWorldExpert",
        robot="config/robots/drawer_open.yaml",
        recipe="config/training/drawer_open.yaml",
        perturbations=PULLING,
        extra="metaworld",
    ),
    "button_press": WorldEntry(
        "metaworld.metaworld_world:ButtonPressWorld",
        "metaworld.metaworld_expert:MetaWorldExpert",
        robot="config/robots/button_press.yaml",
        recipe="config/training/button_press.yaml",
        perturbations=PULLING,
        extra="metaworld",
    ),
    "hammer": WorldEntry(
        "metaworld.metaworld_world:HammerWorld",
        "metaworld.metaworld_expert:MetaWorldExpert",
        robot="config/robots/hammer.yaml",
        recipe="config/training/hammer.yaml",
        perturbations=PULLING,
        extra="metaworld",
    ),
    "go1": WorldEntry(
        "legged.go1_world:Go1World",
        "",
        robot="config/robots/go1.yaml",
        recipe="",
        perturbations=CONDITIONS,
        checkpoint="models/go1_walk",
        demonstrations="ddpm start demo world:=go1, recorded with ddpm record,",
    ),
}
"""Name -> entry; the name is also the attribute ``name`` of the world."""
if TYPE_CHECKING:
    WorldName = str
else:
    WorldName = Literal[tuple(WORLDS)]
"""The choices of a command's option."""


def world_entry(name: str) -> WorldEntry:
    """Return the entry of a world.

    Raises:
        ValueError: There is no world of this name.
    """
    if name not in WORLDS:
        raise ValueError(f"no world {name!r}; there are {list(WORLDS)}")
    return WORLDS[name]


def refuse_without_expert(name: str) -> None:
    """Refuse a world that no expert solves.

    Raises:
        ValueError: With the command that brings demonstrations instead.
    """
    entry = world_entry(name)
    if not entry.expert_module_and_class:
        known = [each for each in WORLDS if WORLDS[each].expert_module_and_class]
        raise ValueError(
            f"no expert for world {name!r}; there are experts for {known}, and the command "
            f"{entry.demonstrations} makes bags of recorded demonstrations of {name}"
        )


def make_expert(world: World, seed: int) -> Expert:
    """Return an expert for the world as it is now; reset the world first.

    Raises:
        ValueError: No expert solves this world.
    """
    refuse_without_expert(world.name)
    expert: Expert = _imported(WORLDS[world.name].expert_module_and_class)(world, seed)
    return expert


def make_driver(world: World, spec: ActionSpec) -> Driver:
    """Return the controller of the robot that takes the actions of ``spec``.

    Raises:
        ValueError: The world has none for their kinds.
    """
    entry = WORLDS.get(world.name)
    others = set(spec.kinds) - {"joint_position"}
    if not others or entry is None or not entry.driver_module_and_class:
        return PositionDriver(world, spec)
    driver: Driver = _imported(entry.driver_module_and_class)(world, spec)
    return driver


def _imported(module_and_class: str) -> Any:
    module, name = module_and_class.split(":")
    return getattr(import_module(f"{__package__}.{module}"), name)
