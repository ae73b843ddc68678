"""Where the lead of a controller comes from, and which delays cannot be."""

from dataclasses import replace

import pytest
from random_checkpoint import SIM_ARM, save_random_checkpoint

from ddpm_controller.policy import PlanSettings
from ddpm_controller.robots.lead import ACTION_LATENCY_KEY, delay_problem, lead_from
from ddpm_controller.robots.robot import load_robot
from ddpm_controller.ros.controller.policy_loader import load_policy


def test_the_lead_is_the_parameter_or_below_0_the_latency_of_the_robot_when_recorded():
    robot = load_robot(SIM_ARM)
    robot = replace(robot, outputs=(replace(robot.outputs[0], latency_s=0.05),))
    assert lead_from({}, robot) == 0.0
    assert lead_from({"lead_s": 0.0}, robot) == 0.0
    assert lead_from({"lead_s": 0.02}, robot) == 0.02
    assert lead_from({"lead_s": None}, robot) == 0.05
    assert lead_from({"lead_s": None, ACTION_LATENCY_KEY: 0.07}, robot) == 0.07


def test_a_delay_of_a_chunk_or_more_is_refused_with_value_and_remedy():
    assert delay_problem("lead_s", 0.69, 0.7, "measure it again") == ""
    text = delay_problem("lead_s", 0.7, 0.7, "measure it again")
    assert "lead_s is 0.7 s, but a chunk lasts only 0.7 s" in text
    assert text.endswith("measure it again")


def test_a_checkpoint_whose_chunks_are_shorter_than_the_lead_is_refused(tmp_path):
    save_random_checkpoint(tmp_path / "random")
    folder, robot = str(tmp_path / "random"), load_robot(SIM_ARM)
    assert load_policy(folder, robot, PlanSettings(), lead_s=0.6).rows_last_s == pytest.approx(0.7)
    with pytest.raises(ValueError, match=r"command.lead_s is 0.6 s, but a chunk lasts only 0.5 s"):
        load_policy(folder, robot, PlanSettings(n_action_steps=6), lead_s=0.6)
