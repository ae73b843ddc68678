"""Runs in which stricter limits come while the robot moves are computed again."""

import numpy as np
import pytest
from random_checkpoint import save_random_checkpoint
from recorded_runs import Scenario, record_run

from ddpm_controller.control.states import Reason
from ddpm_controller.replay.commands import compare_commands
from ddpm_controller.replay.recorded_decisions import stricter_limits
from ddpm_controller.replay.recorded_run import read_run

SCENARIOS = {
    "lockstep": {"ticks": 80, "slower": 40},
    "ticks of a process": {
        "ticks": 120,
        "slower": 60,
        "plan_ticks": 4,
        "decided_before_s": 0.013,
    },
    "streamed": {"ticks": 160, "slower": 80, "stream": "rest_ended", "plan_ticks": 2},
}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A tiny policy with random weights."""
    folder = tmp_path_factory.mktemp("checkpoints") / "first"
    save_random_checkpoint(folder)
    return folder


@pytest.mark.parametrize("changes", SCENARIOS.values(), ids=SCENARIOS)
def test_commands_behind_stricter_limits_are_computed_again(tmp_path, checkpoint, changes):
    scenario = Scenario((checkpoint,), **changes)
    run = read_run(record_run(tmp_path / "bag", scenario), scenario.robot)
    reasons = [status.verdict.reason for status in run.statuses]
    assert Reason.LIMIT_STRICTER in reasons
    (change_s,) = stricter_limits(run)
    speeds = [np.abs(c.motion.velocity) for c in run.commands if c.stamp_s > change_s + 0.5]
    first, second = run.described
    assert (second.velocity < first.velocity).all()
    assert (np.array(speeds) <= second.velocity).all()
    found = compare_commands(run)
    assert found.first is None
    assert found.num_equal == found.count > 50
    run.described.pop()  # without them it is another motion
    assert compare_commands(run).first is not None
