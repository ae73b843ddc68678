"""A Go1 that walks: conditions, late plans, and how it stops, with the shipped walking policy.

python benchmarks/go1.py
python benchmarks/go1.py --quick
python benchmarks/go1.py --checkpoint models/go1_trot

Each condition is tried on the same seeds under the control loop of the robot file, in process. A
stop is that of a planner that falls silent while the robot walks: with the stand of the robot
file, and held where it is. The picture shows one episode: height, feet, velocity against request.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from ddpm_controller.cli.evaluate import loop_of, policy_view
from ddpm_controller.control.deployment import Deployment
from ddpm_controller.control.loop import ControlLoop
from ddpm_controller.evaluation.closed_loop import TrialSettings, run_trials
from ddpm_controller.evaluation.intervals import wilson_interval
from ddpm_controller.evaluation.stream_values import vector_value
from ddpm_controller.networks.device import use_threads
from ddpm_controller.policy import Policy
from ddpm_controller.robots.robot import load_robot
from ddpm_controller.share import share_path
from ddpm_controller.simulation.legged.conditions import CONDITIONS, LeggedConditions, Request
from ddpm_controller.simulation.legged.go1_model import LEGS
from ddpm_controller.simulation.legged.go1_world import (
    FALLEN_HEIGHT_M,
    FALLEN_UPRIGHT,
    Go1World,
)
from ddpm_controller.simulation.session import Session, Tick
from ddpm_controller.systems import restore

TICK_S = 0.02
REQUESTS: dict[str, Request] = {
    "forward .8": (0.8, 0.0, 0.0),
    "forward 1.2": (1.2, 0.0, 0.0),
    "backward .5": (-0.5, 0.0, 0.0),
    "sideways .5": (0.0, 0.5, 0.0),
    "turning 1.5": (0.5, 0.0, 1.5),
}
MORE = {"heavy 5 kg": LeggedConditions(extra_mass_kg=5.0)}
_STOPPED_S = 3.0


@dataclass(frozen=True)
class Options:
    """Try a checkpoint on the Go1.

    Attributes:
        checkpoint: Folder.
        trials: Trials of each condition.
        stops: Stops of each request, at different phases of the gait.
        seed: Seed of the first trial.
        folder: Folder of results and picture.
        quick: Two of everything: shows that it runs, and nothing else.
    """

    checkpoint: Path = Path("models/go1_walk")
    trials: int = 10
    stops: int = 20
    seed: int = 10_000_000
    folder: Path = Path("runs/go1")
    quick: bool = False


@dataclass
class Run:
    """One robot in its world, loop and policy side by side; plans are there at once.

    Attributes:
        rows: (time, height, feet (4,), velocity (3,), request (3,)) of each tick.
    """

    policy: Policy
    checkpoint: Path
    request: Request
    seed: int
    has_stand: bool = True
    rows: list[tuple[float, float, np.ndarray, np.ndarray, np.ndarray]] = field(
        default_factory=list
    )

    def __post_init__(self) -> None:
        self.upright = 1.0
        robot = load_robot(share_path("config/robots/go1.yaml"))
        self.world = Go1World(perturbation=LeggedConditions(request=self.request))
        urdf = self.world.robot_description()
        settings = loop_of(robot, self.policy, self.checkpoint, Deployment(lockstep=True), urdf)
        assert settings.limits is not None
        limits = settings.limits
        limits = limits if self.has_stand else replace(limits, stand=np.zeros(0))
        streams = self.policy.facts.streams
        self.loop = ControlLoop(replace(settings, limits=limits, streams=streams))
        self.loop.start(self.policy.initial_memory(self.seed))
        self.session = Session(self.world, 50.0, False, pictures=False)
        self.observe(self.session.reset(self.seed))

    def observe(self, tick: Tick) -> None:
        """Let the loop have what is measured."""
        self.now_s = tick.stamp_ns * 1e-9
        for stream in self.policy.facts.streams:
            self.loop.observe(stream.name, self.now_s, vector_value(stream, tick, self.world))

    def advance(self, seconds: float, plans: bool = True) -> None:
        """Let the time go on; without plans the planner is silent."""
        for _ in range(round(seconds / TICK_S)):
            request = self.loop.plan_request(self.now_s) if plans else None
            if request is not None:
                self.loop.accept(self.policy.plan(request.window, request.memory), request)
            self.observe(self.session.step(self.loop.tick(self.now_s).position))
            world = self.world
            row = (world.time_s, world.height_m, world.feet_m, world.base_velocity, world.request)
            self.rows.append(row)
            _, x, y, _ = world.state[0][3:7]
            self.upright = min(self.upright, 1.0 - 2.0 * (x * x + y * y))

    @property
    def fell(self) -> bool:
        """Whether it has tilted over, or lies in the end; a deep bow of the knees is no fall."""
        return self.upright < FALLEN_UPRIGHT or self.world.height_m < FALLEN_HEIGHT_M


def conditions(options: Options, policy: Policy) -> dict[str, dict[str, float]]:
    """Return condition -> trials, survivors, their successes and mean errors."""
    robot = load_robot(share_path("config/robots/go1.yaml"))
    seeds = range(options.seed, options.seed + (2 if options.quick else options.trials))
    urdf = Go1World.robot_description()
    loop = loop_of(robot, policy, options.checkpoint, Deployment(lockstep=True), urdf)
    arms: dict[str, tuple[Callable[..., Go1World], float]] = {
        name: (partial(Go1World, perturbation=each), 0.0)
        for name, each in {**CONDITIONS, **MORE}.items()
    }
    arms["plans 20 ms late"] = Go1World, 0.02
    arms["plans 40 ms late"] = Go1World, 0.04
    found = {}
    for name, (made, delay_s) in arms.items():
        settings = TrialSettings(plan_delay_s=delay_s, keep_frames=0)
        trials = list(run_trials(policy, made, loop, seeds, settings, policy_view(robot)))
        alive = [each for each in trials if not each.tally["falls"]]
        found[name] = {
            "trials": len(trials),
            "survived": len(alive),
            "successes": sum(each.success for each in trials),
            "velocity_error": float(np.mean([t.tally["velocity_error"] for t in alive])),
            "yaw_rate_error": float(np.mean([t.tally["yaw_rate_error"] for t in alive])),
        }
    return found


def stops(options: Options, policy: Policy) -> dict[str, dict[str, int]]:
    """Return request -> number of stops, and of falls with the stand and without."""
    count = 2 if options.quick else options.stops
    found = {}
    for name, request in REQUESTS.items():
        falls = {True: 0, False: 0}
        for has_stand in falls:
            for number in range(count):
                run = Run(policy, options.checkpoint, request, options.seed + number, has_stand)
                run.advance(2.0 + number * TICK_S)  # another phase of the gait each
                run.advance(_STOPPED_S, plans=False)
                falls[has_stand] += run.fell
        found[name] = {"stops": count, "stand": falls[True], "held": falls[False]}
    return found


def draw(path: Path, run: Run) -> None:
    """Draw height, feet and velocity against request of a run."""
    from matplotlib.figure import Figure

    times, heights, feet, velocities, requests = (np.array(c) for c in zip(*run.rows, strict=True))
    figure = Figure(figsize=(10, 8), layout="constrained")
    high, low, fast = figure.subplots(3, 1, sharex=True)
    high.plot(times, heights)
    high.set_ylabel("height of the base, m")
    for leg, column in zip(LEGS, feet.T, strict=True):
        low.plot(times, 100 * column, label=leg, linewidth=0.9)
    low.set_ylabel("feet above ground, cm")
    low.legend(ncols=4, fontsize=8)
    names = ("forward, m/s", "to the left, m/s", "yaw rate, rad/s")
    for number, name in enumerate(names):
        (line,) = fast.plot(times, velocities[:, number], linewidth=0.9, label=name)
        fast.plot(times, requests[:, number], "--", color=line.get_color(), linewidth=1.2)
    fast.set_ylabel("velocity (dashed: requested)")
    fast.legend(ncols=3, fontsize=8)
    fast.set_xlabel("time, s; the planner falls silent at the end of the walk")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90)


def main() -> None:
    """Print both tables and write results and picture."""
    options, console = tyro.cli(Options), Console(highlight=False)
    use_threads(1)
    policy = restore(options.checkpoint)
    run = Run(policy, options.checkpoint, (0.8, 0.0, 0.0), options.seed)
    run.advance(3.0)
    run.advance(1.5, plans=False)
    draw(options.folder / "walk.png", run)
    tried = conditions(options, policy)
    table = Table("condition", "survived", "95 %", "successes", "error, m/s", "yaw, rad/s")
    for name, row in tried.items():
        low, high = wilson_interval(int(row["survived"]), int(row["trials"]))
        table.add_row(
            name,
            f"{row['survived']} of {row['trials']}",
            f"{100 * low:.0f} to {100 * high:.0f} %",
            str(row["successes"]),
            f"{row['velocity_error']:.3f}",
            f"{row['yaw_rate_error']:.3f}",
        )
    console.print(table)
    stopped = stops(options, policy)
    table = Table("walking", "stops", "falls, stand", "falls, held")
    for name, counts in stopped.items():
        table.add_row(name, *(str(counts[key]) for key in ("stops", "stand", "held")))
    console.print(table)
    results = {"conditions": tried, "stops": stopped}
    (options.folder / "results.json").write_text(json.dumps(results, indent=1, default=float))


if __name__ == "__main__":
    main()
