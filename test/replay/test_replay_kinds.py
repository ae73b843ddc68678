"""Runs that command other kinds than absolute positions are replayed bit for bit."""

import pytest
from random_checkpoint import SIM_ARM, save_random_checkpoint
from recorded_runs import Scenario, record_run

from ddpm_controller.replay.commands import compare_commands
from ddpm_controller.replay.plans import Policies, compare_plans
from ddpm_controller.replay.recorded_run import read_run
from ddpm_controller.robots.robot import load_robot

KINDS = SIM_ARM.parent / "kinds"


@pytest.mark.parametrize(
    ("kind", "plan_ticks", "share"),
    [("velocity", 0, 0.6), ("velocity", 4, 0.6), ("delta", 4, 0.1)],
)
def test_a_run_is_reproduced(tmp_path, kind, plan_ticks, share):
    file = KINDS / f"sim_arm_{kind}.yaml"
    checkpoint = tmp_path / "checkpoint"
    save_random_checkpoint(checkpoint, share=share, file=file)
    # The gripper begins near its limit: what is sent depends on where it is measured.
    scenario = Scenario((checkpoint,), 90, plan_ticks=plan_ticks, file=file)
    run = read_run(record_run(tmp_path / "bag", scenario), load_robot(file))
    plans = compare_plans(run, Policies(run, [checkpoint], "cpu"))
    assert (plans.num_equal, plans.skipped) == (plans.count, ())
    assert plans.count >= 4
    commands = compare_commands(run)
    assert (commands.num_equal, commands.first) == (commands.count, None)
    assert commands.count >= 80
