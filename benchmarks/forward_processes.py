"""Fixed, learned and recorded-noise forward processes on the same demonstrations and updates.

python benchmarks/forward_processes.py --task pusht
python benchmarks/forward_processes.py --task reach

Per training seed one base checkpoint with the cosine schedule is trained by the task's recipe, and
each process goes on from it with the same further updates; so does cosine itself. Then success
(PushT: the published reward, with the share above 0.90) at 4, 8 and 16 DDIM steps on matched
seeds, and the bound on -log p of held-out episodes for chains of as many steps, nats per number.
Everything that is there already is kept: an interrupted run goes on. Demonstrations first:

ddpm pusht-demonstrations --data pusht_cchi_v7_replay.zarr --output runs/pusht/bags
ddpm demonstrate --world reach --episodes 50 --in-process --output runs/reach/bags
ddpm fit-noise runs/pusht/bags --robot config/robots/pusht.yaml --output runs/pusht/noise.json
ddpm fit-noise runs/reach/bags --output runs/reach/noise.json
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import tyro
from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import track
from rich.table import Table
from trials import scores_of, successes_of

from ddpm_controller.bags.episodes import Demonstrations, read_demonstrations
from ddpm_controller.checkpoint import load_checkpoint
from ddpm_controller.diffusion.timesteps import Spacing
from ddpm_controller.evaluation.intervals import wilson_interval
from ddpm_controller.evaluation.nll import evaluate_nll
from ddpm_controller.policy import BoundSettings
from ddpm_controller.robots.robot import Robot, load_robot
from ddpm_controller.share import share_path
from ddpm_controller.simulation.worlds import WORLDS
from ddpm_controller.systems import restore
from ddpm_controller.training.config import TrainingConfig, read_training_config
from ddpm_controller.training.run import train

ARMS = {"cosine": "fixed", "scalar": "scalar", "element": "element", "recorded": "recorded"}


@dataclass(frozen=True)
class Options:
    """Compare forward processes.

    Attributes:
        task: World and its demonstrations.
        seeds: Of the trainings.
        updates: Of each process, after the base's own.
        steps: Denoising steps.
        trials: Per checkpoint and number of steps.
        first_seed: Of the trials.
        folder: With bags and noise.json; trainings and results go there.
        arms: Processes to compare.
        spacing: Of the timesteps of a short chain. A learned schedule forgets the signal at the
            last timestep only, and a chain with leading spacing does not begin there.
    """

    task: Literal["pusht", "reach"] = "pusht"
    seeds: tuple[int, ...] = (0, 1, 2)
    updates: int = 1000
    steps: tuple[int, ...] = (4, 8, 16)
    trials: int = 100
    first_seed: int = 100_000
    folder: Path | None = None
    arms: tuple[str, ...] = tuple(ARMS)
    spacing: Spacing = "trailing"

    @property
    def home(self) -> Path:
        """Folder of everything."""
        return self.folder or Path("runs") / self.task


@dataclass(frozen=True)
class Result:
    """One checkpoint with one number of steps.

    Attributes:
        scores: Per trial: 1 or 0 for reach, the largest coverage for PushT.
        nll: Bound on -log p, nats per number.
    """

    arm: str
    seed: int
    steps: int
    scores: list[float]
    nll: float


@dataclass(frozen=True)
class Inputs:
    """What every arm learns from: the robot and what it was shown."""

    robot: Robot
    shown: Demonstrations


def inputs_of(options: Options) -> Inputs:
    """Read the demonstrations."""
    robot = load_robot(Path(share_path(WORLDS[options.task].robot)))
    return Inputs(robot, read_demonstrations([options.home / "bags"], robot))


def trained(inputs: Inputs, config: TrainingConfig, output: Path) -> Path:
    """Train, or go on, or take what is finished; return the last checkpoint."""
    checkpoint = output / "checkpoints" / "last"
    if (output / "curves.png").is_file() and (checkpoint / "manifest.json").is_file():
        manifest = load_checkpoint(checkpoint).manifest
        if manifest.provenance["step"] == config.num_steps:
            return checkpoint
    train(
        inputs.shown.episodes,
        inputs.robot.action_spec,
        inputs.robot.stream_specs,
        config,
        output,
        provenance=inputs.shown.provenance,
    )
    return checkpoint


def arm_config(
    options: Options, base: TrainingConfig, checkpoint: Path, arm: str
) -> TrainingConfig:
    """Return the recipe of one process that goes on from the base checkpoint."""
    noise = None
    if arm == "recorded":
        noise = json.loads((options.home / "noise.json").read_text())
        noise.pop("provenance", None)
    policy = replace(
        base.policy,
        forward_process=ARMS[arm],
        noise=noise,
        variance="fixed_large",
        spacing=options.spacing,
    )
    return replace(
        base,
        policy=policy,
        initial_checkpoint=str(checkpoint),
        num_steps=options.updates,
        learning_rate=base.learning_rate / 3,
        warmup_steps=100,
    )


def measured(
    options: Options, inputs: Inputs, arm: str, seed: int, checkpoint: Path
) -> list[Result]:
    """Return the results of one checkpoint, kept in a file beside it."""
    held_out = set(load_checkpoint(checkpoint).manifest.provenance["held_out"])
    episodes = [episode for episode in inputs.shown.episodes if episode.source in held_out]
    results = []
    for steps in options.steps:
        path = checkpoint.parent.parent / f"result_{steps}_{options.trials}.json"
        if not path.is_file():
            settings = BoundSettings(num_steps=steps)
            nll = evaluate_nll(restore(checkpoint), episodes, settings).mean
            seeds = range(options.first_seed, options.first_seed + options.trials)
            scores = scores_of(checkpoint, options.task, f"ddim-{steps}", seeds)
            result = Result(arm, seed, steps, scores, nll)
            path.write_text(json.dumps(asdict(result)) + "\n")
        results.append(Result(**json.loads(path.read_text())))
    return results


def rate(options: Options, scores: Sequence[float]) -> str:
    """Return success with its 95 % Wilson interval, and the published reward for PushT."""
    successes = successes_of(options.task, scores)
    low, high = wilson_interval(successes, len(scores))
    text = f"{100 * successes / len(scores):.0f} [{100 * low:.0f}, {100 * high:.0f}]"
    if options.task == "pusht":
        text = f"{np.minimum(np.array(scores) / 0.95, 1).mean():.3f}  {text}"
    return text


def table(options: Options, results: Sequence[Result]) -> Table:
    """One row per process and number of steps, over all training seeds."""
    what = "reward, % above 0.90" if options.task == "pusht" else "success %"
    view = Table(
        "process", "steps", what, "nats per number (s.d. of seeds)", "against cosine, nats",
        title=f"{options.task}: {len(options.seeds)} seeds x {options.trials} trials, "
        f"{options.updates} updates from the base",
    )  # fmt: skip
    for steps in options.steps:
        plain = {r.seed: r.nll for r in results if (r.arm, r.steps) == ("cosine", steps)}
        for arm in options.arms:
            own = [r for r in results if (r.arm, r.steps) == (arm, steps)]
            nats = np.array([r.nll for r in own])
            gains = np.array([r.nll - plain[r.seed] for r in own if r.seed in plain])
            view.add_row(
                arm,
                str(steps),
                rate(options, [score for r in own for score in r.scores]),
                f"{nats.mean():.3f} ({nats.std():.3f})",
                f"{gains.mean():+.3f} ({gains.std():.3f})" if gains.size else "",
            )
    return view


def draw(options: Options, results: Sequence[Result], path: Path) -> None:
    """Draw success and bound against the number of steps."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    success, bound = figure.subplots(1, 2)
    for place, arm in enumerate(options.arms):
        own = [[r for r in results if (r.arm, r.steps) == (arm, n)] for n in options.steps]
        ticks = np.arange(len(options.steps)) + 0.08 * (place - 1.5)
        scores = [[score for r in group for score in r.scores] for group in own]
        hits = [(successes_of(options.task, group), len(group)) for group in scores]
        rates = np.array([hit / count for hit, count in hits])
        ends = np.array([wilson_interval(hit, count) for hit, count in hits]).T
        success.errorbar(
            ticks, 100 * rates, 100 * np.abs(ends - rates), fmt="o-", capsize=3, label=arm
        )
        nats = np.array([[r.nll for r in group] for group in own])
        bound.errorbar(ticks, nats.mean(1), nats.std(1), fmt="o-", capsize=3, label=arm)
    for axes in (success, bound):
        axes.set_xticks(range(len(options.steps)), [str(n) for n in options.steps])
        axes.set_xlabel("denoising steps")
        axes.grid(alpha=0.3)
    above = "coverage above 0.90" if options.task == "pusht" else "success"
    success.set_ylabel(f"{above}, %, 95 % interval")
    bound.set_ylabel("bound on -log p, nats per number")
    bound.set_yscale("symlog", linthresh=3)  # coloured noise can cost thousands of nats
    bound.legend()
    figure.suptitle(f"{options.task}: forward processes, same demonstrations and updates")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)


def main() -> None:
    """Run the command."""
    options = tyro.cli(Options)
    torch.set_num_threads(1)
    recipe = read_training_config(Path(f"config/training/{options.task}.yaml"))
    inputs = inputs_of(options)
    results = []
    pairs = [(seed, arm) for seed in options.seeds for arm in options.arms]
    for seed, arm in track(pairs, description=options.task):
        config = replace(recipe, seed=seed)
        base = trained(inputs, config, options.home / f"seed{seed}")
        further = arm_config(options, config, base, arm)
        folder = options.home / "forward_processes" / options.spacing / f"{arm}_seed{seed}"
        results += measured(options, inputs, arm, seed, trained(inputs, further, folder))
    Console().print(table(options, results))
    path = Path("docs") / f"forward_processes_{options.task}.png"
    draw(options, results, path)
    print(f"picture: {path}")


if __name__ == "__main__":
    main()
