"""Pictures of planners.py: one trot of the Go1, and candidates as they are annealed."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from planner_trot import Walked, go1_planner

from ddpm_controller.types import Observation

_ITERATIONS = 6


def draw_trot(run: Walked, folder: Path) -> Path:
    """Draw height, feet and velocity of a run against what was asked for."""
    rows, figure = run.rows, Figure(figsize=(9, 7), layout="constrained")
    height, feet, speed = figure.subplots(3, 1, sharex=True)
    height.plot(rows[:, 0], rows[:, 1])
    height.set_ylabel("height of the trunk, m")
    for column, name in enumerate(("FR", "FL", "RR", "RL")):
        feet.plot(rows[:, 0], rows[:, 5 + column] + 0.1 * column, label=name)
    feet.set_ylabel("height of feet, m, each 0.1 higher")
    feet.legend(ncols=4, loc="upper right")
    speed.plot(rows[:, 0], rows[:, 2], label="forward")
    speed.plot(rows[:, 0], rows[:, 9], "k--", label="asked for")
    speed.plot(rows[:, 0], rows[:, 3], label="left")
    speed.set_ylabel("velocity, m/s")
    speed.set_xlabel("time, s")
    speed.legend(loc="lower right")
    path = folder / "planner_trot.png"
    figure.savefig(path, dpi=90)
    return path


def draw_annealing(folder: Path) -> Path:
    """Draw the candidates of one joint in every iteration of the first plan of DIAL-MPC."""
    planner = go1_planner({"rollouts": 64, "iterations": _ITERATIONS, "sigma": 0.6}, "dial_mpc")
    shown = planner.facts.warm_up_window[0].values
    observation = Observation(0.0, {**shown, "cmd_vel": np.array([0.8, 0.0, 0.0])})
    searched = planner.searched(observation, planner.initial_memory(0), keep=True)
    figure = Figure(figsize=(12, 3.2), layout="constrained")
    axes = figure.subplots(1, _ITERATIONS, sharey=True)
    matrix = searched.objective.matrix
    for number, (axis, scored) in enumerate(zip(axes, searched.found.candidates, strict=True), 1):
        order = np.argsort(scored.rewards)
        rows = (matrix @ scored.knots)[:, :, 1]  # thigh of the front right leg
        shade = np.linspace(0.9, 0.2, len(order))
        for place, index in enumerate(order):
            axis.plot(rows[index], color=str(shade[place]), linewidth=0.6)
        axis.plot(rows[order[-1]], color="tab:red", linewidth=1.5)
        axis.set_title(f"iteration {number}\nbest {scored.rewards.max():.2f}")
        axis.set_xlabel("tick")
    axes[0].set_ylabel("thigh of a leg, -1 to 1")
    path = folder / "planner_annealing.png"
    figure.savefig(path, dpi=90)
    return path
