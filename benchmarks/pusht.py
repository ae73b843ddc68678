"""PushT from its state: three trainings, each tried 200 times as papers do, sampler by sampler.

python benchmarks/pusht.py --checkpoints runs/pusht/seed*/checkpoints/last

The same seeds, of worlds and of noise, for every checkpoint and sampler. Published for the state
policy (reward = mean over trials of the largest min(coverage / 0.95, 1)): .95 for the best and .91
on average over the last checkpoints (Chi et al. 2023, Table I); .957 to .959 with 64 % above 0.95
for the image policy of LeRobot. Trainings, one per seed s (44 minutes alone on a core):

ddpm pusht-demonstrations --data pusht_cchi_v7_replay.zarr --output runs/pusht/bags
ddpm train --bags runs/pusht/bags --robot config/robots/pusht.yaml \
    --config config/training/pusht.yaml --seed $s --output runs/pusht/seed$s
"""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import tyro
from rich.console import Console
from rich.progress import track
from rich.table import Table
from trials import scores_of

from ddpm_controller.checkpoint import load_checkpoint
from ddpm_controller.evaluation.coverage import CoverageSummary, summarize_coverage


@dataclass(frozen=True)
class Options:
    """Try checkpoints of PushT with several samplers on matched seeds.

    Attributes:
        checkpoints: One per training seed.
        samplers: Name and denoising steps, as ``ddim-10``.
        trials: Per checkpoint and sampler.
        seed: Of the first trial.
        output: Folder of what has been measured; an interrupted run goes on.
    """

    checkpoints: tuple[Path, ...]
    samplers: tuple[str, ...] = (
        "ddpm-100",
        "ddim-10",
        "dpm_solver_pp_2m-10",
        "dpm_solver_pp_2m-5",
    )
    trials: int = 200
    seed: int = 100_000
    output: Path = Path("runs/benchmarks/pusht")


@dataclass(frozen=True)
class Line:
    """One checkpoint with one sampler."""

    checkpoint: str
    sampler: str
    scores: list[float]
    seconds: float

    @property
    def summary(self) -> CoverageSummary:
        """Of the trials."""
        return summarize_coverage(self.scores)


def measured(checkpoint: Path, sampler: str, options: Options) -> Line:
    """Run the trials of one checkpoint with one sampler, or read what they gave."""
    digest = load_checkpoint(checkpoint).hash[:8]
    path = options.output / f"{digest}_{sampler}_{options.seed}_{options.trials}.json"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(_tried(checkpoint, sampler, options))) + "\n")
    return Line(**json.loads(path.read_text()))


def _tried(checkpoint: Path, sampler: str, options: Options) -> Line:
    begun_s = time.monotonic()
    scores = scores_of(
        checkpoint, "pusht", sampler, range(options.seed, options.seed + options.trials)
    )
    return Line(str(checkpoint), sampler, scores, time.monotonic() - begun_s)


def table(lines: Sequence[Line], options: Options) -> Table:
    """One row per checkpoint and sampler, and one per sampler over all checkpoints."""
    view = Table(title=f"PushT, state, {options.trials} trials each, published protocol")
    for column in ("checkpoint", "sampler", "reward", "coverage", "> 0.85", "> 0.90", "> 0.95"):
        view.add_column(column, justify="left" if column in ("checkpoint", "sampler") else "right")
    for sampler in options.samplers:
        own = [line for line in lines if line.sampler == sampler]
        for line in own:
            view.add_row(line.checkpoint, sampler, *_cells(line.summary))
        together = summarize_coverage([score for line in own for score in line.scores])
        spread = np.std([line.summary.published_reward for line in own])
        view.add_row(
            f"all {len(own)} (s.d. {spread:.3f})", sampler, *_cells(together), style="bold"
        )
    return view


def _cells(summary: CoverageSummary) -> list[str]:
    rates = [
        f"{100 * r.rate:.0f} [{100 * r.low:.0f}, {100 * r.high:.0f}]" for r in summary.reached
    ]
    return [f"{summary.published_reward:.3f}", f"{summary.mean_max_coverage:.3f}", *rates]


def main() -> None:
    """Run the command."""
    options = tyro.cli(Options)
    torch.set_num_threads(1)
    pairs = [(c, s) for s in options.samplers for c in options.checkpoints]
    lines = [measured(c, s, options) for c, s in track(pairs, description="trials")]
    Console(width=120).print(table(lines, options))


if __name__ == "__main__":
    main()
