"""The tasks of MetaWorld that are worlds here: what is moved, and what is seen of objects."""

from collections.abc import Mapping
from typing import ClassVar

from ddpm_controller.simulation.metaworld.metaworld_world import MetaWorldWorld, Slide


class DrawerOpenWorld(MetaWorldWorld):
    """``drawer-open``: hook the handle of a drawer and pull it all the way out."""

    name: ClassVar[str] = "drawer_open"
    published_name: ClassVar[str] = "drawer-open-v3"
    slide: ClassVar[Slide] = Slide("goal_slidey", near=-0.13, away=(0.0, 0.0, 0.09))
    object_places: ClassVar[Mapping[int, str]] = {4: "handle_x", 5: "handle_y", 6: "handle_z"}


class ButtonPressWorld(MetaWorldWorld):
    """``button-press-topdown``: press a button from above to its end; let go, it comes up."""

    name: ClassVar[str] = "button_press"
    published_name: ClassVar[str] = "button-press-topdown-v3"
    slide: ClassVar[Slide] = Slide("btnbox_joint", near=-0.05, away=(0.0, 0.0, 0.20))
    object_places: ClassVar[Mapping[int, str]] = {4: "button_x", 5: "button_y", 6: "button_z"}


class HammerWorld(MetaWorldWorld):
    """``hammer``: take a hammer and drive a nail into a board with it."""

    name: ClassVar[str] = "hammer"
    published_name: ClassVar[str] = "hammer-v3"
    slide: ClassVar[Slide] = Slide("NailSlideJoint", near=0.07, away=(0.0, -0.10, 0.0))
    object_places: ClassVar[Mapping[int, str]] = {
        **{4: "hammer_x", 5: "hammer_y", 6: "hammer_z"},
        **{11: "nail_x", 12: "nail_y", 13: "nail_z"},
    }
