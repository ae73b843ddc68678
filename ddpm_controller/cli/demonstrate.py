"""The command `demonstrate`: N expert episodes, one bag each, over the ROS graph or in process."""

import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ddpm_controller.bags.files import BagError
from ddpm_controller.bags.storages import Storage
from ddpm_controller.robots.robot import RobotError, load_robot
from ddpm_controller.share import share_path
from ddpm_controller.simulation.worlds import WORLDS, WorldName, refuse_without_expert

_ENDING = (signal.SIGINT, signal.SIGTERM)
RecordEpisode = Callable[[int, Path], bool]
"""Records the episode of a seed into a folder; returns its success."""


@dataclass(frozen=True)
class DemonstrateOptions:
    """Record demonstrations of the scripted expert, one bag per episode.

    Attributes:
        output: Folder of the bags; bags that are there already are kept, and counted.
        world: Task. No expert solves pusht; ``ddpm pusht-demonstrations`` has people's.
        episodes: Number of bags in the end.
        seed: Seed of the first episode; each further one counts up.
        storage: Format of the bags.
        in_process: Write the same bags without a ROS graph, many times faster.
        keep_failures: Keep episodes without success too.
        pictures: Record the cameras too; without them, in process only, it is much faster.
        robot: Robot file that names topics and types of the commands; that of the world when left
            out.
    """

    output: Path
    world: WorldName = "pick_place"
    episodes: Annotated[int, tyro.conf.arg(aliases=["-n"])] = 50
    seed: int = 0
    storage: Storage = "mcap"
    in_process: bool = False
    keep_failures: bool = False
    pictures: bool = True
    robot: Path | None = None

    def __post_init__(self) -> None:
        if self.episodes < 1:
            raise ValueError(f"episodes must be at least 1, got {self.episodes}")
        if self.seed < 0:
            raise ValueError(f"seed must be at least 0, got {self.seed}")
        if not (self.pictures or self.in_process):
            raise ValueError("the simulation node always takes pictures; add --in-process")
        refuse_without_expert(self.world)

    @property
    def robot_file(self) -> Path:
        """The robot file that is used."""
        return self.robot or Path(share_path(WORLDS[self.world].robot))


def demonstrate(
    options: DemonstrateOptions,
    record: RecordEpisode,
    on_progress: Callable[[int, int], None] = lambda done, failures: None,
) -> tuple[int, int]:
    """Record until there are enough bags; return the bags that are there and the failures.

    A recording that was interrupted resumes where it stopped: the bag of a seed that is there
    is not recorded again.

    Raises:
        BagError: The disk refuses, or the expert fails too often.
    """
    seed, done, failures = options.seed, 0, 0
    while done < options.episodes:
        folder = options.output / f"{options.world}_{seed:05d}"
        if folder.exists() or record(seed, folder):
            done += 1
        else:
            failures += 1
            done += int(options.keep_failures)
        if failures > 20 + options.episodes:
            raise BagError(f"the expert failed {failures} times in {options.world}; giving up")
        seed += 1
        on_progress(done, failures)
    return done, failures


def main() -> int:
    """Run the command."""
    options = tyro.cli(DemonstrateOptions)
    console = Console()
    before = [signal.signal(number, signal.default_int_handler) for number in _ENDING]
    try:
        done, failures = _with_progress(options, console)
    except (BagError, RobotError) as error:
        console.print(f"[red]{error}[/red]")
        return 1
    except KeyboardInterrupt:
        console.print("stopped; the bags that were finished are kept, the same command resumes")
        return 130
    finally:
        for number, handler in zip(_ENDING, before, strict=True):
            signal.signal(number, handler)
    console.print(f"{done} bags in {options.output}, {failures} failed attempts")
    return 0


def _with_progress(options: DemonstrateOptions, console: Console) -> tuple[int, int]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console) as bar:
        task = bar.add_task(f"{options.world} demonstrations", total=options.episodes)

        def show(done: int, failures: int) -> None:
            bar.update(task, completed=done)

        if options.in_process:
            return _in_process(options, show)
        return _over_the_graph(options, show)


def _in_process(
    options: DemonstrateOptions, on_progress: Callable[[int, int], None]
) -> tuple[int, int]:
    # Imported here: the simulator is not needed to show the help text or to record a graph.
    from ddpm_controller.ros.simulation.demonstrations import record_in_process

    world = WORLDS[options.world].world()

    def record(seed: int, folder: Path) -> bool:
        return record_in_process(
            world,
            seed,
            folder,
            storage=options.storage,
            pictures=options.pictures,
            keep_failure=options.keep_failures,
            outputs=load_robot(options.robot_file).outputs,
        )

    try:
        return demonstrate(options, record, on_progress)
    finally:
        world.close()


def _over_the_graph(
    options: DemonstrateOptions, on_progress: Callable[[int, int], None]
) -> tuple[int, int]:
    # Imported here: in process, no ROS graph is needed.
    from ddpm_controller.ros.graph.supervisor import started
    from ddpm_controller.ros.simulation.graph_demonstrations import GraphDemonstrations

    settings = {"world": options.world, "mode": "lockstep", "expert": "true"}
    settings["robot"] = str(options.robot_file.resolve())
    outputs = load_robot(options.robot_file).outputs
    with (
        started("simulation", {**settings, "log_level": "warn"}) as simulation,
        GraphDemonstrations(
            WORLDS[options.world].world,
            simulation,
            options.storage,
            options.keep_failures,
            outputs,
        ) as demonstrations,
    ):
        return demonstrate(options, demonstrations.record, on_progress)


if __name__ == "__main__":
    sys.exit(main())
