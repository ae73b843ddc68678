"""Pictures of a training: its curves, and chunks of the policy against what was demonstrated."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from ddpm_controller.systems import restore
from ddpm_controller.training.log import LogLine
from ddpm_controller.types import Episode, Observation

NUM_WINDOWS = 4
NUM_SAMPLES = 6


def draw_curves(lines: Sequence[LogLine], path: Path) -> None:
    """Draw loss, validation loss and learning rate over the updates."""
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([x.step for x in lines], [x.loss for x in lines], label="training", linewidth=1)
    measured = [x for x in lines if not math.isnan(x.validation_loss)]
    axes.plot(
        [x.step for x in measured],
        [x.validation_loss for x in measured],
        "o-",
        label="held-out episodes (averaged weights)",
    )
    axes.set(xlabel="updates", ylabel="loss (normalized units squared)", yscale="log")
    axes.grid(alpha=0.3)
    axes.legend(loc="upper right")
    rates = axes.twinx()
    rates.plot([x.step for x in lines], [x.learning_rate for x in lines], "k:", linewidth=1)
    rates.set(ylabel="learning rate (dotted)", ylim=(0, None))
    _save(figure, path)


def draw_samples(checkpoint: Path, episodes: Sequence[Episode], path: Path, seed: int) -> None:
    """Draw chunks that the policy plans at moments of held-out episodes, joint by joint.

    One row per moment, one column per joint; the demonstration is black, each plan a line.
    """
    policy = restore(checkpoint)
    joints = policy.facts.action_spec.joint_names
    rows = _moments(episodes)
    figure = Figure(figsize=(2.4 * len(joints), 1.8 * len(rows)))
    figure.subplots_adjust(left=0.04, right=0.99, bottom=0.09, top=0.87, hspace=0.15)
    grid = figure.subplots(len(rows), len(joints), squeeze=False, sharex=True)
    for row, (episode, moment) in zip(grid, rows, strict=True):
        window = _window(
            episode, moment, policy.facts.n_obs_steps, policy.facts.action_spec.period_s
        )
        chunks = [
            policy.plan(window, policy.initial_memory(seed + sample)).chunk.actions
            for sample in range(NUM_SAMPLES)
        ]
        shown = episode.actions[moment : moment + len(chunks[0])]
        seconds = np.arange(len(chunks[0])) * policy.facts.action_spec.period_s
        for joint, axes in enumerate(row):
            axes.plot(seconds, np.array(chunks)[:, :, joint].T, color="C0", alpha=0.5, linewidth=1)
            axes.plot(seconds[: len(shown)], shown[:, joint], "k.-", linewidth=1.5, markersize=3)
            axes.tick_params(labelsize=6)
    for axes, name, unit in zip(grid[0], joints, policy.facts.action_spec.units, strict=True):
        axes.set_title(f"{name} ({unit})", fontsize=8)
    figure.supxlabel("seconds from the newest observation", fontsize=8)
    figure.suptitle("planned (blue) and demonstrated (black), held-out episodes", fontsize=9)
    _save(figure, path)


def _moments(episodes: Sequence[Episode]) -> list[tuple[Episode, int]]:
    """Return moments spread over the episodes and over their length."""
    fractions = np.linspace(0.1, 0.7, NUM_WINDOWS)
    return [
        (episodes[row % len(episodes)], int(fraction * len(episodes[row % len(episodes)])))
        for row, fraction in enumerate(fractions)
    ]


def _window(episode: Episode, moment: int, steps: int, period_s: float) -> list[Observation]:
    """Return what a controller would see at a moment of the episode."""
    return [
        Observation(
            stamp_s=float(episode.stamps_s[moment]) - age * period_s,
            values={name: block[max(moment - age, 0)] for name, block in episode.values.items()},
        )
        for age in reversed(range(steps))
    ]


def _save(figure: Figure, path: Path) -> None:
    beside = path.with_name(path.stem + ".partial.png")
    figure.savefig(beside, dpi=110)
    beside.replace(path)
