"""The command `walk`: from demonstrations to a figure, in one go: record, train, evaluate."""

import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from ddpm_controller.ros.graph.process_command import python_command
from ddpm_controller.share import share_path
from ddpm_controller.simulation.worlds import WORLDS, WorldName, refuse_without_expert


@dataclass(frozen=True)
class WalkOptions:
    """Record demonstrations, train a policy from the bags and try it, one after the other.

    A walk that was interrupted goes on where it stopped when the command is given again.

    Attributes:
        world: Task, one that an expert solves.
        episodes: Demonstrations to record.
        trials: Closed-loop trials at the end.
        output: Folder of bags, training and results; runs/walk/<world> when left out.
        in_process: Record without the ROS graph: the same bags, several times faster.
        over_ros: Try the policy over ROS instead of in one process.
    """

    world: WorldName = "reach"
    episodes: Annotated[int, tyro.conf.arg(aliases=["-n"])] = 50
    trials: int = 50
    output: Path | None = None
    in_process: bool = False
    over_ros: bool = False

    def __post_init__(self) -> None:
        refuse_without_expert(self.world)

    @property
    def folder(self) -> Path:
        """Of everything that the walk makes."""
        return self.output or Path("runs") / "walk" / self.world

    def commands(self) -> list[list[str]]:
        """The three commands, as one could type them after ``ddpm``."""
        world = ["--world", self.world]
        bags, run = str(self.folder / "bags"), str(self.folder / "training")
        record = ["demonstrate", *world, "--episodes", str(self.episodes), "--output", bags]
        entry = WORLDS[self.world]
        recipe, robot = share_path(entry.recipe), share_path(entry.robot)
        train = ["train", "--bags", bags, "--config", recipe, "--robot", robot, "--output", run]
        last = str(self.folder / "training" / "checkpoints" / "last")
        trials = ["evaluate", *world, "--checkpoint", last, "--trials", str(self.trials)]
        return [
            record + ["--in-process"] * self.in_process,
            train,
            trials + ["--output", str(self.folder / "trials")] + ["--over-ros"] * self.over_ros,
        ]


def main() -> int:
    """Run the command; the exit code is that of the first command that failed."""
    # Imported here: the help needs no ROS.
    from ddpm_controller.ros.simulation.trial_graph import use_own_domain

    options = tyro.cli(WalkOptions)
    console = Console(highlight=False)
    use_own_domain()
    began_s = time.monotonic()
    for words in options.commands():
        console.print(f"[bold]ddpm {shlex.join(words)}[/bold]")
        step_s = time.monotonic()
        code = subprocess.call([*python_command(words[0]), *words[1:]])
        if code != 0:
            console.print(f"[red]{words[0]} ended with exit code {code}[/red]")
            return code
        console.print(f"{words[0]} took {time.monotonic() - step_s:.0f} s")
    console.print(f"the walk took {(time.monotonic() - began_s) / 60:.1f} minutes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
