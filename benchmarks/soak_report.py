"""What the samples of a soak say: growth, leaks, drift; as a verdict, a table and a picture."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from process_sample import ProcessSample
from rich.table import Table

SHARE = 0.1
"""Of the samples after the warm-up: so many are the beginning, and so many the end."""


@dataclass(frozen=True)
class SoakSample:
    """One moment of a run.

    Attributes:
        passed_s: Since the run began.
        tick_s: The newest tick that was told, likewise.
        ticks: Counted by the controller.
        missed: Of these, left out.
        state: Of the controller.
        waits: How often it was seen to command nothing; between two equal ones it has not.
        swaps: Checkpoints that were swapped.
        resets: Asked for.
        processes: Name -> how it does.
    """

    passed_s: float
    tick_s: float
    ticks: int
    missed: int
    state: int
    waits: int
    swaps: int
    resets: int
    processes: dict[str, ProcessSample]

    @classmethod
    def of(cls, content: dict[str, Any]) -> "SoakSample":
        """Return a sample that was kept as JSON."""
        processes = {name: ProcessSample(**one) for name, one in content["processes"].items()}
        return cls(**{**content, "processes": processes})


@dataclass(frozen=True)
class Limits:
    """What is too much.

    Attributes:
        warm_up_s: What was before does not count.
        growth: Of resident memory, as a share.
        period_s: Of the tick; it may drift by one.
    """

    warm_up_s: float
    growth: float
    period_s: float


@dataclass(frozen=True)
class Change:
    """One number at the beginning and at the end.

    Attributes:
        process: Whose.
        name: What it is.
        before: At the beginning: median of memory, least of what is counted. A thread that is
            just being used is no leak; one that leaks is in every sample.
        after: At the end.
    """

    process: str
    name: str
    before: float
    after: float

    @property
    def growth(self) -> float:
        """As a share of what was before."""
        return (self.after - self.before) / self.before if self.before else float(self.after > 0)


_NUMBERS: tuple[tuple[str, Callable[[np.ndarray], float]], ...] = (
    ("resident_mb", np.median),
    ("private_mb", np.median),
    ("threads", np.min),
    ("files", np.min),
    ("shared", np.min),
)


def changes(samples: list[SoakSample], limits: Limits) -> list[Change]:
    """Return the first against the last tenth of what counts."""
    counted = _counted(samples, limits)
    num = max(round(SHARE * len(counted)), 1)
    found = []
    for process in dict.fromkeys(name for each in counted for name in each.processes):
        ends = [
            [each.processes[process] for each in part if process in each.processes]
            for part in (counted[:num], counted[-num:])
        ]
        if not all(ends):
            continue
        for name, summary in _NUMBERS:
            before, after = (
                float(summary(np.array([getattr(one, name) for one in part]))) for part in ends
            )
            found.append(Change(process, name, before, after))
    return found


def drift_s(samples: list[SoakSample], limits: Limits) -> float:
    """Return by how much the tick has left its grid over all that counts, s.

    Ticks and those left out, times the period, against the time of the newest tick: one slope
    for all stretches in which commands never ceased, each with an offset of its own.
    """
    counted = _counted(samples, limits)
    times_s, residuals_s = [np.zeros(0)], [np.zeros(0)]
    for _, group in groupby(counted, key=_stretch):
        stretch = list(group)
        at_s = np.array([each.tick_s for each in stretch])
        grid_s = limits.period_s * np.array([each.ticks + each.missed for each in stretch])
        times_s.append(at_s - at_s.mean())
        residuals_s.append((grid_s - at_s) - (grid_s - at_s).mean())
    times, residuals = np.concatenate(times_s), np.concatenate(residuals_s)
    if not (times**2).sum() > 0:
        return 0.0
    slope = (times * residuals).sum() / (times**2).sum()
    return float(slope * (counted[-1].passed_s - counted[0].passed_s))


def judged(samples: list[SoakSample], limits: Limits) -> list[str]:
    """Return what is wrong with a run."""
    counted = _counted(samples, limits)
    if len(counted) < 2:
        return [f"{len(counted)} samples after a warm-up of {limits.warm_up_s:g} s: too short"]
    problems = []
    for each in changes(samples, limits):
        what = f"{each.process}: {each.name} {each.before:g} -> {each.after:g}"
        if each.name == "resident_mb" and each.growth > limits.growth:
            problems.append(f"{what}, more than {limits.growth:.0%}")
        if each.name in ("threads", "files", "shared") and each.after > each.before:
            problems.append(what)
    for process in dict.fromkeys(name for each in samples for name in each.processes):
        pids = {each.processes[process].pid for each in samples if process in each.processes}
        if len(pids) > 1:
            problems.append(f"{process} was begun {len(pids)} times")
    drifted_s = drift_s(samples, limits)
    if abs(drifted_s) > limits.period_s:
        problems.append(f"the tick has drifted by {1e3 * drifted_s:.2f} ms")
    return problems


def table(samples: list[SoakSample], limits: Limits) -> Table:
    """Return the first and the last tenth side by side."""
    counted = _counted(samples, limits)
    last = samples[-1]
    result = Table(
        title=(
            f"{last.passed_s:.0f} s, {limits.warm_up_s:.0f} s of them warm-up; first against last "
            f"tenth of {len(counted)} samples"
        )
    )
    for column in ("process", "what", "before", "after", "growth"):
        result.add_column(column, justify="left" if column in ("process", "what") else "right")
    for each in changes(samples, limits):
        figures = (f"{each.before:.2f}", f"{each.after:.2f}", f"{100 * each.growth:+.2f} %")
        result.add_row(each.process, each.name, *figures)
    drift = f"{1e3 * drift_s(samples, limits):+.3f} ms"
    result.add_row("", "drift of the tick", "", "", drift)
    missed = f"{last.missed} of {last.ticks + last.missed}"
    result.add_row("", "missed ticks", "", "", missed)
    result.add_row("", "swaps, resets", "", "", f"{last.swaps}, {last.resets}")
    return result


def draw(samples: list[SoakSample], limits: Limits, path: Path) -> None:
    """Write a picture of memory, threads, files and the grid of the tick over time."""
    mpl.use("agg")
    from matplotlib import pyplot as plt

    names = list(dict.fromkeys(name for each in samples for name in each.processes))
    figure, axes = plt.subplots(4, 1, figsize=(8, 9), sharex=True, layout="constrained")
    for axis, number in zip(axes, ("resident_mb", "threads", "files"), strict=False):
        for name in names:
            seen = [each for each in samples if name in each.processes]
            values = [getattr(each.processes[name], number) for each in seen]
            axis.plot([each.passed_s / 60 for each in seen], values, label=name)
        axis.set_ylabel(number.replace("_mb", ", MB"))
        axis.axvspan(0, limits.warm_up_s / 60, color="0.92")
        axis.set_ylim(bottom=0)
    axes[0].legend(loc="center right")
    for _, group in groupby(samples, key=_stretch):
        stretch = list(group)
        tick_s = np.array([each.tick_s for each in stretch])
        grid_s = limits.period_s * np.array([each.ticks + each.missed for each in stretch])
        offset_s = grid_s - tick_s
        axes[3].plot(tick_s / 60, 1e3 * (offset_s - np.median(offset_s)), color="C0")
    axes[3].set_ylabel("ticks against time, ms")
    axes[3].set_xlabel("min")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _stretch(sample: SoakSample) -> tuple[int, int]:
    """Return what is the same as long as commands never cease."""
    return sample.waits, sample.resets


def _counted(samples: list[SoakSample], limits: Limits) -> list[SoakSample]:
    return [each for each in samples if each.passed_s >= limits.warm_up_s]
