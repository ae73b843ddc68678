"""Planners: DIAL-MPC, MPPI, CEM and predictive sampling, alone and on a Unitree Go1.

python benchmarks/planners.py
python benchmarks/planners.py --sections trot gaits
python benchmarks/planners.py --quick

``landscape``: a cost with many valleys. ``tasks``: four small tasks at equal evaluations.
``trot``: the Go1 at 0.8 m/s with few rollouts, load, latency and pushes. ``gaits``: pronk and
bound, planned without a deadline and kept as demonstrations below runs/. ``pictures``: one trot
and one annealing. ``overhead``: the share of a plan outside of MuJoCo. ``peer``: plans a second
beside judo-rai 0.1.0. What has been measured is kept below runs/, so that an interrupted run goes
on.
"""

import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tyro
from planner_landscape import METHODS, in_the_valley
from planner_peer import compared_rates
from planner_pictures import draw_annealing, draw_trot
from planner_tasks import TASKS, cost_of_run, small_planner
from planner_trot import Trial, Walked, go1_planner, trotting, walked
from rich.console import Console
from rich.table import Table

from ddpm_controller.evaluation.intervals import wilson_interval

Section = Literal["landscape", "tasks", "trot", "gaits", "overhead", "pictures", "peer"]
SECTIONS: tuple[Section, ...] = (
    *("landscape", "tasks", "trot", "gaits", "overhead", "pictures", "peer"),
)
FEW = {"rollouts": 8, "iterations": 4}
"""32 rollouts a tick."""
MANY = {"rollouts": 16, "iterations": 4}
"""64 rollouts a tick."""
SEARCHES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "predictive sampling 64 x 1": ("predictive_sampling", {"rollouts": 64, "iterations": 1}),
    "predictive sampling 16 x 4": ("predictive_sampling", MANY),
    "MPPI 64 x 1": ("mppi", {"rollouts": 64, "iterations": 1}),
    "MPPI 16 x 4": ("mppi", MANY),
    "CEM 16 x 4": ("cem", MANY),
    "DIAL-MPC 16 x 4": ("dial_mpc", MANY),
}
"""Searches of the small tasks, all with 64 rollouts a plan."""


