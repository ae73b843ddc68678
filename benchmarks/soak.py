"""An hour of the real controller at 100 Hz: does memory grow, does the tick drift, what leaks.

The stand-in robot of the fault campaign (one process per part), a controller with its command
process, checkpoint swaps every few minutes and a reset now and then. Each sample is kept at
once, so that a run that was ended early still has its table:

    python benchmarks/soak.py --duration-s 3600
    python benchmarks/soak.py --show runs/benchmarks/soak/20261123_150000.jsonl

Exit code 1: memory has grown by more than ``max_growth``, there are more threads or files than
before, the tick has drifted by more than a period, or a process was begun again.
"""

import json
import sys
import time
from dataclasses import asdict, dataclass
from itertools import cycle
from pathlib import Path

import rclpy
import tyro
from fault_graph import RATE_HZ, FaultGraph, fault_graph
from process_sample import process_sample
from rich.console import Console
from soak_report import Limits, SoakSample, draw, judged, table

from ddpm_controller.bags.conversions import seconds
from ddpm_controller.control.states import State
from ddpm_controller.ros.graph.own_graph import use_own_domain

_RESET_S = 3.0
"""Until a reset is over, the stop before it included."""


@dataclass(frozen=True)
class Options:
    """Let a controller run for long.

    Attributes:
        duration_s: Of the run, warm-up included.
        warm_up_s: Samples before this do not count; both checkpoints have been loaded twice by
            then, after which the allocator has what it needs.
        sample_s: Between two samples.
        swap_s: Between two checkpoint swaps; 0: none.
        reset_s: Between two resets; 0: none.
        checkpoint: What runs first.
        other: What is swapped in.
        max_growth: Of resident memory, first to last tenth, as a share.
        large: Two cameras of 640x480 at 30 Hz and joint states at 500 Hz.
        output: Folder of samples and pictures.
        show: Samples of an earlier run: only print and draw them.
    """

    duration_s: float = 3600.0
    warm_up_s: float = 600.0
    sample_s: float = 10.0
    swap_s: float = 120.0
    reset_s: float = 700.0
    checkpoint: Path = Path("models/pick_place")
    other: Path = Path("models/reach")
    max_growth: float = 0.01
    large: bool = False
    output: Path = Path("runs/benchmarks/soak")
    show: Path | None = None


class Soak:
    """One run: listens, swaps, resets and takes samples.

    Args:
        graph: A robot and its controller.
        options: When to do what.
        path: Of the samples.
    """

    def __init__(self, graph: FaultGraph, options: Options, path: Path) -> None:
        self._graph, self._path = graph, path
        self._sample_s = options.sample_s
        self._other = cycle([options.other.resolve(), options.checkpoint.resolve()])
        self._begin_s = time.monotonic()
        self._swaps = self._resets = self._waits = 0
        self._due_s = {
            name: each or float("inf")
            for name, each in (("swap", options.swap_s), ("reset", options.reset_s))
        }
        self._every_s = dict(self._due_s)

    def run(self, duration_s: float) -> None:
        """Go on for so long."""
        number = 0
        while (passed_s := time.monotonic() - self._begin_s) < duration_s:
            if self._is_due("swap", passed_s):
                self._graph.load(next(self._other))
                self._swaps += 1
            if self._is_due("reset", passed_s):
                self._graph.reset()
                self._resets += 1
                self._graph.listen(_RESET_S)
            number += 1
            self._graph.listen(number * self._sample_s - (time.monotonic() - self._begin_s))
            self._keep(self._sampled())

    def _is_due(self, name: str, passed_s: float) -> bool:
        if passed_s < self._due_s[name]:
            return False
        self._due_s[name] += self._every_s[name]
        return True

    def _sampled(self) -> SoakSample:
        graph = self._graph
        # What waits commands nothing: ticks before and after do not make one stretch.
        self._waits += sum(told.state == State.WAITING for _, told in graph.statuses)
        told = graph.statuses[-1][1]
        graph.forget()
        processes = {name: process_sample(pid) for name, pid in graph.processes.items()}
        # A stamp is of the system's time, which is steered; the tick is of the monotonic one.
        ahead_s = time.time() - time.monotonic()
        return SoakSample(
            time.monotonic() - self._begin_s,
            seconds(told.header.stamp) - ahead_s - self._begin_s,
            told.ticks,
            told.missed_ticks,
            int(told.state),
            self._waits,
            self._swaps,
            self._resets,
            processes,
        )

    def _keep(self, sample: SoakSample) -> None:
        with self._path.open("a") as file:
            file.write(json.dumps(asdict(sample)) + "\n")


def main() -> int:
    """Run, print the table, draw, and judge."""
    options = tyro.cli(Options)
    limits = Limits(options.warm_up_s, options.max_growth, 1 / RATE_HZ)
    if options.show is not None:
        return tell(options.show, limits)
    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / f"{time.strftime('%Y%m%d_%H%M%S', time.gmtime())}.jsonl"
    use_own_domain()
    rclpy.init()
    try:
        with fault_graph("plain", options.checkpoint, light=not options.large) as graph:
            graph.wait_until_moving(share=0.0)
            Soak(graph, options, path).run(options.duration_s)
    finally:
        rclpy.try_shutdown()
        code = tell(path, limits) if path.exists() else 1
    return code


def tell(path: Path, limits: Limits) -> int:
    """Print and draw what a run has kept; return the exit code."""
    samples = [SoakSample.of(json.loads(line)) for line in path.read_text().splitlines()]
    console = Console(width=120)
    problems = judged(samples, limits)
    console.print(table(samples, limits))
    draw(samples, limits, path.with_suffix(".png"))
    console.print(f"samples {path}, picture {path.with_suffix('.png')}")
    for problem in problems:
        console.print(f"[red]{problem}[/red]")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
