"""The bound on the negative log-likelihood as a picture: by timestep, by joint, by row."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from ddpm_controller.evaluation.nll import NllReport


def draw_nll(report: NllReport, title: str, path: Path) -> None:
    """Draw what each step costs, and the bound of each joint and of each row of the chunk."""
    figure = Figure(figsize=(12, 3.8), layout="constrained")
    by_step, by_joint, by_row = figure.subplots(1, 3)
    figure.suptitle(
        f"{title}: {report.mean:.3f} {report.unit} per number "
        f"(standard error {report.standard_error:.3f}, {len(report.per_episode)} episodes)"
    )
    by_step.bar(range(len(report.timesteps)), report.per_timestep, width=0.9)
    places = np.unique(np.linspace(0, len(report.timesteps) - 1, 8).round().astype(int))
    by_step.set_xticks(places, [str(report.timesteps[place]) for place in places])
    # L_0 may be negative and is much larger than the others: linear around 0, else by powers.
    by_step.set_yscale("symlog", linthresh=0.01)
    by_step.set(xlabel="t (0 is L_0)", ylabel=f"{report.unit} of each step", title="by timestep")
    by_joint.barh(list(report.per_joint), list(report.per_joint.values()))
    by_joint.invert_yaxis()
    by_joint.set(xlabel=f"{report.unit} per number", title="by joint")
    by_row.plot(report.per_row, "o-")
    by_row.set(xlabel="row of the chunk", ylabel=f"{report.unit} per number", title="by row")
    for axes in (by_step, by_joint, by_row):
        axes.grid(alpha=0.3)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)
