"""The command `doctor`: a robot as it is, against its robot file and a checkpoint."""

import json
import math
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import tyro
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ddpm_controller.bags.files import BagError, find_bags
from ddpm_controller.messages.camera_view import CameraView, views_in
from ddpm_controller.robots.robot import Robot, load_robot
from ddpm_controller.robots.trained_sources import SOURCES, compare_sources
from ddpm_controller.survey.examination import Row

_COLORS = {"fits": "green", "look": "yellow", "fault": "bold red"}


@dataclass(frozen=True)
class DoctorOptions:
    """Compare what runs, or what a bag holds, with a robot file and a checkpoint.

    One table shows what is expected, what is there and what to do: topics, types, quality of
    service, names, units, limits, sizes of pictures, rates, offsets of clocks, who takes the
    commands and who else sends some. Nothing is sent. The exit code is 0 where nothing is wrong, 1
    where something is.

      ddpm doctor my_arm.yaml
      ddpm doctor my_arm.yaml models/mine --namespace follower
      ddpm doctor my_arm.yaml models/mine --bags recordings

    Attributes:
        robot: Robot file.
        checkpoint: Folder of a checkpoint; left out, the robot file alone counts.
        bags: Bags, or folders of bags, in place of the graph.
        namespace: Namespace of the controller on the graph.
        duration_s: Time for which the graph is looked at, s; slow topics need more.
        use_sim_time: Stamps are of the topic /clock, as in a simulation.
        json: File for the same rows as JSON.
    """

    robot: tyro.conf.Positional[Path]
    checkpoint: tyro.conf.Positional[Path | None] = None
    bags: tuple[Path, ...] = ()
    namespace: str = ""
    duration_s: float = 4.0
    use_sim_time: bool = False
    json: Path | None = None

    def __post_init__(self) -> None:
        if not 0 < self.duration_s < math.inf:
            raise ValueError(f"duration_s must be above 0 and finite, got {self.duration_s}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0 where all fits, else 1."""
    console = Console(soft_wrap=True)
    try:
        options = tyro.cli(DoctorOptions, args=arguments)
        robot = load_robot(options.robot)
        rows, trained = _checkpoint_rows(options.checkpoint, robot)
        tables = {"checkpoint": rows} if rows else {}
        tables |= _examined(options, robot, trained)
        if options.json is not None:
            content = {name: [asdict(row) for row in rows] for name, rows in tables.items()}
            options.json.write_text(json.dumps(content, indent=1) + "\n")
    except (BagError, ValueError, OSError) as error:
        console.print("[bold red]error:[/]", end=" ")
        console.print(str(error), markup=False, highlight=False)
        return 1
    for title, found in tables.items():
        console.print(_table(title, found))
    faults = sum(row.level == "fault" for found in tables.values() for row in found)
    looks = sum(row.level == "look" for found in tables.values() for row in found)
    console.print(f"{faults} faults, {looks} to look at", highlight=False)
    return 1 if faults else 0


def _examined(
    options: DoctorOptions, robot: Robot, trained: Mapping[str, CameraView]
) -> dict[str, list[Row]]:
    # Imported here: the help needs none of it.
    from ddpm_controller.survey.bag_examination import examined_bag

    if options.bags:
        return {str(bag): examined_bag(bag, robot, trained) for bag in find_bags(options.bags)}
    # Imported here: a bag needs no ROS.
    from ddpm_controller.ros.neighbours.graph_examination import examined_graph
    from ddpm_controller.ros.own_signals import own_signals

    ended = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: ended.set())
    with own_signals():
        rows = examined_graph(
            robot,
            trained,
            options.namespace,
            options.duration_s,
            ended.is_set,
            use_sim_time=options.use_sim_time,
        )
    return {"graph": rows}


def _checkpoint_rows(
    folder: Path | None, robot: Robot
) -> tuple[list[Row], Mapping[str, CameraView]]:
    """Return how a checkpoint fits a robot file, and the views that it was trained with."""
    if folder is None:
        return [], {}
    # Imported here: it imports torch, which nothing else here needs.
    from ddpm_controller.checkpoint import CheckpointError, load_checkpoint, refuse_mismatch

    what, expected = "checkpoint", "it is whole and fits the robot file"
    try:
        manifest = load_checkpoint(folder).manifest
        sources = manifest.provenance.get(SOURCES, {})
        compared = compare_sources(sources, robot.streams)
        refuse_mismatch(manifest, robot.stream_specs, robot.action_spec, compared.refused)
    except CheckpointError as error:
        remedy = "use a checkpoint that was trained for it, or correct the robot file"
        return [Row(what, expected, str(error), remedy, "fault")], {}
    found = f"{manifest.kind} {manifest.manifest_sha256[:12]}"
    notes = [Row("trained with", "the same sources", each, "", "look") for each in compared.noted]
    return [Row(what, expected, found), *notes], views_in(sources)


def _table(title: str, rows: Sequence[Row]) -> Table:
    view = Table(title=title, show_lines=True)
    for column in ("what", "expected", "there", "what to do"):
        view.add_column(column, overflow="fold")
    for row in rows:
        texts = [Text(each) for each in (row.expected, row.found, row.remedy)]  # no markup
        view.add_row(Text(row.what, style=_COLORS[row.level]), *texts)
    return view


if __name__ == "__main__":
    sys.exit(main())