def manoeuvres(now_s: float) -> tuple[float, float, float]:
    """Return: stand, walk, turn while walking, sideways, stand."""
    steps = ((0.0, 0, 0), (0.6, 0, 0), (0.4, 0, 0.8), (0, 0.3, 0), (0, 0, 0))
    forward, left, turn = steps[min(int(now_s // 2), len(steps) - 1)]
    return float(forward), float(left), float(turn)


def standing(now_s: float) -> tuple[float, float, float]:
    """Return no velocity."""
    return 0.0, 0.0, 0.0


@dataclass(frozen=True)
class Trot:
    """One row of the table of trots.

    Attributes:
        changes: Settings of the search.
        method: Preset; empty: as the file has it, MPPI.
        trial: How the robot is moved.
        weights: Weights of terms.
    """

    changes: Mapping[str, Any]
    method: str = ""
    trial: Trial = field(default_factory=Trial)
    weights: Mapping[str, float] = field(default_factory=dict)


SHORT = Trial(seconds=5.0)
TROTS: Mapping[str, Trot] = {
    "MPPI 16 x 4": Trot(MANY),
    "MPPI 8 x 4": Trot(FEW),
    "MPPI 16 x 4, 2 kg more": Trot(MANY, trial=Trial(extra_kg=2.0)),
    "MPPI 32 x 1": Trot({"rollouts": 32, "iterations": 1}, trial=SHORT),
    "MPPI 64 x 1": Trot({"rollouts": 64, "iterations": 1}, trial=SHORT),
    "CEM 8 x 4": Trot(FEW, "cem", SHORT),
    "DIAL-MPC 8 x 4": Trot(FEW, "dial_mpc", SHORT),
    "predictive sampling 8 x 4": Trot(FEW, "predictive_sampling", SHORT),
    "CEM 16 x 4": Trot(MANY, "cem", SHORT),
    "DIAL-MPC 16 x 4": Trot(MANY, "dial_mpc", SHORT),
    "released schedule 16 x 4": Trot({**MANY, "first_iterations": 10}, "dial_mpc_released", SHORT),
    "MPPI 16 x 4, 40 ms": Trot(MANY, trial=Trial(5.0, latency_ticks=2)),
    "MPPI 16 x 4, 40 ms not foreseen": Trot(
        MANY, trial=Trial(5.0, latency_ticks=2, foreseen=False)
    ),
    "MPPI 16 x 4 at 25 Hz, 40 ms": Trot(MANY, trial=Trial(5.0, latency_ticks=2, every_ticks=2)),
    "MPPI 16 x 4, pushes of 1 m/s": Trot(MANY, trial=Trial(push_m_s=1.0)),
    "MPPI 16 x 4, stand, walk, turn": Trot(MANY, trial=Trial(command=manoeuvres)),
}
DEMONSTRATED: Mapping[str, Mapping[str, float]] = {
    "pronk": {"height": 0.0, "gait": 0.1},
    "bound": {"height": 10.0, "gait": 0.1},
}
"""Gaits that are planned without a deadline, and their weights."""


@dataclass(frozen=True)
class Planners:
    """Measure planners.

    Attributes:
        sections: What is measured.
        seeds: Seeds of trots and tasks.
        only: Rows of the table of trots, or small tasks; left out: all.
        quick: One task, one seed, one trot, and rollouts a second of ours and the peer.
        output: Folder of what has been measured.
    """

    sections: tuple[Section, ...] = SECTIONS
    seeds: int = 10
    only: tuple[str, ...] = ()
    quick: bool = False
    output: Path = Path("runs/planners")


class Kept:
    """Numbers by section, row and seed, one line of JSON each.

    Args:
        path: File; made when there is something to keep.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        lines = path.read_text().splitlines() if path.is_file() else []
        self._known = {tuple(key): value for key, value in map(json.loads, lines)}

    def get(self, key: tuple[str, str, int], measure: Callable[[], Any]) -> Any:
        """Return what is known of ``key``, or what is measured now and kept."""
        if key not in self._known:
            self._known[key] = measure()
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a") as file:
                file.write(json.dumps([key, self._known[key]]) + "\n")
        return self._known[key]


def main() -> None:
    """Measure and print tables."""
    command, console = tyro.cli(Planners), Console(width=130)
    kept = Kept(command.output / "measured.jsonl")
    if command.quick:
        quick = tuple(each for each in _QUICK if each in command.sections)
        command = replace(command, sections=quick, seeds=1)
    for section in command.sections:
        console.print(_PARTS[section](command, kept))


def landscape(command: Planners, kept: Kept) -> Table:
    """Return in how many of 20 searches the deepest of many valleys is found."""
    table = Table("24 iterations of 256 candidates", "in the deepest valley of 20", "distance")
    for name, method in METHODS.items():
        key = ("landscape", name, 0)
        found, distance = kept.get(key, lambda method=method: in_the_valley(method, 20))
        low, high = wilson_interval(found, 20)
        table.add_row(name, f"{found} [{20 * low:.0f}, {20 * high:.0f}]", f"{distance:.3f}")
    return table


def tasks(command: Planners, kept: Kept) -> Table:
    """Return the costs of small tasks; the interval is of the mean, Student's t, 95 %."""
    names = [name for name in TASKS if name in command.only] or list(TASKS)
    names = names[:1] if command.quick else names
    table = Table("64 rollouts a plan", *names, "CPU ms a plan")
    for search, (method, changes) in SEARCHES.items():
        cells, spent_ms = [], []
        for name in names:
            costs = []
            for seed in range(command.seeds):
                key = ("tasks", f"{name}, {search}", seed)
                cost, ms = kept.get(key, lambda: _task_cost(name, method, changes, seed))  # noqa: B023
                costs.append(cost)
                spent_ms.append(ms)
            cells.append(_mean_text(costs))
        table.add_row(search, *cells, f"{np.mean(spent_ms):.1f}")
    return table


def _task_cost(
    name: str, method: str, changes: Mapping[str, Any], seed: int
) -> tuple[float, float]:
    planner, begin = small_planner(TASKS[name], method, dict(changes)), time.process_time()
    cost = cost_of_run(planner, TASKS[name], seed)
    ticks = round(TASKS[name].seconds / TASKS[name].tick_s)
    return cost, 1e3 * (time.process_time() - begin) / ticks


def trot(command: Planners, kept: Kept) -> Table:
    """Return falls and tracking of the Go1."""
    table = Table("Go1", "seconds", "survived", "velocity error m/s", "CPU ms a plan", "fell at s")
    chosen = tuple(name for name in TROTS if name in command.only) or tuple(TROTS)
    chosen = ("MPPI 8 x 4",) if command.quick else chosen
    for name in chosen:
        row = TROTS[name]
        found = [
            kept.get(("trot", name, seed), lambda seed=seed: _trotted(row, seed))  # noqa: B023
            for seed in range(command.seeds)
        ]
        falls = [fell for fell, _, _ in found if fell is not None]
        errors = [error for fell, error, _ in found if fell is None]
        low, high = wilson_interval(len(errors), len(found))
        table.add_row(
            name,
            f"{row.trial.seconds:g}",
            f"{len(errors)}/{len(found)} [{low:.2f}, {high:.2f}]",
            _mean_text(errors),
            f"{np.mean([ms for _, _, ms in found]):.1f}",
            ", ".join(f"{fell:.1f}" for fell in falls),
        )
    return table


def _trotted(row: Trot, seed: int) -> tuple[float | None, float, float]:
    planner = go1_planner(row.changes, row.method, weights=row.weights)
    found = walked(planner, row.trial, seed)
    return found.fell_s, found.error_m_s, 1e3 * found.plan_s


def gaits(command: Planners, kept: Kept) -> Table:
    """Return what pronk and bound are like, planned without a deadline; keeps the runs."""
    table = Table("gait, MPPI 64 x 4", "without a fall", "all feet off the ground %", "as asked")
    for name, weights in DEMONSTRATED.items():
        runs = [
            kept.get(
                ("gaits", name, seed),
                lambda seed=seed: _demonstrated(name, weights, seed, command.output),  # noqa: B023
            )
            for seed in range(min(command.seeds, 5))
        ]
        table.add_row(
            name,
            f"{sum(fell is None for fell, _, _ in runs)}/{len(runs)}",
            " ".join(f"{100 * share:.0f}" for _, share, _ in runs),
            " ".join(f"{same:.2f}" for _, _, same in runs),
        )
    return table


def _demonstrated(
    name: str, weights: Mapping[str, float], seed: int, output: Path
) -> tuple[float | None, float, float]:
    """Return a fall, the share of time without ground, and the correlation with the gait."""
    from ddpm_controller.rewards.gaits import GAITS, swing_heights

    changes = {"rollouts": 64, "iterations": 4, "gait": name}
    planner = go1_planner(changes, weights=weights)
    found: Walked = walked(planner, Trial(5.0, latency_ticks=0, command=standing), seed)
    rows, gait = found.rows, GAITS[name]
    feet = rows[50:, 5:9].T
    asked = swing_heights(rows[50:, 0] * gait.cadence_hz, gait.duty, gait.height_m, gait.phases)
    same = np.mean([np.corrcoef(one, two)[0, 1] for one, two in zip(feet, asked, strict=True)])
    output.mkdir(parents=True, exist_ok=True)
    path = output / f"{name}_{seed}.npz"
    np.savez_compressed(path, rows=rows, actions=found.actions, states=found.states)
    off = float((feet.min(axis=0) > 0.03).mean())
    return found.fell_s, off, float(same)


def overhead(command: Planners, kept: Kept) -> Table:
    """Return the share of a plan of the Go1 that is not MuJoCo's."""
    from planner_peer import share_outside

    table = Table("Go1 plan", "total ms, median", "outside of MuJoCo ms", "share %")
    for name, changes in (("MPPI 16 x 4", MANY), ("MPPI 8 x 4", FEW)):
        total_s, outside_s = share_outside(go1_planner(changes), 20 if command.quick else 100)
        share = 100 * outside_s / total_s
        table.add_row(name, f"{1e3 * total_s:.1f}", f"{1e3 * outside_s:.2f}", f"{share:.1f}")
    return table


def pictures(command: Planners, kept: Kept) -> str:
    """Draw one trot and one annealing below docs/pictures; return where."""
    folder = Path(__file__).parents[1] / "docs" / "pictures"
    run = walked(go1_planner(MANY), Trial(command=trotting), seed=0)
    return f"{draw_trot(run, folder)}, {draw_annealing(folder)}"


def peer(command: Planners, kept: Kept) -> Table:
    """Return plans a second beside the peer's, measured in turns."""
    return compared_rates(rounds=1 if command.quick else 5)


def _mean_text(numbers: list[float]) -> str:
    if not numbers:
        return "-"
    half = 0.0
    if len(numbers) > 1:
        half = _STUDENT[min(len(numbers), 10)] * float(np.std(numbers, ddof=1))
        half /= len(numbers) ** 0.5
    return f"{np.mean(numbers):.3f} ± {half:.3f}"


_STUDENT = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57, 7: 2.45, 8: 2.36, 9: 2.31, 10: 2.26}
"""Quantile of Student's t for an interval of 95 %, by the number of values."""
_QUICK: tuple[Section, ...] = ("tasks", "trot", "overhead", "peer")
_PARTS: Mapping[Section, Callable[[Planners, Kept], Any]] = {
    "landscape": landscape,
    "tasks": tasks,
    "trot": trot,
    "gaits": gaits,
    "overhead": overhead,
    "pictures": pictures,
    "peer": peer,
}
if __name__ == "__main__":
    sys.exit(main())
