"""Senders that die, or are silent for a while, at random moments of the motion.

python benchmarks/stream_deaths.py
python benchmarks/stream_deaths.py --quick

The motions, the robot and the controller of ``trajectory_stream.py``. After a death the robot
comes to rest by the trajectory that it has: how far it goes, beside what the limits allow (a
lead and a stop at the velocity that it had), in which time, and with which acceleration. After a
hole the sender moves on: the trajectories that are refused, and the acceleration all the way. A
moment counts if a joint has a tenth of its velocity limit then.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table
from trajectory_stream import Condition, Found, Run, stream

HOLES_MS = (30, 60, 120, 250, 500, 1000, 3000)
MOVING = 0.1
FROM_S, UNTIL_S = 0.5, 3.0
"""After the settling: when a sender falls silent."""
MOTION_S = 1000.0
ACCIDENTS = {
    "none": {},
    "late": {"late_s": 0.015},
    "late and lost": {"late_s": 0.015, "loss": 0.05},
}


@dataclass(frozen=True)
class Options:
    """Deaths and holes.

    Attributes:
        deaths: Number of deaths, at each rate.
        holes: Number of holes of each length, at each rate.
        rates_hz: Control rates.
        accidents: What befalls messages besides: they are late by 0 to 15 ms, 5 of 100 are lost. A
            sender does not know that its last message before a hole was lost.
        seed: Of the moments.
        quick: Few of each, within a minute.
    """

    deaths: int = 100
    holes: int = 20
    rates_hz: tuple[int, ...] = (50, 100, 500)
    accidents: Literal["none", "late", "late and lost"] = "late"
    seed: int = 0
    quick: bool = False


def runs(rate_hz: int, silent_s: float, count: int, options: Options) -> Iterator[Found]:
    """Yield ``count`` runs in which the robot moved when its sender fell silent."""
    # One set of moments for each kind of silence.
    random = np.random.default_rng([options.seed, rate_hz, round(1e3 * min(silent_s, 1e3))])
    kind = stream("death", float(rate_hz))
    while count:
        silent_from_s = float(random.uniform(FROM_S, UNTIL_S))
        condition = Condition(
            silent_s=silent_s, silent_from_s=silent_from_s, **ACCIDENTS[options.accidents]
        )
        seed, from_s = int(random.integers(1 << 30)), float(random.uniform(0.0, MOTION_S))
        found = Run(kind, condition, 0.0, seed, from_s).found()
        if found.speed > MOVING:
            count -= 1
            yield found


def main() -> None:
    """Print the tables, and their figures as ``name: value``."""
    options = tyro.cli(Options)
    if options.quick:
        options = replace(options, deaths=5, holes=2, rates_hz=(100,))
    deaths = Table("rate, Hz", "deaths", "at rest", "after, ms", "way, mrad", "of allowed", "a/A")
    holes = Table("rate, Hz", "hole, ms", "holes", "refused", "a/A")
    lines = []
    for rate_hz in options.rates_hz:
        found = list(runs(rate_hz, math.inf, options.deaths, options))
        row = {
            "deaths": f"{len(found)}",
            "at_rest": f"{sum(each.end_speed < 1e-6 for each in found)}",
            "rest_ms": f"{1e3 * max(each.stop_s for each in found):.0f}",
            "way_mrad": f"{1e3 * max(each.stop_way for each in found):.0f}",
            "way_of_allowed": f"{max(each.stop_share for each in found):.3f}",
            "peak": f"{max(each.peak for each in found):.4f}",
        }
        deaths.add_row(f"{rate_hz}", *row.values())
        lines += [f"{rate_hz}_hz_{name}: {value}" for name, value in row.items()]
        print("\n".join(lines[-len(row) :]), flush=True)
        for hole_ms in HOLES_MS:
            found = list(runs(rate_hz, hole_ms / 1e3, options.holes, options))
            refused = f"{sum(each.refused for each in found)} of {sum(e.sent for e in found)}"
            peak = f"{max(each.peak for each in found):.4f}"
            holes.add_row(f"{rate_hz}", f"{hole_ms}", f"{len(found)}", refused, peak)
            key = f"{rate_hz}_hz_hole_{hole_ms}_ms"
            lines += [f"{key}_refused: {refused}", f"{key}_peak: {peak}"]
            print(*lines[-2:], sum(each.peak > 1.1 for each in found), flush=True)
    console = Console(width=120)
    console.print(deaths)
    console.print(holes)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
