"""Success against evaluations of the network per plan: few steps, warm starts, distilled, MIP.

python benchmarks/success_vs_evaluations.py            # the shipped checkpoints, about an hour
python benchmarks/success_vs_evaluations.py --quick    # fewer arms and trials, under a minute

The same seeds, of worlds and of noise, for every arm. `reach` and `pick_place` run under the
control loop; PushT by the published protocol, where success is more than 0.90 of the goal covered
and a plan ends with the chunk before it, so that there is nothing to start warm from.
What has been measured is kept below runs/, so an interrupted run goes on. Checkpoints that are
trained for few evaluations are looked for in ``trained``/<arm>/<task>; an arm without one is left
out. How they were trained: docs/results.md.
"""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
import tyro
from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import track
from rich.table import Table
from trials import scores_with, successes_of

from ddpm_controller.checkpoint import MANIFEST_NAME, load_checkpoint
from ddpm_controller.diffusion.gaussian import GaussianProcess
from ddpm_controller.diffusion.schedules import SCHEDULES
from ddpm_controller.diffusion.timesteps import timesteps_for
from ddpm_controller.diffusion.warm_start import timesteps_below
from ddpm_controller.evaluation.intervals import wilson_interval
from ddpm_controller.policies.seams.strategies import SeamSettings
from ddpm_controller.policy import PlanSettings
from ddpm_controller.systems import restore
from ddpm_controller.types import Observation

EVALUATIONS = (1, 2, 3, 5, 10)
TRAINED = {"consistency": (1, 2, 3), "mip": (1, 2), "regression": (1,)}
"""Arm with a checkpoint of its own -> evaluations to try it with."""
UNTRAINED = {
    "DDIM, leading": {"sampler": "ddim", "spacing": "leading"},
    "DDIM, signal": {"sampler": "ddim", "spacing": "signal"},
    "DDPM, leading": {"sampler": "ddpm", "spacing": "leading"},
    "DDPM, signal": {"sampler": "ddpm", "spacing": "signal"},
}
"""Arm of a shipped checkpoint -> its overrides."""
WARM = "warm start"


@dataclass(frozen=True)
class Options:
    """Compare ways to plan with few evaluations.

    Attributes:
        tasks: Names of folders in models/.
        arms: Names of arms; empty: all.
        trials: Per arm and number of evaluations.
        seed: Seed of the first trial.
        trained: Folder of what was trained for few evaluations, <arm>/<task>.
        output: Folder of what has been measured.
        quick: Fewer tasks, arms and trials.
    """

    tasks: tuple[str, ...] = ("pusht", "reach", "pick_place")
    arms: tuple[str, ...] = ()
    trials: int = 60
    seed: int = 30_000_000
    trained: Path = Path("runs/few")
    output: Path = Path("runs/benchmarks/success_vs_evaluations")
    quick: bool = False


@dataclass(frozen=True)
class Arm:
    """One way to plan.

    Attributes:
        task: Name of the world.
        name: What the table calls it.
        evaluations: Evaluations per plan; of a warm start those of a plan that continues.
        checkpoint: Folder.
        overrides: Settings of the policy.
    """

    task: str
    name: str
    evaluations: int
    checkpoint: Path
    overrides: dict[str, float | str]


