"""Success of the shipped checkpoints against the steps of denoising, sampler by sampler.

python benchmarks/sampler_steps.py

The same seeds, of worlds and of noise, for every sampler. `reach` and `pick_place` run under the
control loop; PushT by the published protocol, where success is more than 0.90 of the goal covered.
What has been measured is kept below runs/, so an interrupted run goes on.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import tyro
from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import track
from rich.table import Table
from trials import plan_settings, scores_of, successes_of

from ddpm_controller.checkpoint import load_checkpoint
from ddpm_controller.evaluation.intervals import wilson_interval
from ddpm_controller.systems import restore
from ddpm_controller.types import Observation

SAMPLERS = (
    "ddpm-100", "ddim-4", "ddim-10", "ddim-16",
    "dpm_solver_pp_2m-5", "dpm_solver_pp_2m-10", "unipc-5", "unipc-10",
)  # fmt: skip


@dataclass(frozen=True)
class Options:
    """Compare samplers on the shipped checkpoints.

    Attributes:
        tasks: Names of folders in models/.
        samplers: Name and denoising steps.
        trials: Per checkpoint and sampler.
        seed: Of the first trial.
        output: Folder of what has been measured.
    """

    tasks: tuple[str, ...] = ("reach", "pick_place", "pusht")
    samplers: tuple[str, ...] = SAMPLERS
    trials: int = 100
    seed: int = 10_000_000
    output: Path = Path("runs/benchmarks/sampler_steps")


@dataclass(frozen=True)
class Result:
    """One checkpoint with one sampler.

    Attributes:
        task: Name of the world.
        sampler: Name and steps.
        successes: Of the trials.
        trials: In all.
        plan_s: Median time of one plan of one robot, one thread.
    """

    task: str
    sampler: str
    successes: int
    trials: int
    plan_s: float

    @property
    def steps(self) -> int:
        """Evaluations of the denoiser per plan."""
        return int(self.sampler.rsplit("-", 1)[1])


def measured(options: Options, task: str, sampler: str) -> Result:
    """Run the trials, or read what they gave."""
    checkpoint = load_checkpoint(Path("models") / task)
    name = f"{task}_{checkpoint.hash[:8]}_{sampler}_{options.trials}.json"
    path = options.output / name
    if not path.is_file():
        seeds = range(options.seed, options.seed + options.trials)
        scores = scores_of(Path("models") / task, task, sampler, seeds)
        successes = successes_of(task, scores)
        plan_s = _plan_time(task, sampler)
        result = Result(task, sampler, successes, options.trials, plan_s)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(result)) + "\n")
    return Result(**json.loads(path.read_text()))


def _plan_time(task: str, sampler: str, repeats: int = 11) -> float:
    policy = restore(Path("models") / task, plan_settings(sampler))
    values = {
        stream.name: np.zeros(stream.shape, np.uint8 if stream.kind == "image" else np.float64)
        for stream in policy.facts.streams
    }
    window = (Observation(0.0, values),) * policy.facts.n_obs_steps
    memory = policy.initial_memory(0)
    times = []
    for _ in range(repeats):
        begun_s = time.perf_counter()
        policy.plan(window, memory)
        times.append(time.perf_counter() - begun_s)
    return float(np.median(times[1:]))


def table(results: Sequence[Result]) -> Table:
    """One row per checkpoint and sampler."""
    view = Table(title="success against denoising steps, shipped checkpoints")
    for column in ("task", "sampler", "steps", "success", "95 % interval", "plan, ms"):
        view.add_column(column, justify="left" if column in ("task", "sampler") else "right")
    for r in results:
        low, high = wilson_interval(r.successes, r.trials)
        interval = f"{100 * low:.0f} to {100 * high:.0f} %"
        share = f"{r.successes} of {r.trials}"
        name = r.sampler.rsplit("-", 1)[0]
        view.add_row(r.task, name, str(r.steps), share, interval, f"{1e3 * r.plan_s:.0f}")
    return view


def draw(results: Sequence[Result], path: Path) -> None:
    """Draw success with its interval against the steps, a panel for each task."""
    tasks = list(dict.fromkeys(r.task for r in results))
    figure = Figure(figsize=(4.2 * len(tasks), 3.8), layout="constrained")
    panels = figure.subplots(1, len(tasks), sharey=True, squeeze=False)[0]
    for axes, task in zip(panels, tasks, strict=True):
        names = list(dict.fromkeys(r.sampler.rsplit("-", 1)[0] for r in results))
        for place, name in enumerate(names):
            own = [r for r in results if r.task == task and r.sampler.rsplit("-", 1)[0] == name]
            rates = np.array([r.successes / r.trials for r in own])
            ends = np.array([wilson_interval(r.successes, r.trials) for r in own]).T
            steps = [r.steps * 1.03 ** (place - 1.5) for r in own]  # so that bars do not hide
            spread = 100 * np.abs(ends - rates)
            axes.errorbar(steps, 100 * rates, spread, fmt="o-", capsize=3, label=name)
        axes.set(title=task, xlabel="denoising steps", xscale="log")
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("success, %, 95 % interval")
    panels[-1].legend(fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)


def main() -> None:
    """Run the command."""
    options = tyro.cli(Options)
    torch.set_num_threads(1)
    pairs = [(task, sampler) for task in options.tasks for sampler in options.samplers]
    results = [measured(options, *pair) for pair in track(pairs, description="trials")]
    Console().print(table(results))
    draw(results, Path("docs/sampler_steps.png"))
    print("picture: docs/sampler_steps.png")


if __name__ == "__main__":
    main()
