"""Kills, holes in the commands and a second commander, on a graph of real processes."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import rclpy
from attack_cases import Result
from fault_campaign import Options, Outcome, inject
from fault_graph import FaultGraph, FaultGraphError, fault_graph
from fault_kinds import FAULTS, SECOND, Fault

from ddpm_controller.ros.graph.own_graph import use_own_domain

KILLS = ("controller killed", "command process killed", "cameras killed", "joint states killed")
HOLES = ("controller SIGSTOP 2 s", "command SIGSTOP 2 s")
_OVER = 0.05
"""Share of a limit by which a controller that interpolates between points may exceed it."""


def live_results(repeats: int, seed: int, on_result: Callable[[Result], None]) -> None:
    """Try each ``repeats`` times, in rounds."""
    use_own_domain()
    rclpy.init()
    by_name = {fault.name: fault for fault in FAULTS}
    kinds: Mapping[str, list[Fault]] = {
        "live: kills": [by_name[name] for name in KILLS],
        "live: holes": [by_name[name] for name in HOLES],
        "live: two commanders": [by_name[SECOND]],
    }
    options = Options(seed=seed, light=True)
    for kind, faults in kinds.items():
        for result in _of_kind(kind, faults, repeats, options):
            on_result(result)
    rclpy.shutdown()


def _of_kind(kind: str, faults: list[Fault], repeats: int, options: Options) -> Iterator[Result]:
    with ExitStack() as stack:
        graph: FaultGraph | None = None
        for repeat in range(repeats):
            for fault in faults:
                if graph is None:
                    graph = stack.enter_context(
                        fault_graph("plain", Path("models/pick_place"), light=True)
                    )
                try:
                    outcome = inject(graph, fault, options, repeat)
                except FaultGraphError as error:
                    stack.close()
                    graph = None
                    yield Result(
                        kind, f"{fault.name} {repeat}", "either", "", str(error), 0.0, 0.0
                    )
                    continue
                yield _judged(kind, f"{fault.name} {repeat}", outcome)


def _judged(kind: str, name: str, outcome: Outcome) -> Result:
    """Return the result; a limit is kept by the set points that a robot makes of the commands."""
    over = max(outcome.velocity, outcome.acceleration)
    text = f"{over:.3f} of a limit: {', '.join(outcome.reasons) or 'it runs on'}"
    text = f"UNSAFE {text}" if over > 1 + _OVER else text
    error = "it did not run again" if np.isnan(outcome.recovered_s) else ""
    return Result(kind, name, "either", text, error, 0.0, 0.0)
