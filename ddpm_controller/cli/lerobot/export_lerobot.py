"""The command `export-lerobot`: bags as a data set of LeRobot."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro
from rich.console import Console
from rich.progress import Progress

from ddpm_controller.bags.files import BagError
from ddpm_controller.lerobot.libraries import LeRobotError
from ddpm_controller.robots.robot import RobotError, load_robot


@dataclass(frozen=True)
class ExportLeRobotOptions:
    """Write the episodes of bags as a LeRobot data set, version 3.0.

    Numbers are those that a training here sees, at every period of the policy, in SI, float32;
    pictures have the size of the robot's messages. Episodes that are marked as failed are left
    out. Statistics are of all frames, with true quantiles. Needs the extra `lerobot`, not LeRobot.

      ddpm export-lerobot recordings --robot my_arm.yaml --output my_arm_data

    Attributes:
        bags: Bags, or folders of bags.
        robot: Robot file.
        output: Folder of the data set; must not exist.
        task: What is done, where the robot file has no stream of sentences. Default: the robot.
        pictures: video, or png: in the tables, without loss and much larger.
        codec: Codec of the videos.
    """

    bags: tyro.conf.Positional[tuple[Path, ...]]
    robot: Path
    output: Path
    task: str = ""
    pictures: Literal["video", "png"] = "video"
    codec: Literal["h264", "av1"] = "h264"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 1 after an error."""
    # Imported here: the help needs none of it.
    from ddpm_controller.lerobot.export import ExportSettings, export_bags

    options = tyro.cli(ExportLeRobotOptions, args=arguments)
    console = Console(highlight=False)
    os.environ.setdefault("SVT_LOG", "1")  # else the encoder of AV1 prints all of its settings
    settings = ExportSettings(options.task, options.pictures, options.codec)
    try:
        with Progress(console=console) as bar:
            task = bar.add_task("bags", total=None)
            found = export_bags(
                options.bags,
                load_robot(options.robot),
                options.output,
                settings,
                lambda done, total: bar.update(task, completed=done, total=total),
            )
    except (BagError, LeRobotError, RobotError, OSError) as error:
        console.print("error:", error, markup=False, soft_wrap=True)
        return 1
    failed = f", {found.left_out} marked as failed were left out" if found.left_out else ""
    console.print(
        f"{found.num_episodes} episodes, {found.num_frames} frames in {options.output}{failed}",
        soft_wrap=True,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