@dataclass(frozen=True)
class Result:
    """What an arm gave.

    Attributes:
        task: Name of the world.
        name: Name of the arm.
        evaluations: Evaluations per plan.
        scores: One per trial.
        plan_s: Median CPU time of one plan of one robot, one thread; of a warm start, of one that
            continues.
    """

    task: str
    name: str
    evaluations: int
    scores: list[float]
    plan_s: float

    @property
    def successes(self) -> int:
        """Number of trials that succeeded."""
        return successes_of(self.task, self.scores)

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the success rate."""
        return wilson_interval(self.successes, len(self.scores))


def arms_of(task: str, options: Options) -> Iterator[Arm]:
    """Yield every arm that can be run for a task."""
    shipped = Path("models") / task
    for name, overrides in UNTRAINED.items():
        for count in (2, 3) if options.quick else EVALUATIONS:
            steps = {**overrides, "num_inference_steps": count, "seam": "switch"}
            yield Arm(task, name, count, shipped, steps)
    if task != "pusht":
        for count in (2,) if options.quick else (1, 2, 3, 5):
            yield Arm(task, WARM, count, shipped, _warm(count))
    for name, counts in TRAINED.items():
        folder = options.trained / name / task
        if name == "consistency" and (Path("models") / f"{task}_fast").is_dir():
            folder = Path("models") / f"{task}_fast"
        for count in counts if (folder / MANIFEST_NAME).is_file() else ():
            yield Arm(task, name, count, folder, {"num_inference_steps": count, "seam": "switch"})


def _warm(evaluations: int) -> dict[str, float | str]:
    """Return the longest chain of which a plan that continues visits so many timesteps."""
    process = GaussianProcess(SCHEDULES["cosine"](100))
    level = SeamSettings().warm_level
    lengths = [
        steps
        for steps in range(1, 30)
        if len(timesteps_below(timesteps_for(process, steps, "signal"), 100, level)) == evaluations
    ]
    return {
        **UNTRAINED["DDIM, signal"],
        "num_inference_steps": max(lengths),
        "seam": "warm",
    }


def measured(arm: Arm, options: Options) -> Result:
    """Run the trials of an arm, or read what they gave."""
    digest = load_checkpoint(arm.checkpoint).hash[:8]
    short = arm.name.replace(", ", "_").replace(" ", "_")
    name = f"{arm.task}_{digest}_{short}_{arm.evaluations}_{options.seed}_{options.trials}.json"
    path = options.output / name
    if not path.is_file():
        seeds = range(options.seed, options.seed + options.trials)
        plans = PlanSettings(overrides=arm.overrides)
        scores = scores_with(arm.checkpoint, arm.task, plans, seeds)
        result = Result(arm.task, arm.name, arm.evaluations, scores, _plan_time(arm))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(result)) + "\n")
    return Result(**json.loads(path.read_text()))


def _plan_time(arm: Arm, repeats: int = 11) -> float:
    policy = restore(arm.checkpoint, PlanSettings(overrides=arm.overrides))
    values = {
        stream.name: np.zeros(stream.shape, np.uint8 if stream.kind == "image" else np.float64)
        for stream in policy.facts.streams
    }
    period_s, steps = policy.facts.action_spec.period_s, policy.facts.n_obs_steps
    memory, times = policy.initial_memory(0), []
    for number in range(repeats):
        now_s = period_s * (number + steps)
        window = [Observation(now_s + period_s * k, values) for k in range(steps)]
        begun_s = time.process_time()
        memory = policy.plan(window, memory).memory
        times.append(time.process_time() - begun_s)
    return float(np.median(times[1:]))


def table(results: Sequence[Result]) -> Table:
    """One row per task, arm and number of evaluations."""
    view = Table(title="success against evaluations of the network per plan")
    for column in (
        "task",
        "arm",
        "evaluations",
        "success",
        "95 % interval",
        "coverage",
        "plan, ms",
    ):
        view.add_column(column, justify="left" if column in ("task", "arm") else "right")
    for r in results:
        low, high = r.interval
        coverage = f"{np.mean(r.scores):.3f}" if r.task == "pusht" else ""
        view.add_row(
            r.task,
            r.name,
            str(r.evaluations),
            f"{r.successes} of {len(r.scores)}",
            f"{100 * low:.0f} to {100 * high:.0f} %",
            coverage,
            f"{1e3 * r.plan_s:.1f}",
        )
    return view


def draw(results: Sequence[Result], path: Path) -> None:
    """Draw success with its interval against the evaluations, a panel for each task."""
    tasks = list(dict.fromkeys(r.task for r in results))
    names = list(dict.fromkeys(r.name for r in results))
    figure = Figure(figsize=(4.2 * len(tasks), 3.8), layout="constrained")
    panels = figure.subplots(1, len(tasks), sharey=True, squeeze=False)[0]
    for axes, task in zip(panels, tasks, strict=True):
        for place, name in enumerate(names):
            own = [r for r in results if r.task == task and r.name == name]
            if not own:
                continue
            rates = np.array([r.successes / len(r.scores) for r in own])
            spread = 100 * np.abs(np.array([r.interval for r in own]).T - rates)
            counts = [r.evaluations * 1.03 ** (place - len(names) / 2) for r in own]
            axes.errorbar(counts, 100 * rates, spread, fmt="o-", capsize=2, label=name)
        axes.set(title=task, xlabel="evaluations per plan", xscale="log")
        axes.set_xticks(EVALUATIONS, [str(each) for each in EVALUATIONS])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7)
    panels[0].set_ylabel("success, %, 95 % interval")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)


def main() -> None:
    """Run the command."""
    options = tyro.cli(Options)
    if options.quick:
        options = replace(options, tasks=("reach",), trials=6)
    torch.set_num_threads(1)
    every = [arm for task in options.tasks for arm in arms_of(task, options)]
    arms = [arm for arm in every if not options.arms or arm.name in options.arms]
    results = [measured(arm, options) for arm in track(arms, description="trials")]
    Console(width=120).print(table(results))
    if not options.quick:
        draw(results, Path("docs/pictures/success_vs_evaluations.png"))
        print("picture: docs/pictures/success_vs_evaluations.png")
    for r in results:
        name = f"{r.task} {r.name} {r.evaluations}".replace(", ", "_").replace(" ", "_")
        print(f"{name}: {r.successes / len(r.scores):.3f}")


if __name__ == "__main__":
    main()
