"""One picture of a recording: its joints, their commands, and what is doubtful."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ddpm_controller.lint.finding import Finding
from ddpm_controller.lint.recording import Pair, Recording, Track

_MOST_PANELS = 12
_MOST_POINTS = 5_000
_COLOURS = {"wrong": "tab:red", "doubtful": "tab:orange"}
_WIDTH = 130


def draw_recording(recording: Recording, findings: Sequence[Finding], path: Path) -> None:
    """Draw what was measured in black and what was commanded in blue, a row for each joint.

    Parts that a finding names are shaded; episodes lie between dotted lines.
    """
    panels = [(track, column) for track in recording.states for column in track.positions]
    panels = panels[:_MOST_PANELS]
    lines = [
        line
        for each in findings
        for line in textwrap.wrap(f"{each.severity}: {each.kind}: {each.text}", _WIDTH)
    ]
    rows = max(len(panels), 1)
    figure = Figure(figsize=(11, 1.2 * rows + 0.22 * len(lines) + 0.8), layout="constrained")
    grid = figure.subplots(rows, 1, squeeze=False, sharex=True)[:, 0]
    zero_ns = recording.ends_ns[0]
    for axes, (track, column) in zip(grid, panels, strict=False):
        _draw(axes, track, column, recording.pairs, zero_ns)
        _mark(axes, recording, findings, zero_ns)
    grid[-1].set_xlabel("s")
    figure.suptitle("\n".join([recording.name, *lines]), fontsize=8, ha="left", x=0.01)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90)


def _draw(axes: Axes, track: Track, column: int, pairs: Sequence[Pair], zero_ns: int) -> None:
    name = track.names[column]
    every = max(len(track.rows) // _MOST_POINTS, 1)
    moments = (track.times_ns[::every] - zero_ns) * 1e-9
    axes.plot(moments, track.rows[::every, column], "k", linewidth=0.8)
    for pair in pairs:
        if pair.state is track and name in pair.command.names:
            at = (pair.times_ns - zero_ns) * 1e-9
            commanded = pair.commanded[:, pair.command.names.index(name)]
            axes.plot(at, commanded, "tab:blue", linewidth=0.8)
    axes.set_ylabel(f"{name}\n{track.units[column]}", fontsize=7, rotation=0, ha="right")
    axes.tick_params(labelsize=6)
    finite = track.rows[np.isfinite(track.rows[:, column]), column]
    if len(finite) and np.ptp(finite) == 0:
        axes.margins(y=1)


def _mark(axes: Axes, recording: Recording, findings: Sequence[Finding], zero_ns: int) -> None:
    for part in recording.marked:
        for moment_ns in (part.begin_ns, part.end_ns):
            axes.axvline((moment_ns - zero_ns) * 1e-9, color="gray", linestyle=":", linewidth=0.6)
    shift_ns = -recording.shift_of(0)
    for each in findings:
        if each.part_ns is not None:
            begin_s, end_s = ((ns + shift_ns - zero_ns) * 1e-9 for ns in each.part_ns)
            axes.axvspan(begin_s, end_s, color=_COLOURS[each.severity], alpha=0.15)
