"""The command `demo`: the shipped checkpoint moves the simulated robot over ROS, then ends."""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console

from ddpm_controller.evaluation.report import (
    coverage_table,
    draw,
    table,
    trial_line,
    write_json,
)
from ddpm_controller.evaluation.results import Trial, summarize
from ddpm_controller.ros.graph.graphs import GRAPHS
from ddpm_controller.simulation.worlds import WorldName


@dataclass(frozen=True)
class DemoOptions:
    """Run a few episodes over ROS and show how they went.

    Attributes:
        world: Task.
        episodes: Number of episodes.
        seed: Of the first episode.
        mode: Of the simulation.
        attach: Use the nodes that run already instead of starting them.
        namespace: Of those nodes.
        output: Folder of the picture and the results.
    """

    world: WorldName = "pick_place"
    episodes: Annotated[int, tyro.conf.arg(aliases=["-n"])] = 5
    seed: int = 20_000_000
    mode: Literal["real_time", "lockstep"] = "real_time"
    attach: bool = False
    namespace: str = ""
    output: Path = Path("runs/demo")

    def __post_init__(self) -> None:
        if self.episodes < 1:
            raise ValueError(f"episodes must be at least 1, got {self.episodes}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Without ``--attach`` the whole graph is started, this command in it."""
    # Imported here: the help needs no ROS.
    from ddpm_controller.ros.graph.supervisor import run
    from ddpm_controller.ros.simulation.trial_client import TrialError
    from ddpm_controller.ros.simulation.trial_graph import (
        connected,
        use_own_domain,
        world_timeout_s,
    )

    options = tyro.cli(DemoOptions, args=arguments)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 100)
    if not options.attach:
        use_own_domain()
        os.environ.setdefault("MUJOCO_GL", "egl")
        given = {
            "world": options.world,
            "episodes": str(options.episodes),
            "trial_seed": str(options.seed),
            "mode": options.mode,
            "namespace": options.namespace,
            "output": str(options.output),
            "log_level": "warn",
        }
        return run(GRAPHS["demo"], given)
    try:
        with connected(options.namespace, options.world) as client:
            console.print(f"waiting for the simulated robot and the controller ({options.world})")
            client.wait_until_ready()
            timeout_s = world_timeout_s(options.world)
            run_trial = partial(client.run_trial, timeout_s=timeout_s)
            return _episodes(run_trial, options, console)
    except TrialError as error:
        console.print(f"[red]demo: {error}[/red]")
        return 1


def _episodes(run_trial: Callable[[int], Trial], options: DemoOptions, console: Console) -> int:
    trials: list[Trial] = []
    for number in range(options.episodes):
        seed = options.seed + number
        trials.append(run_trial(seed))
        console.print(trial_line(number + 1, options.episodes, trials[-1]))
    summary = summarize(trials)
    picture = options.output / "trials.png"
    how = f"{options.world}, over ROS, {options.mode}"
    draw(picture, how, trials)
    write_json(options.output / "results.json", trials, {"how": how, "seed": options.seed})
    console.print(table(how, summary))
    if summary.coverage is not None:
        console.print(coverage_table(summary.coverage))
    console.print(f"picture: {picture.resolve()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
