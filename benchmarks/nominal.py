"""A learned policy as the beginning of a search: the walk of the Go1, and another height.

python benchmarks/nominal.py
python benchmarks/nominal.py --quick

The policy alone, a search alone, and a search of as few rollouts that begins with what the policy
would do, on the same seeds, under the control loop of the robot file, in process; plans come a
tick late. The second task asks for a height of the base that the policy does not know.
"""

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from ddpm_controller.cli.evaluate import loop_of, policy_view
from ddpm_controller.cli.planning.make_planner import MakePlanner, made
from ddpm_controller.control.deployment import Deployment
from ddpm_controller.evaluation.closed_loop import TrialSettings, run_trials
from ddpm_controller.evaluation.intervals import wilson_interval
from ddpm_controller.networks.device import use_threads
from ddpm_controller.robots.robot import load_robot
from ddpm_controller.share import share_path
from ddpm_controller.simulation.legged.go1_world import Go1World
from ddpm_controller.systems import restore

ROBOT = share_path("config/robots/go1.yaml")
WALK = Path("models/go1_walk")
MODEL = Path("ddpm_controller/simulation/legged/go1/go1_feet_only.xml")
TASK, SETTINGS = Path("config/planning/go1_trot.yaml"), Path("config/planning/go1.yaml")
HEIGHT = "height: {weight: 30, height_m: 0.29}"
SETTLED_S = 2.0
"""After which the height counts."""


@dataclass(frozen=True)
class Options:
    """Compare a policy, a search, and a search that begins with the policy.

    Attributes:
        trials: Trials of each, of 10 s.
        seed: Seed of the first one.
        delay_s: Simulated time that a plan takes.
        height_m: Requested height of the base in the second task.
        quick: Two trials of three arms: shows that it runs, and nothing else.
    """

    trials: int = 10
    seed: int = 10_000_000
    delay_s: float = 0.02
    height_m: float = 0.24
    quick: bool = False


class WatchedWorld(Go1World):
    """Notes the height of the base at every tick."""

    heights: list[float]

    def another(self) -> "WatchedWorld":
        """Return a new one, for another trial."""
        return WatchedWorld()

    def step(self, command: np.ndarray) -> None:
        """Advance by a tick."""
        super().step(command)
        if self.time_s > SETTLED_S:
            WatchedWorld.heights.append(self.height_m)


def planner(folder: Path, task: Path, *search: str, nominal: Path | None = WALK) -> Path:
    """Write the checkpoint of a search of 2 x 6 rollouts and return its folder."""
    settings = ("rollouts=6", "iterations=2", *search)
    made(MakePlanner(MODEL, task, SETTINGS, ROBOT, folder, set=settings, nominal=nominal))
    return folder


def arms(options: Options, folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield names and checkpoints."""
    text = TASK.read_text()
    assert HEIGHT in text
    low = folder / "low.yaml"
    low.write_text(text.replace(HEIGHT, f"height: {{weight: 300, height_m: {options.height_m}}}"))
    yield "policy", WALK
    yield "search, 2 x 6", planner(folder / "search", TASK, nominal=None)
    yield "policy, then search, 2 x 6", planner(folder / "both", TASK, "sigma=0.05")
    if not options.quick:
        for sigma in (0.05, 0.1, 0.2):
            name = f"the same to {options.height_m} m, noise {sigma}"
            yield name, planner(folder / f"low_{sigma}", low, f"sigma={sigma}")


def row(options: Options, checkpoint: Path) -> tuple[str, ...]:
    """Return what became of the trials of one checkpoint."""
    robot, policy = load_robot(ROBOT), restore(checkpoint)
    urdf = Go1World.robot_description()
    loop = loop_of(robot, policy, checkpoint, Deployment(lockstep=True), urdf)
    count = 2 if options.quick else options.trials
    seeds = range(options.seed, options.seed + count)
    settings = TrialSettings(plan_delay_s=options.delay_s, keep_frames=0)
    WatchedWorld.heights = []
    begun_s = time.process_time()
    trials = list(run_trials(policy, WatchedWorld, loop, seeds, settings, policy_view(robot)))
    spent_s = time.process_time() - begun_s
    alive = [each for each in trials if not each.tally["falls"]]
    errors = [each.tally["velocity_error"] for each in alive]
    low, high = wilson_interval(len(alive), count)
    return (
        f"{len(alive)} of {count}",
        f"{100 * low:.0f} to {100 * high:.0f} %",
        f"{np.mean(errors):.3f} ± {np.std(errors):.3f}" if alive else "-",
        f"{np.mean(WatchedWorld.heights):.3f}",
        f"{1e3 * spent_s / sum(each.plans for each in trials):.1f}",
    )


def main() -> None:
    """Print the table."""
    options = tyro.cli(Options)
    use_threads(1)
    table = Table("what plans", "survived", "95 %", "error, m/s", "height, m", "CPU ms, a plan")
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, checkpoint in arms(options, Path(folder)):
            figures[name] = row(options, checkpoint)
            table.add_row(name, *figures[name])
    Console(width=110).print(table)
    for name, (survived, *_) in figures.items():
        print(f"{name}: {survived}")


if __name__ == "__main__":
    main()
