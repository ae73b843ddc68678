"""Which robot file belongs to which simulated world."""

from typing import Literal

from ddpm_controller.share import share_path

WorldName = Literal[
    "reach",
    "pick_place",
    "pusht",
    "drum",
    "sticky_lid",
    "cue_reach",
    "drawer_open",
    "button_press",
    "hammer",
]
"""For the options of commands."""
ROBOTS = {
    "reach": "config/robots/sim_arm.yaml",
    "pick_place": "config/robots/sim_arm.yaml",
    "pusht": "config/robots/pusht.yaml",
    "drum": "config/robots/drum.yaml",
    "sticky_lid": "config/robots/sticky_lid.yaml",
    "cue_reach": "config/robots/cue_reach.yaml",
    "drawer_open": "config/robots/drawer_open.yaml",
    "button_press": "config/robots/button_press.yaml",
    "hammer": "config/robots/hammer.yaml",
}
"""World -> path inside the share directory."""


def robot_path(world: str) -> str:
    """Return the absolute path of the robot file of a world.

    Raises:
        ValueError: There is none for this world.
    """
    if world not in ROBOTS:
        raise ValueError(f"no robot file for world {world!r}; there are some for {list(ROBOTS)}")
    return share_path(ROBOTS[world])
