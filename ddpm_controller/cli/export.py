"""The command `export`: a checkpoint compiled for every engine, compared and measured."""

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.table import Table

from ddpm_controller.checkpoint import Checkpoint, load_checkpoint
from ddpm_controller.inference.choice import AUTO
from ddpm_controller.inference.engine import EngineError
from ddpm_controller.inference.engines import ENGINES
from ddpm_controller.inference.remembered import cache_folder, forget
from ddpm_controller.networks.device import use_threads
from ddpm_controller.policy import PlanSettings, Policy, overrides_from
from ddpm_controller.share import found_path
from ddpm_controller.systems import restore


@dataclass(frozen=True)
class ExportOptions:
    """Compile a checkpoint for every engine, compare each with torch and remember the fastest.

    What was found before on this machine, for any checkpoint, is forgotten first.

    Attributes:
        checkpoint: Folder of the checkpoint.
        overrides: Setting of the policy in place of the checkpoint's, name=value, for example
            ``--set seam=switch``; may be given several times.
        repeats: Plans of each engine that are timed, in turns.
        torch_num_threads: Threads of every engine, as the controller will have.
    """

    checkpoint: tyro.conf.Positional[Path]
    overrides: Annotated[
        tyro.conf.UseAppendAction[tuple[str, ...]],
        tyro.conf.arg(name="set", metavar="NAME=VALUE"),
    ] = ()
    repeats: int = 20
    torch_num_threads: int = 1

    def __post_init__(self) -> None:
        overrides_from(self.overrides)
        if self.repeats < 1:
            raise ValueError(f"repeats must be at least 1, got {self.repeats}")


def plan_times_s(policies: Mapping[str, Policy], repeats: int) -> dict[str, float]:
    """Return the median wall time of a plan of each policy, s, measured in turns."""
    times: dict[str, list[float]] = {name: [] for name in policies}
    for _ in range(repeats):
        for name, policy in policies.items():
            window, memory = policy.facts.warm_up_window, policy.initial_memory(0)
            began_s = time.perf_counter()
            policy.plan(window, memory)
            times[name].append(time.perf_counter() - began_s)
    return {name: statistics.median(each) for name, each in times.items()}


def exported(
    checkpoint: Checkpoint, options: ExportOptions
) -> tuple[dict[str, Policy], dict[str, str]]:
    """Return a policy for each engine that serves the checkpoint, and why the others do not."""
    policies: dict[str, Policy] = {}
    problems: dict[str, str] = {}
    for name in ENGINES:
        settings = PlanSettings(overrides=overrides_from(options.overrides), engine=name)
        try:
            policies[name] = restore(checkpoint, settings)
        except EngineError as error:
            problems[name] = str(error)
    return policies, problems


def main() -> int:
    """Run the command."""
    options = tyro.cli(ExportOptions)
    console = Console(soft_wrap=True)
    use_threads(options.torch_num_threads)
    checkpoint = load_checkpoint(found_path(str(options.checkpoint)))
    forget()
    policies, problems = exported(checkpoint, options)
    times_s = plan_times_s(policies, options.repeats)
    view = Table(title=f"a plan of {checkpoint.folder}, {options.torch_num_threads} thread(s)")
    view.add_column("engine")
    view.add_column("ms a plan", justify="right")
    view.add_column("compared with torch")
    for name in ENGINES:
        if name in policies:
            text = policies[name].facts.engine_text
            view.add_row(name, f"{1e3 * times_s[name]:.1f}", text)
        else:
            view.add_row(name, "-", problems[name])
    console.print(view)
    overrides = overrides_from(options.overrides)
    facts = restore(checkpoint, PlanSettings(overrides=overrides, engine=AUTO)).facts
    console.print(f"auto takes {facts.engine}: {facts.engine_text}", markup=False)
    console.print(f"remembered in {cache_folder()}", markup=False, highlight=False)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
