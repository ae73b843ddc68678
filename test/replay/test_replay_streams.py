"""Runs whose commands are trajectories with a committed lead are reproduced bit for bit."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from random_checkpoint import SIM_ARM, save_random_checkpoint
from recorded_runs import Scenario, record_run

from ddpm_controller.bags.files import BagError
from ddpm_controller.control.states import State
from ddpm_controller.replay.commands import compare_commands
from ddpm_controller.replay.recorded_run import read_run
from ddpm_controller.robots.robot import load_robot

STREAM = {"stream": "rest_ended", "plan_ticks": 2}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A tiny policy with random weights."""
    folder = tmp_path_factory.mktemp("checkpoints") / "first"
    save_random_checkpoint(folder)
    return folder


def recorded(folder, scenario):
    return read_run(record_run(folder / "bag", scenario), load_robot(SIM_ARM))


@pytest.mark.parametrize(
    ("changes", "num_runs"),
    [
        ({"ticks": 120}, 1),
        ({"ticks": 240, "rate_hz": 100.0, "frozen": range(100, 200)}, 1),
        ({"ticks": 700, "rate_hz": 500.0, "plan_ticks": 20, "noise": 1e-4}, 1),
        ({"ticks": 120, "hole": range(70, 76)}, 1),
        ({"ticks": 140, "hole": range(70, 79)}, 1),
        ({"ticks": 120, "lead_s": 0.06}, 1),
        ({"ticks": 120, "lose": ("/joint_trajectory", 50)}, 1),
        ({"ticks": 300, "rate_hz": 100.0, "dies": 151}, 2),
    ],
)
def test_streamed_commands_are_computed_again(tmp_path, checkpoint, changes, num_runs):
    run = recorded(tmp_path, Scenario((checkpoint,), **{**STREAM, **changes}))
    found = compare_commands(run)
    assert found.first is None
    assert found.num_equal == found.count > 50
    assert (found.num_runs, found.num_before) == (num_runs, 0)


def test_simulated_time_has_finer_moments_than_messages(tmp_path, checkpoint, monkeypatch):
    monkeypatch.setattr("recorded_runs.START_S", 12.345678901)
    run = recorded(tmp_path, Scenario((checkpoint,), **STREAM, ticks=120, hole=range(80, 90)))
    found = compare_commands(run)
    assert (found.num_equal, found.first) == (found.count, None)
    assert found.count > 50


def test_two_runs_with_a_pause_are_two_motions(tmp_path, checkpoint):
    run = recorded(tmp_path, Scenario((checkpoint,) * 2, **STREAM, ticks=100))
    found = compare_commands(run)
    assert (found.num_equal, found.first, found.num_runs) == (found.count, None, 2)


def test_a_bag_that_begins_within_a_run_is_compared_from_its_first_plan_on(tmp_path, checkpoint):
    run = recorded(tmp_path, Scenario((checkpoint,), **STREAM, ticks=140, cut=72))
    found = compare_commands(run)
    assert (found.num_equal, found.first) == (found.count, None)
    assert found.count > 20
    assert found.num_before > 0


@pytest.mark.parametrize("stream", ["rest_ended", "single_point"])
def test_commands_from_before_the_first_status_are_not_judged(tmp_path, checkpoint, stream):
    """A recorder on a busy machine finds the status seconds after the commands."""
    scenario = {**STREAM, "stream": stream, "ticks": 240, "frozen": range(60, 100)}
    run = recorded(tmp_path, Scenario((checkpoint,), **scenario))
    whole = compare_commands(run)
    stops = [k for k, each in enumerate(run.statuses) if each.verdict.state == State.HOLDING]
    run.statuses = run.statuses[stops[-1] :]
    found = compare_commands(run)
    assert (found.first, found.num_equal) == (None, found.count)
    assert 50 < found.count < whole.count
    assert found.num_before > 50


@pytest.mark.parametrize("stream", ["rest_ended", "single_point"])
def test_a_recorder_that_finds_topics_one_after_another_makes_no_difference(
    tmp_path, checkpoint, stream
):
    """From rest, along a chunk that is not in the bag, or which came before the commands did."""
    whole = recorded(tmp_path, Scenario((checkpoint,), **STREAM | {"stream": stream}, ticks=100))
    takeovers_s = [chunk.takeover_s for chunk in whole.chunks]
    second = sum(command.stamp_s < takeovers_s[1] for command in whole.commands)
    for late, num_lost in itertools.product((1, 2), (0, 1, 2, second - 2, second, second + 1)):
        run = replace(whole, chunks=whole.chunks[late:], commands=whole.commands[num_lost:])
        found = compare_commands(run)
        since_s = max(takeovers_s[late], run.commands[0].stamp_s)
        count = sum(each.stamp_s > since_s for each in run.commands)
        assert (found.first, found.num_equal) == (None, found.count), (late, num_lost)
        assert found.num_before > 0
        assert found.count >= count if num_lost < second else found.count > 0
    changed = run.commands[-2]
    position = np.nextafter(changed.position, 1.0)
    run.commands[-2] = replace(changed, position=position)
    assert compare_commands(run).first.where == f"command at {changed.stamp_s:.3f} s"


def test_a_streamed_command_that_was_changed_by_one_bit_is_named(tmp_path, checkpoint):
    run = recorded(tmp_path, Scenario((checkpoint,), **STREAM, ticks=100))
    command = run.commands[40]
    position = command.position.copy()
    position[3] = np.nextafter(position[3], 1.0)
    run.commands[40] = replace(command, position=position)
    found = compare_commands(run)
    assert found.num_equal == found.count - 1
    assert found.first.where == f"command at {command.stamp_s:.3f} s"


def test_the_lead_of_a_lockstep_run_is_reproduced(tmp_path, checkpoint):
    scenario = Scenario((checkpoint,) * 2, stream="rest_ended", streams_in_lockstep=True, ticks=80)
    run = recorded(tmp_path, scenario)
    found = compare_commands(run)
    assert (found.num_equal, found.first, found.num_runs) == (found.count, None, 2)
    assert found.count == 158
    run.parameters = {**run.parameters, "stream": "single_point"}
    assert compare_commands(run).num_equal < 158


def test_commands_without_a_moment_are_not_compared(tmp_path, checkpoint):
    run = recorded(tmp_path, Scenario((checkpoint,), **STREAM))
    run.parameters = {**run.parameters, "stream_stamp": "zero"}
    with pytest.raises(BagError, match="only those with absolute stamps can be compared"):
        compare_commands(run)
