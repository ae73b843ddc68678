"""Everything that a user, a robot or a machine can do wrong, by kind, each case by itself.

Files, parameters, streams and recordings are tried in a child each, with its time and its memory;
kills, holes in the commands and a second commander on a graph of real processes. The same seed
gives the same cases. Every guard is tried at its limit and one beyond: nothing here does harm to
other software.

    python benchmarks/attack.py --quick       # within a minute, without processes of ROS
    python benchmarks/attack.py               # all of it
"""

import json
import sys
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import tyro
from attack_cases import FAULTS, LONGEST_S, MOST_MB, PATIENCE_S, Case, Result, tried
from attack_files import file_cases
from attack_parameters import parameter_cases
from attack_streams import stream_cases
from rich.console import Console
from rich.table import Table

QUICK_EVERY = 12


@dataclass(frozen=True)
class Options:
    """Attack.

    Attributes:
        quick: Every twelfth case, and nothing live.
        seed: Seed of all random changes.
        repeats: Number of random changes of each kind.
        live: Number of times that each live fault is tried; 0: none.
        kinds: Beginnings of the names of kinds; all when left out.
        output: File of the results, a line each.
    """

    quick: bool = False
    seed: int = 0
    repeats: int = 25
    live: int = 5
    kinds: tuple[str, ...] = ()
    output: Path = Path("runs/benchmarks/attack.jsonl")


def cases(options: Options) -> Iterator[Case]:
    """Give the cases that need no ROS graph."""
    every = [
        *file_cases(options.seed, options.repeats),
        *parameter_cases(options.seed, options.repeats),
        *stream_cases(options.seed, options.repeats),
    ]
    yield from every[:: QUICK_EVERY if options.quick else 1]


def table(results: Iterable[Result]) -> Table:
    """Return the counts by kind."""
    kinds: dict[str, list[Result]] = {}
    for result in results:
        kinds.setdefault(result.kind, []).append(result)
    title = (
        f"hanging: more than {LONGEST_S:g} s of a processor, or no end within {PATIENCE_S:g} s; "
        f"memory: more than {MOST_MB} MB"
    )
    view = Table("kind", "cases", "refused or told", "taken", *FAULTS, "longest, s", title=title)
    kinds["all"] = [result for each in kinds.values() for result in each]
    for kind, found in kinds.items():
        faults = Counter(fault for each in found for fault in each.faults)
        told = sum(bool(each.text) for each in found)
        row = [kind, len(found), told, len(found) - told, *(faults[name] for name in FAULTS)]
        view.add_row(*map(str, row), f"{max(each.took_s for each in found):.1f}")
    return view


def main() -> int:
    """Attack; return 1 where anything has a fault."""
    options = tyro.cli(Options)
    console = Console(width=160, highlight=False)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    results: list[Result] = []
    options.output.parent.mkdir(parents=True, exist_ok=True)
    with options.output.open("w") as file:

        def keep(result: Result) -> None:
            results.append(result)
            file.write(json.dumps(asdict(result)) + "\n")
            if result.faults:
                line = f"{result.kind}, {result.name}: {', '.join(result.faults)}: "
                console.print(line + (result.error or result.text[:300]), markup=False)

        def chosen(kind: str) -> bool:
            return not options.kinds or kind.startswith(options.kinds)

        for case in cases(options):
            if chosen(case.kind):
                keep(tried(case))
        if options.live and not options.quick and chosen("live"):
            # Imported here: the rest needs no ROS.
            from attack_live import live_results

            live_results(options.live, options.seed, keep)
    console.print(table(results))
    return 1 if any(result.faults for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
