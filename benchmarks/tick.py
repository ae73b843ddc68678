"""CPU time of a tick: the governor alone, the motion around it, and the whole command process.

python benchmarks/tick.py
python benchmarks/tick.py --before ../another_checkout
python benchmarks/tick.py --quick

Each row is a number of joints, a rate and a form of commands. ``governor`` and ``motion`` are the
calling thread's CPU time in this process, without ROS; ``process`` is that of all threads of a
real command process, which takes an order each tick, ticks on its own clock and publishes to a
listener. All follow the same plan: sines within the limits of a Franka, or what ``--plan`` names.
``--before`` names another checkout with its environment; both take turns, so that a ratio is of
neighbouring turns. Between the 25 % and 75 % quantiles there is the spread.
"""

import json
import math
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

WORKER = Path(__file__).with_name("tick_worker.py")
ANSWER = "@answer "
PARTS = ("governor", "motion", "process")
LIMIT_US = 150.0
"""For the governor at 7 joints."""


@dataclass(frozen=True)
class Options:
    """CPU time of a tick.

    Attributes:
        before: Folder of another checkout, with ``.venv`` in it; none: this one alone.
        seconds: Measured in each turn.
        rounds: Turns of each side.
        joints: Numbers of joints.
        rates_hz: Ticks per second.
        forms: Forms of the commands, of ``rest_ended`` and ``single_point``.
        plan: What is followed: ``smooth`` sines, or those ``with jumps`` that limits must cut.
        quick: Few rows and short turns, within a minute.
    """

    before: Path | None = None
    seconds: float = 2.0
    rounds: int = 5
    joints: tuple[int, ...] = (7, 29, 60)
    rates_hz: tuple[int, ...] = (100, 500)
    forms: tuple[str, ...] = ("rest_ended",)
    plan: str = "smooth"
    quick: bool = False


class Side:
    """A worker in the environment of one checkout.

    Args:
        name: Word for it.
        checkout: Its folder; None: this one.
    """

    def __init__(self, name: str, checkout: Path | None) -> None:
        python = sys.executable if checkout is None else checkout / ".venv" / "bin" / "python"
        if checkout is not None and not Path(python).exists():
            raise SystemExit(f"{checkout} has no environment: run `make setup` there")
        self._process = subprocess.Popen(
            [str(python), str(WORKER), name],
            cwd=checkout,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, kind: str, *arguments: Any) -> Any:
        """Return the answer of the worker."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps([kind, arguments]) + "\n")
        stdin.flush()
        for line in stdout:
            if line.startswith(ANSWER):
                return json.loads(line.removeprefix(ANSWER))
        raise SystemExit(f"the worker ended at {kind} {arguments}")

    def close(self) -> None:
        """Let it end."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


Found = dict[str, dict[str, list[float]]]
"""Side -> what was measured -> turn by turn, µs; ``limited`` is a share."""


def measure(sides: Mapping[str, Side], row: tuple[str, int, int], options: Options) -> Found:
    """Return what both sides take for a row, turn by turn."""
    form, num_joints, rate_hz = row
    found: Found = {name: {part: [] for part in (*PARTS, "limited")} for name in sides}
    for side in sides.values():
        side.ask("open", *row)
    plan, seconds = options.plan, options.seconds
    for _ in range(options.rounds):
        for name, side in sides.items():
            inside = side.ask("in_process", num_joints, rate_hz, form, plan, seconds)
            for part, value in inside.items():
                found[name][part].append(value)
            found[name]["process"].append(side.ask("turn", plan, seconds))
    for side in sides.values():
        side.ask("close")
    return found


def main() -> None:
    """Print the table, and the figures as ``name: value``."""
    options = tyro.cli(Options)
    if options.quick:
        options = replace(options, seconds=1.0, rounds=2, joints=(7,), rates_hz=(100,))
    sides = {"now": Side("now", None)}
    if options.before is not None:
        sides = {"before": Side("before", options.before), **sides}
    rows = [(f, n, r) for f in options.forms for n in options.joints for r in options.rates_hz]
    try:
        found = {row: measure(sides, row, options) for row in rows}
    finally:
        for side in sides.values():
            side.close()
    show(found)


def show(found: Mapping[tuple[str, int, int], Found]) -> None:
    """Print what was found."""
    table = Table("form", "joints", "Hz", "µs of a tick", "before", "now", "ratio", "limit")
    lines = [f"cores: {os.cpu_count()}", f"load: {os.getloadavg()[0]:.1f}"]
    for (form, num_joints, rate_hz), sides in found.items():
        for part in (*PARTS, "limited"):
            shape = ".3f" if part == "limited" else ".0f"
            turns = {name: np.array(each[part]) for name, each in sides.items()}
            ratio = math.nan
            if "before" in turns and part != "limited":
                ratio = float(np.median(turns["now"] / turns["before"]))
            limit = LIMIT_US if (part, num_joints) == ("governor", 7) else math.nan
            table.add_row(
                form,
                f"{num_joints}",
                f"{rate_hz}",
                part,
                spread(turns["before"], shape) if "before" in turns else "",
                spread(turns["now"], shape),
                "" if math.isnan(ratio) else f"{ratio:.2f}",
                "" if math.isnan(limit) else f"{limit:.0f}",
            )
            place = f"{part}_{form}_{num_joints}_joints_{rate_hz}_hz"
            unit = "" if part == "limited" else "_us"
            for name, values in turns.items():
                lines.append(f"{place}_{name}{unit}: {np.median(values):.4g}")
            if not math.isnan(ratio):
                lines.append(f"{place}_ratio: {ratio:.3f}")
    Console(width=130).print(table)
    print("\n".join([*lines, f"governor_7_joints_limit_us: {LIMIT_US:.0f}"]))


def spread(values: np.ndarray, shape: str) -> str:
    """Return median and quartiles."""
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return f"{middle:{shape}} ({low:{shape}} to {high:{shape}})"


if __name__ == "__main__":
    main()
