"""Faults injected into a robot that moves: how it stops, whether it goes on, what it says.

Every part is a process of its own: joint states (500 Hz), two 640x480 cameras (30 Hz), the
controller that plans and the process that commands at 100 Hz. Speeds and accelerations are those
of the set points that a joint_trajectory_controller makes of the commands. Each fault is injected
many times at random moments while the robot moves, and so is nothing at all, for comparison.
Results are kept one by one, so that a run that was interrupted goes on where it was; delete the
folder to begin again.

    python benchmarks/fault_campaign.py --repeats 20
"""

import json
import sys
import time
import zlib
from collections import Counter
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import rclpy
import tyro
from ddpm_msgs.msg import ControllerStatus
from fault_commands import departure, steps, unexplained
from fault_control_arm import HARMLESS, NOTHING, compared, comparison_table
from fault_graph import FaultGraph, FaultGraphError, fault_graph
from fault_kinds import FAULTS, Fault
from rich.console import Console
from rich.table import Table

from ddpm_controller.ros.graph.own_graph import use_own_domain

REASONS = {
    getattr(ControllerStatus, name): name.removeprefix("REASON_")
    for name in dir(type(ControllerStatus))
    if name.startswith("REASON_")
}
RUNNING = ControllerStatus.STATE_RUNNING
STEADY_S = 1.0
"""So long it must have run before it counts as recovered."""
AT_REST = 1e-6


@dataclass(frozen=True)
class Options:
    """Inject faults.

    Attributes:
        repeats: Of each fault.
        faults: Names; all when left out.
        checkpoint: What runs.
        output: Folder of the results.
        seed: Of the moments.
        speed: The robot moves when a joint is faster than this share of its velocity limit.
        patience_s: Longest wait for the recovery.
        light: Joint states at 100 Hz and images of 96x96 at 25 Hz, where the machine is busy.
    """

    repeats: int = 20
    faults: tuple[str, ...] = ()
    checkpoint: Path = Path("models/pick_place")
    output: Path = Path("runs/benchmarks/faults")
    seed: int = 0
    speed: float = 0.02
    patience_s: float = 40.0
    light: bool = False


@dataclass(frozen=True)
class Outcome:
    """What came of one injection; times in s, NaN for what did not happen.

    Attributes:
        stop_s: Injection to the first command of the stop.
        rest_s: Injection to the first set point at rest.
        velocity: Largest step of a set point over its velocity limit.
        acceleration: Largest acceleration of a set point over its limit.
        gap_s: Longest time between two commands.
        recovered_s: End of the fault until it ran again; 0 when it never ceased.
        reasons: Why it did not run, in the order in which they were told.
        note: What else was seen.
        unexplained: Largest departure of a command from its chunks, rad or m, until a stop.
        departure: Largest departure of a new chunk from the robot, s at the velocity limit.
    """

    stop_s: float
    rest_s: float
    velocity: float
    acceleration: float
    gap_s: float
    recovered_s: float
    reasons: tuple[str, ...]
    note: str = ""
    unexplained: float = np.nan
    departure: float = np.nan


def inject(graph: FaultGraph, fault: Fault, options: Options, repeat: int) -> Outcome:
    """Inject a fault once, at a random moment while the robot moves."""
    named = zlib.crc32(fault.name.encode())
    random = np.random.default_rng([options.seed, named, repeat])
    graph.wait_until_moving(options.speed)
    graph.listen(random.uniform(0.2, 1.5))
    graph.wait_until_moving(options.speed)
    graph.forget()
    begin_s = fault.begin(graph)
    graph.listen(fault.lasts_s)
    note = fault.end(graph)
    end_s = time.time() if fault.lasts_s else begin_s
    while not _is_steady(graph, begin_s, end_s) and time.time() < end_s + options.patience_s:
        graph.listen(0.1)
    return _outcome(graph, begin_s, end_s, note)


def _halts(graph: FaultGraph, begin_s: float) -> list[tuple[float, ControllerStatus]]:
    return [each for each in graph.statuses if each[0] >= begin_s and each[1].state != RUNNING]


def _running_since_s(graph: FaultGraph, begin_s: float) -> float:
    """Return since when it has run, NaN while it does not."""
    halts = _halts(graph, begin_s)
    if not halts:
        return begin_s
    since_s = halts[-1][0]
    if graph.statuses[-1][1].state != RUNNING:
        return float("nan")
    return next(
        (s for s, told in graph.statuses if s >= since_s and told.state == RUNNING), np.nan
    )


def _is_steady(graph: FaultGraph, begin_s: float, end_s: float) -> bool:
    since_s = _running_since_s(graph, begin_s)
    heard_s = min(graph.statuses[-1][0], graph.commands[-1][0])
    return heard_s >= max(since_s, end_s) + STEADY_S


