"""The parameters of the node `trainer`; apart from it, so that its help needs no torch."""

from collections.abc import Mapping
from dataclasses import dataclass

from ddpm_controller.ros.parameters import parameter

_NONE: Mapping[str, None] = {"none": None}
_AS_RECIPE: Mapping[str, None] = {"as_recipe": None}


@dataclass(frozen=True)
class TrainerParameters:
    """Deployment facts; what is trained comes with the goal."""

    robot: str = parameter(
        "config/robots/sim_arm.yaml",
        "Robot file of goals that name none; relative to here or to the package.",
    )
    config: str | None = parameter(
        None, "Recipe of goals that name none, or none.", words=_NONE, kind=str
    )
    output: str | None = parameter(
        None, "Folder of the run of goals that name none, or none.", words=_NONE, kind=str
    )
    torch_num_threads: int | None = parameter(
        None, "Threads of the training.", low=1, high=256, words=_AS_RECIPE, kind=int
    )
    device: str | None = parameter(
        None, "Torch device of the training, or as_recipe.", words=_AS_RECIPE, kind=str
    )
    cache: str = parameter(
        "user", "Place where episodes of bags are kept: user, beside (the bags) or off."
    )
    refuse_wrong: bool = parameter(
        True,
        "Whether recordings that are surely wrong are refused, see `ddpm lint`; else they are "
        "learned with a warning.",
    )
    status_period_s: float = parameter(
        0.5, "Time between two status messages, s.", low=0.05, high=60.0, read_only=True
    )
