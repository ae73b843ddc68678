"""A report on plans beside recordings, as one page that needs no other file, and as JSON."""

import base64
import html
import io
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ddpm_controller.evaluation.open_loop import OpenLoopReport
from ddpm_controller.evaluation.report import finite_or_none

_MOST_JOINTS = 8
_STYLE = """
body { font: 15px/1.5 sans-serif; max-width: 70em; margin: 2em auto; padding: 0 1em }
table { border-collapse: collapse; margin: 1em 0 } img { max-width: 100% }
td, th { border: 1px solid #bbb; padding: .2em .7em; text-align: right }
td:first-child, th:first-child { text-align: left } .past { color: #b00; font-weight: bold }
"""


def figures_of(report: OpenLoopReport) -> dict[str, float | None]:
    """Return name -> figure that a threshold is for; None where it was not measured."""
    return {
        "error": report.worst_error,
        "coverage": report.mean_coverage,
        "out_of_distribution": report.out_of_distribution,
        "seam": report.worst_seam,
        "refused": report.refused,
    }


def write_open_loop_json(
    path: Path, report: OpenLoopReport, facts: Mapping[str, object], past: Mapping[str, str]
) -> None:
    """Write everything but the examples; ``past`` are the thresholds that are not kept."""
    fields = {name: each for name, each in asdict(report).items() if name != "examples"}
    content = {
        "facts": dict(facts),
        "figures": figures_of(report),
        "past": dict(past),
        **{name: _plain(each) for name, each in fields.items()},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")


def write_open_loop_page(
    path: Path, title: str, report: OpenLoopReport, past: Mapping[str, str]
) -> None:
    """Write the page; see ``write_open_loop_json``."""
    seam = report.seam if report.seam is not None else np.full(len(report.units), np.nan)
    rows = [
        [name, unit, *(f"{each:.4g}" for each in numbers)]
        for name, unit, *numbers in zip(
            report.joint_names,
            report.units,
            np.nanmean(report.error, axis=0),
            100 * np.nanmean(report.error, axis=0) / report.scale,
            np.nanmean(report.held_error, axis=0),
            100 * np.nanmean(report.coverage, axis=0),
            seam,
            strict=True,
        )
    ]
    head = ["joint", "unit", "error", "% of range", "error of holding", "covered, %", "seam"]
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        f"<p>{report.num_windows} windows of {report.num_episodes} episodes, "
        f"{report.num_samples} plans of each.</p>",
        _table(["", "", ""], _summary(report, past)),
        _table(head, rows),
        _picture(_draw_rows(report)),
        "<h2>Plans (thin) and what was recorded (thick)</h2>",
        _picture(_draw_examples(report)),
    ]
    body = "\n".join(parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head>\n<body>{body}</body>"
        "</html>\n",
        encoding="utf-8",
    )


def _summary(report: OpenLoopReport, past: Mapping[str, str]) -> list[list[str]]:
    """Return name, figure and what it means for each that a threshold is for."""
    meanings = {
        "error": "largest mean error of a joint, as a share of its range",
        "coverage": "recorded actions between the smallest and the largest sample; "
        f"{report.expected_coverage:.2f} where they are of one distribution",
        "out_of_distribution": "windows unlike the training",
        "seam": "largest disagreement of a plan with the plan before it, as a share of the range",
        "refused": "plans that the controller refuses; "
        + (report.refusal or f"beyond some limit: {shown_figure(report.beyond)}"),
    }
    figures = figures_of(report)
    return [
        [name, shown_figure(figures[name]), past.get(name, text)]
        for name, text in meanings.items()
    ]


def shown_figure(figure: float | None) -> str:
    """Return a figure in words."""
    return "not measured" if figure is None else f"{figure:.4f}"


def _table(head: list[str], rows: list[list[str]]) -> str:
    """Return a table; all texts are escaped."""
    lines = [f"<tr>{''.join(f'<th>{html.escape(each)}</th>' for each in head)}</tr>"]
    lines += [f"<tr>{''.join(f'<td>{html.escape(e)}</td>' for e in row)}</tr>" for row in rows]
    return f"<table>{''.join(lines)}</table>"


def _picture(figure: Figure) -> str:
    content = io.BytesIO()
    figure.savefig(content, dpi=80)
    text = base64.b64encode(content.getvalue()).decode()
    return f'<img alt="" src="data:image/png;base64,{text}">'


def _draw_rows(report: OpenLoopReport) -> Figure:
    figure = Figure(figsize=(12, 3.6), layout="constrained")
    error, coverage = figure.subplots(1, 2)
    for column, name in enumerate(report.joint_names[:_MOST_JOINTS]):
        share = 100 * report.error[:, column] / report.scale[column]
        (line,) = error.plot(share, "o-", markersize=3, label=name)
        held = 100 * report.held_error[:, column] / report.scale[column]
        error.plot(held, ":", color=line.get_color(), linewidth=0.8)
        coverage.plot(100 * report.coverage[:, column], "o-", markersize=3)
    coverage.axhline(100 * report.expected_coverage, color="k", linestyle=":", linewidth=0.8)
    error.set(xlabel="row of the chunk", ylabel="% of the range", title="error (dotted: holding)")
    coverage.set(xlabel="row of the chunk", ylabel="%", title="covered (dotted: as expected)")
    error.legend(fontsize=7)
    for axes in (error, coverage):
        axes.grid(alpha=0.3)
    return figure


def _draw_examples(report: OpenLoopReport) -> Figure:
    joints = report.joint_names[:_MOST_JOINTS]
    figure = Figure(figsize=(12, 1.6 * len(joints) + 0.6), layout="constrained")
    views = figure.subplots(len(joints), len(report.examples), squeeze=False)
    for place, example in enumerate(report.examples):
        views[0][place].set_title(example.name, fontsize=8)
        for column, name in enumerate(joints):
            axes = views[column][place]
            axes.plot(example.samples[:, :, column].T, color="C0", linewidth=0.7)
            axes.plot(example.recorded[:, column], color="C3", linewidth=2)
            axes.tick_params(labelsize=7)
            if place == 0:
                axes.set_ylabel(f"{name}\n{report.units[column]}", fontsize=7)
    return figure


def _plain(value: Any) -> Any:
    """Return what JSON can hold: lists for arrays, None for NaN."""
    if isinstance(value, np.ndarray):
        return [_plain(each) for each in value.tolist()]
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return finite_or_none(value) if isinstance(value, float) else value
