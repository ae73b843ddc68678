"""The comparison of memories as one picture: success of every arm, world by world."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from ddpm_controller.evaluation.intervals import wilson_interval

Successes = Mapping[tuple[str, str], Sequence[bool]]
"""(arm, perturbation) -> of every trial of all trainings."""


def draw(
    path: Path,
    worlds: Mapping[str, Successes],
    arms: Sequence[str],
    perturbations: Sequence[str],
    title: str,
) -> None:
    """Draw the rate of each arm with its 95 % Wilson interval, one row per world."""
    figure = Figure(figsize=(11, 2.6 * len(worlds)), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", fontsize=10)
    rows = figure.subplots(len(worlds), 1, squeeze=False)[:, 0]
    width = 0.8 / len(perturbations)
    for axes, (world, successes) in zip(rows, worlds.items(), strict=True):
        for number, perturbation in enumerate(perturbations):
            places = np.arange(len(arms)) + width * (number - (len(perturbations) - 1) / 2)
            known = [
                (place, successes[arm, perturbation])
                for place, arm in zip(places, arms, strict=True)
                if successes.get((arm, perturbation))
            ]
            rates = np.array([np.mean(each) for _, each in known])
            ends = np.array([wilson_interval(sum(each), len(each)) for _, each in known])
            axes.bar(
                [place for place, _ in known],
                rates,
                width,
                yerr=np.abs(ends.reshape(-1, 2).T - rates),
                error_kw={"linewidth": 0.8},
                label=perturbation,
            )
        axes.set_xticks(range(len(arms)), arms)
        axes.set_ylim(0, 1.02)
        axes.set_ylabel(f"{world}\nsuccess")
        axes.grid(axis="y", alpha=0.3)
    labels = rows[0].get_legend_handles_labels()
    figure.legend(*labels, ncols=len(perturbations), fontsize=8, loc="outside upper right")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
