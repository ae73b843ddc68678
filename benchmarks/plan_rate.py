"""How often a shipped policy plans over ROS beside its simulated robot: times of plans, p99.

python benchmarks/plan_rate.py
python benchmarks/plan_rate.py --quick
python benchmarks/plan_rate.py --engine torch --seam rtc_exact      (as before there were engines)

Simulation and controller run in real time with the default settings but for the time between two
plans, which is asked to be that of a rate, and the control rate, a multiple of it. Of every plan
that was taken over: how long it took to compute; how long from the tick that asked for it to the
moment from which it is followed, which is ahead by what is committed already; and how long until
the next one. A plan is in time where it was computed within a period. The engine is chosen at the
first start, before anything is counted.
"""

import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tyro
from command_stream import running_controller
from ddpm_msgs.msg import ActionChunk, ControllerStatus
from rclpy.qos import QoSProfile
from rich.console import Console
from rich.table import Table

from ddpm_controller.ros.graph.own_graph import use_own_domain
from ddpm_controller.ros.graph.supervisor import started
from ddpm_controller.simulation.worlds import WORLDS

HERE = Path(__file__).resolve().parents[1]
WARM_UP_S = 3.0


@dataclass(frozen=True)
class Options:
    """Count plans.

    Attributes:
        worlds: Tasks, whose shipped checkpoints are run.
        rate_hz: Plans a second that are asked for.
        ticks: Control ticks from one plan to the next.
        duration_s: Length of each measurement.
        engine: As the controller's parameter.
        seam: Of the policy; empty: its own.
        quick: Ten seconds each.
    """

    worlds: tuple[str, ...] = ("pick_place", "pusht")
    rate_hz: float = 30.0
    ticks: int = 3
    duration_s: float = 60.0
    engine: str = "auto"
    seam: str = ""
    quick: bool = False


@dataclass(frozen=True)
class Figures:
    """One measurement.

    Attributes:
        engine: What computed the plans.
        computed_s: Wall time of each plan.
        delays_s: From asking until it is followed.
        between_s: From one that was taken over to the next.
        missed: Ticks that came late, and all.
        held: Number of changes to another state than RUNNING.
    """

    engine: str
    computed_s: np.ndarray
    delays_s: np.ndarray
    between_s: np.ndarray
    missed: tuple[int, int]
    held: int


def measured(world: str, options: Options) -> Figures:
    """Run one world and count."""
    use_own_domain()
    seam = {"policy.overrides": [f"seam={options.seam}"]} if options.seam else {}
    parameters = {
        **seam,
        "control_rate_hz": options.rate_hz * options.ticks,
        "policy.replan_period_s": 1 / options.rate_hz,
        "engine": options.engine,
    }
    robot = {"robot": str(HERE / WORLDS[world].robot)}
    with (
        started("simulation", {"world": world, "log_level": "error"}),
        running_controller(HERE / "models" / world, parameters, robot) as stream,
    ):
        chunks: list[ActionChunk] = []
        states: list[int] = []
        deep = QoSProfile(depth=500)
        stream.create_subscription(ActionChunk, "controller/action_chunk", chunks.append, deep)
        stream.create_subscription(
            ControllerStatus, "controller/status", lambda each: states.append(each.state), deep
        )
        stream.listen(WARM_UP_S)
        chunks.clear()
        states.clear()
        assert stream.status is not None
        before = stream.status
        stream.listen(options.duration_s)
        after = stream.status
    ticks = after.missed_ticks - before.missed_ticks, after.ticks - before.ticks
    taken_s = np.array([_seconds(each.header.stamp) for each in chunks])
    asked_s = np.array([_seconds(each.requested) for each in chunks])
    computed_s = np.array([each.inference_time_s for each in chunks])
    held = sum(state != ControllerStatus.STATE_RUNNING for state in states)
    return Figures(after.engine, computed_s, taken_s - asked_s, np.diff(taken_s), ticks, held)


def _seconds(stamp) -> float:
    return stamp.sec + stamp.nanosec * 1e-9


def row(figures: Figures, options: Options) -> list[str]:
    """Return the cells of one measurement."""
    period_s = 1 / options.rate_hz
    in_time = float(np.mean(figures.computed_s <= period_s))
    return [
        figures.engine,
        f"{1 / figures.between_s.mean():.1f}",
        _spread(figures.computed_s),
        _spread(figures.delays_s),
        _spread(figures.between_s),
        f"{100 * in_time:.1f} %",
        f"{figures.missed[0]} of {figures.missed[1]}",
        str(figures.held),
    ]


def _spread(times_s: np.ndarray) -> str:
    p50, p99 = np.percentile(1e3 * times_s, [50, 99])
    return f"{p50:.1f}, {p99:.1f}, {1e3 * times_s.max():.1f}"


def main() -> None:
    """Print the table."""
    options = tyro.cli(Options)
    if options.quick:
        options = replace(options, duration_s=10.0)
    table = Table(
        title=f"plans at {options.rate_hz:g} Hz over ROS beside the simulation, "
        f"{options.duration_s:g} s each, {os.cpu_count()} threads, load {os.getloadavg()[0]:.1f}; "
        "ms: p50, p99, max"
    )
    heads = ("world", "engine", "plans/s", "computed", "asked until followed", "one to the next")
    for head in (*heads, "in time", "late ticks", "not running"):
        table.add_column(head)
    for world in options.worlds:
        table.add_row(world, *row(measured(world, options), options))
    Console(width=150).print(table)


if __name__ == "__main__":
    sys.exit(main())
