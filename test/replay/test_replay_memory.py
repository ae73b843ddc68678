"""A bag that begins anywhere is reproduced from the first plan that is in it."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from random_checkpoint import SIM_ARM, save_random_checkpoint, save_random_diff_control
from recorded_runs import Scenario, record_run

from ddpm_controller.cli.replay import main
from ddpm_controller.policy import DepartureLimit, PlanSettings
from ddpm_controller.replay.commands import compare_commands
from ddpm_controller.replay.plans import Policies, compare_plans
from ddpm_controller.replay.recorded_run import read_run
from ddpm_controller.robots.robot import load_robot

SEAM = PlanSettings(overrides={"seam": "warm_replace", "expected_delay_s": 0.11, "surprise": 0.0})
PLAN_TICKS = 4
"""With a plan every 0.3 s: requests at ticks 0, 15, 30, ... of a run, take-overs 4 later."""


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """Two tiny policies with random weights."""
    folder = tmp_path_factory.mktemp("checkpoints")
    for seed in (0, 1):
        save_random_checkpoint(folder / str(seed), seed=seed)
    return folder / "0", folder / "1"


def replayed(bag, *checkpoints):
    run = read_run(bag, load_robot(SIM_ARM))
    return run, compare_plans(run, Policies(run, checkpoints, "cpu"))


def figures(plans):
    return plans.num_equal, plans.count, plans.num_resumed, len(plans.skipped)


def test_a_bag_whose_beginning_was_cut_off_is_the_same_from_its_first_plan_on(
    tmp_path, checkpoints, monkeypatch, capsys
):
    """Cut while chunk 1 is followed: plan 2 goes on from a memory that only the bag knows."""
    scenario = Scenario(checkpoints[:1], 90, PLAN_TICKS, settings=SEAM, cut=24)
    bag = record_run(tmp_path / "bag", scenario)
    run, plans = replayed(bag, checkpoints[0])
    assert [chunk.plan_number for chunk in run.chunks] == [2, 3, 4, 5]
    assert figures(plans) == (4, 4, 1, 0)
    commands = compare_commands(run)
    before = sum(command.stamp_s < run.chunks[0].takeover_s for command in run.commands)
    assert (commands.num_before, commands.num_runs) == (before, 1)
    assert commands.num_equal == commands.count == len(run.commands) - before > 50
    monkeypatch.setattr(sys, "argv", ["replay", str(bag), "--checkpoint", str(checkpoints[0])])
    assert main() == 0
    said = capsys.readouterr().out
    assert "1 of them continue from a plan that is not in the bag" in said
    assert f"not compared: {before} from before the first status in the bag, or along" in said


def test_a_policy_with_a_state_of_its_own_is_the_same_from_the_middle_with_its_weight(tmp_path):
    """Without a seam nothing but the recorded memory tells what a plan goes on from."""
    save_random_diff_control(tmp_path / "checkpoint")
    settings = PlanSettings(overrides={"transition_scale": 0.5})
    scenario = Scenario((tmp_path / "checkpoint",), 60, PLAN_TICKS, settings=settings, cut=24)
    run, plans = replayed(record_run(tmp_path / "bag", scenario), tmp_path / "checkpoint")
    assert {chunk.settings["transition_scale"] for chunk in run.chunks} == {"0.5"}
    assert figures(plans) == (2, 2, 1, 0)
    run.chunks[:] = [
        replace(chunk, settings={**chunk.settings, "transition_scale": 1.0})
        for chunk in run.chunks
    ]
    plans = compare_plans(run, Policies(run, [tmp_path / "checkpoint"], "cpu"))
    assert plans.num_equal == 0


def test_behind_a_lost_chunk_or_observation_plans_are_compared_again(tmp_path, checkpoints):
    for topic, index, expected in (
        ("/controller/action_chunk", 1, (3, 3, 1, 0)),
        ("/camera_wrist/image_raw", 0, (3, 3, 1, 1)),  # plan 0 cannot be made again
    ):
        scenario = Scenario(checkpoints[:1], settings=SEAM, lose=(topic, index))
        _, plans = replayed(record_run(tmp_path / topic[1:4], scenario), checkpoints[0])
        assert figures(plans) == expected


def test_a_memory_that_was_changed_by_one_bit_is_named(tmp_path, checkpoints):
    scenario = Scenario(checkpoints[:1], settings=SEAM)
    run, _ = replayed(record_run(tmp_path / "bag", scenario), checkpoints[0])
    chunk = run.chunks[2]
    memory = dict(run.memory(chunk))
    rows = memory["previous_rows"] = memory["previous_rows"].copy()
    recorded = rows[3, 1] = np.nextafter(rows[3, 1], 9.0)
    run.memories[chunk.takeover_s, chunk.plan_number] = memory
    plans = compare_plans(run, Policies(run, checkpoints[:1], "cpu"))
    assert plans.num_equal == 2  # the last plan goes on from this one
    assert plans.first.where.endswith("memory, [3, 1]")
    assert plans.first.joint == "previous_rows"
    assert plans.first.recorded == recorded != plans.first.replayed


def test_a_state_that_began_anew_for_a_push_is_reproduced(tmp_path, checkpoints):
    """No plan tells of it but the memory that it was made from."""
    push = DepartureLimit(np.array([1.0] * 6 + [0.04]), 1.5)  # of the gripper, 0.06 m
    scenario = Scenario(
        checkpoints[:1],
        100,
        PLAN_TICKS,
        settings=SEAM,
        pushed=range(22, 39),
        departure=push,
    )
    run, plans = replayed(record_run(tmp_path / "bag", scenario), checkpoints[0])
    anew = [chunk.plan_number for chunk in run.chunks if "previous_rows" not in run.memory(chunk)]
    assert anew == [0, 2]
    assert figures(plans) == (len(run.chunks), len(run.chunks), 0, 0)
