"""What learned schedules gain on data of several scales, at few timesteps.

Mixtures of two modes, the same at scales 1, 0.1 and 0.01 in different elements, their exact
denoiser, the best variance of each timestep; schedules are fitted to the exact bound by
quadrature. Nats per dimension, ours / the reference figure where there is one.

    python benchmarks/learned_schedules.py --picture docs/pictures/learned_schedules.png
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro
from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor

# The mixtures and integrals are those of the tests.
sys.path.insert(0, str(Path(__file__).parents[1] / "test" / "diffusion"))

from exact_bounds import TWO_MODES, at_scales, exact_gap, fitted
from reference_gaps import BY_SCHEDULE

from ddpm_controller.diffusion.gaussian import GaussianProcess
from ddpm_controller.diffusion.learned import ElementSchedule, ScalarSchedule
from ddpm_controller.diffusion.schedules import cosine_betas

NAMES = ("cosine", "one for all (level 1)", "per element (level 2)")
SCALES = ((1.0,), (1.0, 0.1), (1.0, 0.1, 0.01))


@dataclass(frozen=True)
class Options:
    """Fit the schedules, print the table and draw the picture.

    Attributes:
        timesteps: Numbers of timesteps.
        nodes: Of the trapezoid rule while fitting.
        picture: Where the picture goes.
    """

    timesteps: tuple[int, ...] = (5, 10, 20, 50)
    nodes: int = 101
    picture: Path = Path("docs/pictures/learned_schedules.png")


def schedules_for(scales: tuple[float, ...], steps: int, nodes: int) -> list[GaussianProcess]:
    """Return the processes of ``NAMES``, fitted to data of these scales."""
    betas, mixture = cosine_betas(steps), at_scales(TWO_MODES, list(scales))
    learned = (ScalarSchedule(betas), ElementSchedule(betas, (len(scales),)))
    for schedule in learned:
        fitted(schedule, mixture, nodes, iterations=100)
    with torch.no_grad():
        return [GaussianProcess(betas), *(schedule() for schedule in learned)]


def gaps(scales: tuple[float, ...], processes: list[GaussianProcess]) -> list[float]:
    """Return the gap of each process, nats per dimension."""
    mixture = at_scales(TWO_MODES, list(scales))
    return [float(exact_gap(mixture, each, "average").mean()) for each in processes]


def gamma_of(process: GaussianProcess) -> Tensor:
    """(T,) or (T, D), -log SNR."""
    alpha_bar = process.alpha_bar
    gamma = torch.log1p(-alpha_bar) - alpha_bar.log()
    return gamma if gamma.ndim == 1 else gamma[:, 0]


def draw(
    found: dict[tuple[tuple[float, ...], int], list[GaussianProcess]], options: Options
) -> None:
    """Gap over T for each set of scales, and the schedules that were found for all three."""
    figure = Figure(figsize=(15, 3.6), layout="constrained")
    axes = figure.subplots(1, 4)
    for axis, scales in zip(axes, SCALES, strict=False):
        for index, name in enumerate(NAMES):
            ours = [gaps(scales, found[scales, steps])[index] for steps in options.timesteps]
            axis.plot(options.timesteps, ours, f"C{index}o-", label=name)
            known = [each for each in options.timesteps if (scales, each) in BY_SCHEDULE]
            reference = [BY_SCHEDULE[scales, each][index] for each in known]
            label = "reference" if index == 0 else None
            axis.plot(known, reference, "kx", markersize=8, label=label)
        axis.set(xscale="log", yscale="log", xlabel="timesteps T")
        axis.set_xticks(options.timesteps, [str(each) for each in options.timesteps])
        axis.set_xticks([], minor=True)
        axis.set_title("scales " + ", ".join(f"{each:g}" for each in scales))
    axes[0].set_ylabel("gap above the likelihood, nats per dim")
    axes[0].legend(fontsize=8)
    steps = options.timesteps[-1]
    processes = found[SCALES[-1], steps]
    axes[3].plot(gamma_of(processes[0]), "C0", label="cosine")
    axes[3].plot(gamma_of(processes[1]), "C1", label="one for all")
    for index, scale in enumerate(SCALES[-1]):
        style = ("-", "--", ":")[index]
        axes[3].plot(gamma_of(processes[2])[:, index], "C2" + style, label=f"scale {scale:g}")
    axes[3].set(xlabel=f"t, T = {steps}", ylabel="-log SNR", title="what was learned")
    axes[3].legend(fontsize=8)
    figure.savefig(options.picture, dpi=110)


def main() -> int:
    """Fit, print and draw."""
    options = tyro.cli(Options)
    jobs = [(scales, steps) for scales in SCALES for steps in options.timesteps]
    found = {job: schedules_for(*job, options.nodes) for job in track(jobs, "fitting")}
    table = Table(title="gap above the true likelihood, nats per dimension, ours / reference")
    for column in ("scales", "T", *NAMES):
        table.add_column(column, justify="right")
    for scales, steps in jobs:
        ours = gaps(scales, found[scales, steps])
        reference = BY_SCHEDULE.get((scales, steps))
        cells = [f"{each:.3f}" for each in ours]
        if reference is not None:
            pairs = zip(cells, reference, strict=True)
            cells = [f"{cell} / {each:.3f}" for cell, each in pairs]
        table.add_row(", ".join(f"{each:g}" for each in scales), str(steps), *cells)
    Console(width=110).print(table)
    draw(found, options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