def _outcome(graph: FaultGraph, begin_s: float, end_s: float, note: str) -> Outcome:
    halts = _halts(graph, begin_s)
    stop_s = halts[0][0] if halts else np.nan
    rest_s = next(
        (
            moment_s
            for moment_s, point in zip(graph.led_s, graph.led.points, strict=True)
            if moment_s >= stop_s and np.abs(point.completed().velocity).max() < AT_REST
        ),
        np.nan,
    )
    since_s = _running_since_s(graph, begin_s)
    recovered_s = max(since_s - end_s, 0.0) if _is_steady(graph, begin_s, end_s) else np.nan
    if np.isnan(recovered_s):
        note = f"{note}{'; ' if note else ''}not recovered: {graph.statuses[-1][1].text}"
    velocity, acceleration, gap_s = steps(graph)
    until_s = halts[0][0] if halts else np.inf
    reasons = dict.fromkeys(_reason(status) for _, status in halts)
    return Outcome(
        stop_s - begin_s,
        rest_s - begin_s,
        velocity,
        acceleration,
        gap_s,
        recovered_s,
        tuple(reasons),
        note,
        unexplained(graph, until_s),
        departure(graph, until_s),
    )


def _reason(status: ControllerStatus) -> str:
    return REASONS.get(status.reason, str(status.reason))


# Results


def kept(options: Options, fault: Fault) -> list[Outcome]:
    """Return what has been measured so far."""
    path = _path(options, fault)
    lines = path.read_text().splitlines() if path.exists() else []
    return [Outcome(**json.loads(line)) for line in lines]


def _keep(options: Options, fault: Fault, outcome: Outcome) -> None:
    path = _path(options, fault)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(json.dumps(asdict(outcome)) + "\n")


def _path(options: Options, fault: Fault) -> Path:
    return options.output / f"{fault.name.replace(' ', '_')}.jsonl"


def _spread(values: list[float]) -> str:
    numbers = np.array([value for value in values if np.isfinite(value)])
    return f"{np.median(numbers):.2f} / {numbers.max():.2f}" if len(numbers) else "-"


def row(fault: Fault, outcomes: list[Outcome]) -> list[str]:
    """Return a row of the table."""
    recovered = [each.recovered_s for each in outcomes]
    first = Counter(each.reasons[0] if each.reasons else "none" for each in outcomes)
    notes = Counter(each.note for each in outcomes if each.note)
    said = [f"{name} {count}" for name, count in (first + notes).most_common()]
    return [
        fault.name,
        str(len(outcomes)),
        _spread([each.stop_s for each in outcomes]),
        _spread([each.rest_s for each in outcomes]),
        f"{max(each.velocity for each in outcomes):.3f}",
        f"{max(each.acceleration for each in outcomes):.3f}",
        _spread([each.gap_s for each in outcomes]),
        str(np.isfinite(recovered).sum()),
        _spread(recovered),
        ", ".join(said),
    ]


def table(options: Options) -> Table:
    """Return everything that has been measured."""
    result = Table(title="faults during motion; times in s, median / largest")
    for column in (
        "fault",
        "n",
        "to the stop",
        "to rest",
        "step / velocity",
        "/ acceleration",
        "gap",
        "recovered",
        "after",
        "first reason",
    ):
        result.add_column(column)
    for fault in FAULTS:
        outcomes = kept(options, fault)
        if outcomes:
            result.add_row(*row(fault, outcomes))
    return result


def main() -> int:
    """Run what is missing and print the table."""
    options = tyro.cli(Options)
    console = Console(width=150)
    unknown = set(options.faults) - {fault.name for fault in FAULTS}
    if unknown:
        raise SystemExit(f"no such fault: {sorted(unknown)}: {[fault.name for fault in FAULTS]}")
    use_own_domain()
    rclpy.init()
    for variant in ("plain", "compressed", "simulated"):
        wanted = [
            fault
            for fault in FAULTS
            if fault.variant == variant and (not options.faults or fault.name in options.faults)
        ]
        run_variant(options, variant, wanted, console)
    rclpy.shutdown()
    console.print(table(options))
    by_name = {fault.name: kept(options, fault) for fault in FAULTS}
    harmless = [
        compared(name, by_name[name], by_name[NOTHING])
        for name in HARMLESS
        if by_name[name] and by_name[NOTHING]
    ]
    console.print(comparison_table(harmless))
    return 0


def run_variant(options: Options, variant: str, faults: list[Fault], console: Console) -> None:
    """Inject what is missing; one graph as long as it recovers, then another."""
    graph: FaultGraph | None = None
    with ExitStack() as stack:
        # In rounds: what else the machine does is then the same for all, nothing included.
        for repeat in range(options.repeats):
            for fault in faults:
                if len(kept(options, fault)) > repeat:
                    continue
                if graph is None:
                    graph = stack.enter_context(
                        fault_graph(variant, options.checkpoint, options.light)
                    )
                try:
                    outcome = inject(graph, fault, options, repeat)
                except FaultGraphError as error:  # of an earlier fault, or of the machine
                    console.print(f"[red]{fault.name} {repeat}: {error}[/red]")
                    stack.close()
                    graph = None
                    continue
                _keep(options, fault, outcome)
                console.print(f"{fault.name} {repeat}: {outcome}", highlight=False)
                if np.isnan(outcome.recovered_s):
                    stack.close()
                    graph = None


if __name__ == "__main__":
    sys.exit(main())
