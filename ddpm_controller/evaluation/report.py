"""A set of trials as a table, a JSON file and a picture."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.table import Table

from ddpm_controller.evaluation.coverage import CoverageSummary
from ddpm_controller.evaluation.results import Summary, Trial, summarize

if TYPE_CHECKING:
    from matplotlib.figure import SubFigure


def trial_line(number: int, count: int, trial: Trial) -> str:
    """One line for a trial that has just ended, for people who watch."""
    outcome = "success" if trial.success else "no success"
    return (
        f"episode {number:>3}/{count}  seed {trial.seed:<6} {outcome:<10} "
        f"after {trial.duration_s:5.1f} s, {trial.plans} plans"
        + ("" if trial.score is None else f", coverage {trial.score:.3f}")
        + "".join(f", {name} {count:.3g}" for name, count in trial.tally.items())
    )


def table(title: str, summary: Summary) -> Table:
    """The summary as a rich table."""
    view = Table(title=title)
    for column in ("trials", "successes", "rate", "95 % interval", "median time to success"):
        view.add_column(column, justify="right")
    view.add_row(
        str(summary.trials),
        str(summary.successes),
        f"{100 * summary.rate:.0f} %",
        f"{100 * summary.low:.0f} to {100 * summary.high:.0f} %",
        f"{summary.median_time_to_success_s:.1f} s",
    )
    return view


def coverage_table(coverage: CoverageSummary) -> Table:
    """What PushT is scored by, as a rich table: success at each threshold, means below."""
    view = Table(
        caption=f"mean maximum coverage {coverage.mean_max_coverage:.3f}, "
        f"published reward {coverage.published_reward:.3f}",
    )
    for column in ("coverage above", "successes", "rate", "95 % interval"):
        view.add_column(column, justify="right")
    for reached in coverage.reached:
        view.add_row(
            f"{reached.threshold:.2f}",
            str(reached.successes),
            f"{100 * reached.rate:.0f} %",
            f"{100 * reached.low:.0f} to {100 * reached.high:.0f} %",
        )
    return view


def write_json(path: Path, trials: Sequence[Trial], facts: Mapping[str, object]) -> None:
    """Write every trial's outcome and the summary, with ``facts`` on how they were made."""
    summary = summarize(trials)
    content = {
        "facts": dict(facts),
        "trials": summary.trials,
        "successes": summary.successes,
        "rate": summary.rate,
        "wilson_95": [summary.low, summary.high],
        "median_time_to_success_s": finite_or_none(summary.median_time_to_success_s),
        **_coverage(summary.coverage),
        "outcomes": [_outcome(trial) for trial in trials],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n")


def draw(path: Path, title: str, trials: Sequence[Trial], most: int = 3) -> None:
    """Draw a few trials: camera frames in a row, below them measured and commanded joints.

    Trials that failed come first, since they are looked at first.

    Args:
        path: PNG file to write.
        title: Headline.
        trials: Those with frames are drawn; of a world without cameras, those with curves.
        most: How many.
    """
    from matplotlib.figure import Figure  # here: tables need none of it

    kept = [t for t in trials if t.frames] or [t for t in trials if len(t.stamps_s)]
    shown = sorted(kept, key=lambda t: t.success)
    half = [t for t in shown if t.success][: max(1, most - sum(not t.success for t in shown))]
    shown = ([t for t in shown if not t.success][: most - min(1, len(half))] + half)[:most]
    if not shown:
        raise ValueError("no trial has frames or curves to draw")
    figure = Figure(figsize=(13, 4.2 * len(shown)), layout="constrained")
    figure.suptitle(f"{title}\n{summarize(trials)}")
    parts = figure.add_gridspec(len(shown), 1)
    for row, trial in enumerate(shown):
        _draw_trial(figure.add_subfigure(parts[row]), trial)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90)


def _outcome(trial: Trial) -> dict[str, object]:
    outcome: dict[str, object] = {
        "seed": trial.seed,
        "success": trial.success,
        "duration_s": trial.duration_s,
        "plans": trial.plans,
    }
    if trial.score is not None:
        outcome["max_coverage"] = trial.score
    if trial.tally:
        outcome["tally"] = {name: finite_or_none(count) for name, count in trial.tally.items()}
    return outcome


def _coverage(coverage: CoverageSummary | None) -> dict[str, object]:
    """Nothing where trials have no score."""
    if coverage is None:
        return {}
    reached = [
        {
            "coverage": each.threshold,
            "successes": each.successes,
            "rate": each.rate,
            "wilson_95": [each.low, each.high],
        }
        for each in coverage.reached
    ]
    return {
        "mean_max_coverage": coverage.mean_max_coverage,
        "published_reward": coverage.published_reward,
        "success_above": reached,
    }


def _draw_trial(part: "SubFigure", trial: Trial) -> None:
    grid = part.add_gridspec(2, 1, height_ratios=(1, 1.6))
    pictures, plots = part.add_subfigure(grid[0]), part.add_subfigure(grid[1])
    pictures.suptitle(
        f"seed {trial.seed}: {'success' if trial.success else 'no success'} "
        f"after {trial.duration_s:.1f} s",
        fontsize=10,
    )
    views = pictures.subplots(1, max(1, len(trial.frames)), squeeze=False)[0]
    if not trial.frames:
        views[0].axis("off")
        views = views[:0]
    for view, frame, stamp_s in zip(views, trial.frames, trial.frame_stamps_s, strict=True):
        view.imshow(frame)
        view.set_title(f"{stamp_s:.1f} s", fontsize=8)
        view.axis("off")
    curves = plots.subplots(1, 1)
    for joint, name in enumerate(trial.joint_names):
        (line,) = curves.plot(trial.stamps_s, trial.positions[:, joint], linewidth=1.0)
        curves.plot(
            trial.stamps_s,
            trial.commands[:, joint],
            color=line.get_color(),
            linestyle="--",
            linewidth=0.8,
            label=name,
        )
    names = list(dict.fromkeys(name for _, name in trial.rises))
    for stamp_s, name in trial.rises:
        style = (":", "-.")[names.index(name) % 2]
        curves.axvline(stamp_s, color="black", linestyle=style, linewidth=1.0)
        curves.annotate(name, (stamp_s, 1.0), xycoords=("data", "axes fraction"), fontsize=7)
    curves.set_xlabel("time, s")
    curves.set_ylabel("rad, m\n(dashed: commanded)", fontsize=8)
    curves.legend(fontsize=7, ncols=2, loc="upper left", bbox_to_anchor=(1.0, 1.0))


def finite_or_none(value: float) -> float | None:
    """Return a number as JSON can have it, which has no NaN."""
    return value if np.isfinite(value) else None


def refuse_unwritable(folder: Path) -> None:
    """Make a folder and write into it, so that hours of work have a place.

    Raises:
        ValueError: Nothing can be written there; with the reason.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(
            f"output {folder}: nothing can be written there ({error.strerror}): choose another "
            "folder"
        ) from None
