"""The shipped drummer over the real graph: what the drum's sensor counts is told and drawn."""

import json
from pathlib import Path

import numpy as np
import pytest

from ddpm_controller.cli.evaluate import loop_of, policy_view
from ddpm_controller.control.deployment import Deployment
from ddpm_controller.evaluation.closed_loop import TrialSettings, run_trials
from ddpm_controller.evaluation.report import draw, trial_line, write_json
from ddpm_controller.policy import PlanSettings
from ddpm_controller.robots.robot import load_robot
from ddpm_controller.ros.simulation.trial_graph import trials_over_ros
from ddpm_controller.share import share_path
from ddpm_controller.simulation.worlds import WORLDS
from ddpm_controller.systems import restore

CHECKPOINT = Path(__file__).parents[2] / "models" / "drum"
SEED, TIMEOUT_S = 3, 4.0


@pytest.fixture(scope="module")
def trials():
    """The same trial in process and over ROS."""
    robot = load_robot(share_path(WORLDS["drum"].robot))
    settings = TrialSettings(timeout_s=TIMEOUT_S, batch_size=1)
    urdf = WORLDS["drum"].world.robot_description()
    policy = restore(CHECKPOINT, PlanSettings())
    loop = loop_of(robot, policy, CHECKPOINT, Deployment(lockstep=True), urdf)
    (here,) = run_trials(policy, "drum", loop, [SEED], settings, policy_view(robot))
    (there,) = trials_over_ros("drum", CHECKPOINT, [SEED], "lockstep", TIMEOUT_S, {})
    return here, there


def test_a_lockstep_trial_over_ros_counts_the_strikes_of_the_trial_in_process(trials):
    here, there = trials
    assert here.tally["strikes"] >= 1
    assert dict(there.tally) == pytest.approx(dict(here.tally), abs=1e-6, nan_ok=True)
    assert [name for _, name in there.rises] == ["strikes"] * int(here.tally["strikes"])
    moments_s = [[moment_s for moment_s, _ in trial.rises] for trial in trials]
    np.testing.assert_allclose(moments_s[1], moments_s[0], atol=0.021)  # a tick


def test_the_count_is_in_the_line_the_file_and_the_picture_of_a_trial(trials, tmp_path):
    _, there = trials
    assert f"strikes {there.tally['strikes']:.0f}" in trial_line(1, 1, there)
    write_json(tmp_path / "results.json", [there], {})
    (outcome,) = json.loads((tmp_path / "results.json").read_text())["outcomes"]
    assert outcome["tally"]["wanted"] == there.tally["wanted"]
    draw(tmp_path / "trials.png", "drum", [there])
    assert (tmp_path / "trials.png").stat().st_size > 10_000
