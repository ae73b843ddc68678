"""Every world by name, with the expert that solves it where there is one."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

import numpy as np

from ddpm_controller.simulation.arm.pick_place_expert import PickPlaceExpert
from ddpm_controller.simulation.arm.pick_place_world import PickPlaceWorld
from ddpm_controller.simulation.arm.reach_expert import ReachExpert
from ddpm_controller.simulation.arm.reach_world import ReachWorld
from ddpm_controller.simulation.disturbances import (
    PERTURBATIONS,
    PULLING,
    UNPERTURBED,
    Perturbation,
)
from ddpm_controller.simulation.metaworld.metaworld_expert import MetaWorldExpert
from ddpm_controller.simulation.metaworld.metaworld_world import (
    ButtonPressWorld,
    DrawerOpenWorld,
    HammerWorld,
    MetaWorldWorld,
)
from ddpm_controller.simulation.pusht.pusht_world import PushTWorld
from ddpm_controller.simulation.stick.cue_reach_expert import CueReachExpert
from ddpm_controller.simulation.stick.cue_reach_world import CueReachWorld
from ddpm_controller.simulation.stick.drum_expert import DrumExpert
from ddpm_controller.simulation.stick.drum_world import DrumWorld
from ddpm_controller.simulation.stick.stick_world import StickWorld
from ddpm_controller.simulation.stick.sticky_lid_expert import StickyLidExpert
from ddpm_controller.simulation.stick.sticky_lid_world import StickyLidWorld
from ddpm_controller.simulation.world import World

WORLDS: dict[str, type[World]] = {
    ReachWorld.name: ReachWorld,
    PickPlaceWorld.name: PickPlaceWorld,
    PushTWorld.name: PushTWorld,
    DrumWorld.name: DrumWorld,
    StickyLidWorld.name: StickyLidWorld,
    CueReachWorld.name: CueReachWorld,
    DrawerOpenWorld.name: DrawerOpenWorld,
    ButtonPressWorld.name: ButtonPressWorld,
    HammerWorld.name: HammerWorld,
}
WORLDS_WITH_EXPERT = tuple(name for name in WORLDS if name != PushTWorld.name)


def perturbations_of(world: str) -> Mapping[str, Perturbation]:
    """Return how trials in a world may be disturbed, by name; ``nominal`` is not at all."""
    kind = WORLDS[world]
    if issubclass(kind, MetaWorldWorld):
        return PULLING
    return PERTURBATIONS if issubclass(kind, StickWorld) else {"nominal": UNPERTURBED}


def perturbed_world(world: str, perturbation: str) -> Callable[..., World]:
    """Return what makes a world that is disturbed so; both by name."""
    kind: Callable[..., World] = WORLDS[world]
    if perturbation == "nominal":
        return kind
    return partial(kind, perturbation=perturbations_of(world)[perturbation])


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


def make_expert(world: World, seed: int) -> Expert:
    """Return an expert for the world as it is now; reset the world first.

    Raises:
        ValueError: No expert knows this world.
    """
    if isinstance(world, ReachWorld):
        return ReachExpert(world, seed)
    if isinstance(world, PickPlaceWorld):
        return PickPlaceExpert(world, seed)
    if isinstance(world, DrumWorld):
        return DrumExpert(world, seed)
    if isinstance(world, StickyLidWorld):
        return StickyLidExpert(world, seed)
    if isinstance(world, CueReachWorld):
        return CueReachExpert(world, seed)
    if isinstance(world, MetaWorldWorld):
        return MetaWorldExpert(world, seed)
    raise ValueError(
        f"no expert for world {world.name!r}; there are experts for {list(WORLDS_WITH_EXPERT)}, "
        "and people's demonstrations of pusht: see `ddpm pusht-demonstrations`"
    )
