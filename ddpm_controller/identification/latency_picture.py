"""What a calibration has measured, in one picture: ages at arrival, and motions with their lag."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ddpm_controller.identification.dead_time import DeadTime

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS = 3


@dataclass(frozen=True, eq=False)
class JointTrace:
    """One joint's excitation.

    Attributes:
        sent_s: (N,) moments of the commands.
        sent: (N,) positions.
        measured_s: (M,) acquisition times.
        measured: (M,) positions.
        unit: Unit of the positions.
        found: The lag.
    """

    sent_s: np.ndarray
    sent: np.ndarray
    measured_s: np.ndarray
    measured: np.ndarray
    unit: str
    found: DeadTime


def draw_latencies(
    path: Path, title: str, ages_s: Mapping[str, np.ndarray], joints: Mapping[str, JointTrace]
) -> None:
    """Draw the share of messages within each age, and every joint with its fit.

    Args:
        path: Where the PNG is written.
        title: Above all.
        ages_s: Stream -> (N,) arrival minus stamp.
        joints: Joint -> what was sent and measured.
    """
    from matplotlib.figure import Figure  # here: a measurement needs no picture

    rows = 1 + -(-len(joints) // _COLUMNS)
    figure = Figure(figsize=(13, 3.0 * rows), layout="constrained")
    figure.suptitle(title)
    grid = figure.add_gridspec(rows, _COLUMNS)
    _draw_ages(figure.add_subplot(grid[0, :]), ages_s)
    for number, (name, trace) in enumerate(joints.items()):
        _draw_joint(
            figure.add_subplot(grid[1 + number // _COLUMNS, number % _COLUMNS]), name, trace
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def _draw_ages(axes: "Axes", ages_s: Mapping[str, np.ndarray]) -> None:
    for name, ages in ages_s.items():
        share = np.arange(1, len(ages) + 1) / len(ages)
        axes.step(1e3 * np.sort(ages), share, where="post", label=name)
    axes.axhline(0.95, color="C7", linewidth=0.8)
    axes.set(xlabel="arrival minus header stamp, ms", ylabel="share of messages")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)


def _draw_joint(axes: "Axes", name: str, trace: JointTrace) -> None:
    begin_s, found = trace.sent_s[0], trace.found
    axes.plot(trace.sent_s - begin_s, trace.sent, color="C7", label="sent")
    fitted = found.offset + found.gain * trace.sent
    axes.plot(
        trace.sent_s - begin_s + found.delay_s, fitted, color="C3", label="sent, with the lag"
    )
    axes.plot(trace.measured_s - begin_s, trace.measured, "k.", markersize=2, label="measured")
    axes.set_title(f"{name}: {1e3 * found.delay_s:.1f} ms", fontsize=9)
    axes.set(xlabel="s", ylabel=trace.unit)
    axes.legend(fontsize=7)
    axes.grid(alpha=0.3)
