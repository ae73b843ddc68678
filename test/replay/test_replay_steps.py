"""Runs with a limit on the step from the measured position, of a robot that stands still."""

import numpy as np
import pytest
from random_checkpoint import save_random_checkpoint
from recorded_runs import Scenario, record_run

from ddpm_controller.control.states import Reason
from ddpm_controller.replay.commands import compare_commands
from ddpm_controller.replay.recorded_run import read_run

STEP = 0.03
SCENARIOS = {
    "lockstep": {"ticks": 80},
    "joints of two publishers": {"ticks": 80, "is_apart": True},
    "ticks of a process": {"ticks": 120, "plan_ticks": 4, "decided_before_s": 0.013},
    "streamed in lockstep": {
        "ticks": 120,
        "stream": "rest_ended",
        "streams_in_lockstep": True,
    },
    "streamed": {"ticks": 160, "stream": "rest_ended", "plan_ticks": 2},
}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A tiny policy with random weights."""
    folder = tmp_path_factory.mktemp("checkpoints") / "first"
    save_random_checkpoint(folder)
    return folder


def recorded(folder, checkpoint, step=STEP, **changes):
    begin = 20 if "stream" not in changes else 50
    scenario = Scenario((checkpoint,), step=step, stands=range(begin, 500), **changes)
    return read_run(record_run(folder / "bag", scenario), scenario.robot)


@pytest.mark.parametrize("changes", SCENARIOS.values(), ids=SCENARIOS)
def test_commands_that_the_step_has_limited_are_computed_again(tmp_path, checkpoint, changes):
    run = recorded(tmp_path, checkpoint, **changes)
    assert Reason.LIMIT_STEP in {status.verdict.reason for status in run.statuses}
    found = compare_commands(run)
    assert found.first is None
    assert found.num_equal == found.count > 50


@pytest.mark.parametrize("name", ["ticks of a process", "streamed"])
def test_before_the_first_measurement_in_a_bag_nothing_is_judged(tmp_path, checkpoint, name):
    """A recorder may find the joint states later than the commands."""
    run = recorded(tmp_path, checkpoint, **SCENARIOS[name])
    whole, late_s = compare_commands(run), run.commands[10].stamp_s
    stamps_s = [each_s for each_s in run.values["joint_state"] if each_s >= late_s]
    run.values["joint_state"] = {s: run.values["joint_state"][s] for s in stamps_s}
    found = compare_commands(run)
    assert (found.first, found.num_equal) == (None, found.count)
    assert found.num_before >= 10
    assert found.count < whole.count


def test_without_the_measured_positions_they_are_not(tmp_path, checkpoint):
    run = recorded(tmp_path, checkpoint, ticks=80)
    values = run.values["joint_state"]
    for stamp_s in values:
        values[stamp_s] = values[stamp_s] + 1e-9
    assert compare_commands(run).first is not None


@pytest.mark.parametrize("name", ["lockstep", "ticks of a process"])
def test_a_robot_that_begins_again_where_it_stands_is_found(tmp_path, checkpoint, name):
    changes = {**SCENARIOS[name], "ticks": 320}
    run = recorded(tmp_path, checkpoint, step=np.inf, noise=1e-3, **changes)
    reasons = [status.verdict.reason for status in run.statuses]
    assert Reason.NO_PLAN in reasons[reasons.index(Reason.NOT_FOLLOWED) :]
    found = compare_commands(run)
    assert found.first is None
    assert found.num_equal == found.count > 50
    assert found.num_runs >= 2
