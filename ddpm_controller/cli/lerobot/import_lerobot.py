"""The command `import-lerobot`: a data set of LeRobot as bags."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console
from rich.progress import Progress

from ddpm_controller.bags.files import BagError
from ddpm_controller.bags.storages import Storage
from ddpm_controller.lerobot.features import Matching
from ddpm_controller.lerobot.libraries import LeRobotError
from ddpm_controller.policy import overrides_from
from ddpm_controller.robots.robot import RobotError, load_robot


@dataclass(frozen=True)
class ImportLeRobotOptions:
    """Turn a LeRobot data set into bags of a robot, one for each episode.

    Versions 2.0, 2.1 and 3.0 are read, with videos of any codec that PyAV decodes, or pictures in
    the tables. Numbers are found by name. The first vector of the robot file is observation.state,
    another one observation.NAME, pictures are observation.images.NAME; a task becomes the sentence
    of a stream of texts. Needs the extra `lerobot`, not LeRobot.

      ddpm import-lerobot their_data --robot my_arm.yaml --output recordings
      ddpm import-lerobot so101_data --robot so101.yaml --output bags --angles deg \
--feature camera_wrist=observation.images.wrist

    Attributes:
        dataset: Folder of the data set, with meta in it.
        robot: Robot file: which topics, types and names the bags have.
        output: Folder of the bags; those that are there already stay.
        feature: Stream and its feature where the names differ, STREAM=FEATURE.
        by_position: Numbers without fitting names are taken in the order of the robot file. A
            wrong order moves wrong joints: look at the bags with `ddpm doctor`.
        angles: Unit of angles in a data set that names no units, as those of LeRobot.
        storage: Storage format of the bags.
    """

    dataset: tyro.conf.Positional[Path]
    robot: Path
    output: Path
    feature: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    by_position: bool = False
    angles: Literal["rad", "deg"] = "rad"
    storage: Storage = "mcap"

    def __post_init__(self) -> None:
        overrides_from(self.feature)  # refused before anything is read


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 1 after an error."""
    # Imported here: the help needs none of it.
    from ddpm_controller.lerobot.to_bags import import_dataset

    options = tyro.cli(ImportLeRobotOptions, args=arguments)
    console = Console(highlight=False)
    features = {name: str(value) for name, value in overrides_from(options.feature).items()}
    matching = Matching(features, options.by_position, options.angles)
    try:
        with Progress(console=console) as bar:
            task = bar.add_task("episodes", total=None)
            count = import_dataset(
                options.dataset,
                load_robot(options.robot),
                options.output,
                matching,
                options.storage,
                lambda done, total: bar.update(task, completed=done, total=total),
            )
    except (BagError, LeRobotError, RobotError, OSError) as error:
        console.print("error:", error, markup=False, soft_wrap=True)
        return 1
    console.print(f"{count} episodes in {options.output}", soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
