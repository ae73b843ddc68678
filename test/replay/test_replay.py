"""A recorded run is reproduced bit for bit, and any deviation is named."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from random_checkpoint import CONFIG, SIM_ARM, save_random_checkpoint
from recorded_runs import Scenario, record_run

from ddpm_controller.bags.files import BagError
from ddpm_controller.cli.replay import main
from ddpm_controller.control.observing.stream_rules import StreamRule
from ddpm_controller.control.planning.chunk_check import ChunkTolerance, chunk_demand
from ddpm_controller.control.states import Reason, State
from ddpm_controller.replay.commands import compare_commands
from ddpm_controller.replay.plans import Policies, compare_plans
from ddpm_controller.replay.recorded_run import read_run
from ddpm_controller.robots.robot import load_robot
from ddpm_controller.types import ActionChunk


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A tiny policy with random weights."""
    folder = tmp_path_factory.mktemp("checkpoints") / "first"
    save_random_checkpoint(folder)
    return folder


@pytest.fixture(scope="module")
def other_checkpoint(tmp_path_factory):
    """Another one."""
    folder = tmp_path_factory.mktemp("checkpoints") / "second"
    save_random_checkpoint(folder, seed=1)
    return folder


@pytest.fixture(scope="module")
def late_run(tmp_path_factory, checkpoint, other_checkpoint):
    """Two runs in real time with jitter: late plans, a frozen camera, a swap between them."""
    scenario = Scenario((checkpoint, other_checkpoint), 100, plan_ticks=4, frozen=range(30, 70))
    return record_run(tmp_path_factory.mktemp("late") / "bag", scenario)


def replayed(bag, *checkpoints):
    run = read_run(bag, load_robot(SIM_ARM))
    plans = compare_plans(run, Policies(run, checkpoints, "cpu"))
    return run, plans, compare_commands(run)


def exit_code(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["replay", *map(str, words)])
    return main()


def test_plans_from_joints_of_two_publishers_are_made_again(tmp_path, checkpoint):
    scenario = Scenario((checkpoint,), 100, plan_ticks=2, is_apart=True)
    run, plans, commands = replayed(record_run(tmp_path / "bag", scenario), checkpoint)
    assert {len(set(each.values())) for chunk in run.chunks for each in chunk.elements} == {2}
    assert (plans.num_equal, plans.skipped) == (plans.count, ())
    assert plans.count > 3
    assert commands.num_equal == commands.count > 50
    stamps_s = run.chunks[1].elements[-1]
    del run.values["joint_state"][min(stamps_s.values())]
    assert (
        "the recorder lost it" in compare_plans(run, Policies(run, [checkpoint], "cpu")).skipped[0]
    )


def test_plans_without_a_masked_stream_are_made_again_without_it(tmp_path):
    """The picture that came last is in the bag, and must not be looked at."""
    folder = tmp_path / "checkpoint"
    save_random_checkpoint(folder, config=replace(CONFIG, maskable_streams=("camera_wrist",)))
    rules = {"camera_wrist": StreamRule(when_stale="mask")}
    scenario = Scenario((folder,), 100, frozen=range(10, 90), rules=rules)
    run, plans, _ = replayed(record_run(tmp_path / "bag", scenario), folder)
    masked = [chunk.masked for chunk in run.chunks]
    assert set(masked) == {(), ("camera_wrist",)}
    assert (plans.num_equal, plans.skipped) == (plans.count, ())
    run.chunks[:] = [replace(chunk, masked=()) for chunk in run.chunks]
    plans = compare_plans(run, Policies(run, [folder], "cpu"))
    assert plans.num_equal == masked.index(("camera_wrist",))  # each goes on from the one before


@pytest.mark.parametrize("dies", [22, 25])
def test_the_motion_that_another_process_goes_on_with_is_computed_again(
    tmp_path, checkpoint, dies
):
    scenario = Scenario((checkpoint,), 100, plan_ticks=4, dies=dies)
    run, plans, commands = replayed(record_run(tmp_path / "bag", scenario), checkpoint)
    gaps_s = np.diff([command.stamp_s for command in run.commands])
    after = int(gaps_s.argmax()) + 1
    assert run.commands[after].motion.velocity.any()  # it has not begun at rest
    assert (commands.num_equal, commands.first) == (commands.count, None)
    assert commands.count == len(run.commands) - 2  # the first of each stretch is given
    assert plans.num_equal == plans.count


def test_a_lockstep_run_is_reproduced_bit_for_bit(tmp_path, checkpoint):
    """Every plan and every command."""
    bag = record_run(tmp_path / "bag", Scenario((checkpoint,)))
    run, plans, commands = replayed(bag, checkpoint)
    assert len(run.chunks) == 4  # 60 ticks are 1.2 s, a plan every 0.3 s
    assert (plans.count, plans.num_equal, plans.first, plans.skipped) == (4, 4, None, ())
    # The first command of the run is where the robot was measured.
    assert (commands.count, commands.num_equal, commands.num_runs) == (59, 59, 1)


@pytest.mark.parametrize("in_groups", [True, False])
def test_commands_that_were_sent_ahead_are_reproduced(tmp_path, checkpoint, in_groups):
    """By the latency that the robot file had when it was recorded."""
    scenario = Scenario((checkpoint,), plan_ticks=4, lead_s=0.06, in_groups=in_groups)
    run, plans, commands = replayed(record_run(tmp_path / "bag", scenario), checkpoint)
    assert plans.num_equal == plans.count == 4
    assert commands.num_equal == commands.count == 59
    run.parameters = {**run.parameters, "lead_s": 0.0}
    assert compare_commands(run).num_equal < 59


def test_a_run_with_late_plans_holds_and_a_swap_is_reproduced(
    late_run, checkpoint, other_checkpoint
):
    """What happened is in the recording, so it need not happen again."""
    run, plans, commands = replayed(late_run, checkpoint, other_checkpoint)
    verdicts = {(status.verdict.state, status.verdict.reason) for status in run.statuses}
    assert (State.HOLDING, Reason.STALE_OBSERVATION) in verdicts
    assert (State.HOLDING, Reason.NO_PLAN) in verdicts
    assert plans.count == len(run.chunks) == plans.num_equal
    assert (commands.count, commands.num_equal, commands.num_runs) == (198, 198, 2)


@pytest.mark.parametrize("plan_ticks", [0, 4])
def test_a_run_that_replaces_another_is_found(tmp_path, checkpoint, plan_ticks):
    """Without a pause between them, its plans are counted from 0 again."""
    scenario = Scenario((checkpoint,) * 2, 30, plan_ticks=plan_ticks, idle_between=False)
    _, plans, commands = replayed(record_run(tmp_path / "bag", scenario), checkpoint)
    assert plans.num_equal == plans.count
    assert (commands.count, commands.num_equal, commands.num_runs) == (58, 58, 2)


def test_replaying_twice_says_the_same(
    late_run, checkpoint, other_checkpoint, monkeypatch, capsys
):
    """The command ends with 0 and the same words."""
    words = (late_run, "--checkpoint", checkpoint, other_checkpoint)
    said = []
    for _ in range(2):
        assert exit_code(monkeypatch, *words) == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]
    assert "commands: 198 of 198 are the same, bit for bit (2 runs)" in said[0]


def test_a_row_that_was_changed_by_one_bit_is_named(late_run, checkpoint, other_checkpoint):
    """With the plan, the row, the joint and both values."""
    run = read_run(late_run, load_robot(SIM_ARM))
    rows = run.chunks[2].rows.copy()
    recorded = rows[3, 1] = np.nextafter(rows[3, 1], 9.0)
    run.chunks[2] = replace(run.chunks[2], rows=rows)
    plans = compare_plans(run, Policies(run, (checkpoint, other_checkpoint), "cpu"))
    assert plans.num_equal == plans.count - 1
    assert plans.first.where.startswith(f"plan {run.chunks[2].plan_number} (")
    assert plans.first.where.endswith("row 3")
    assert plans.first.joint == "shoulder_lift"
    assert plans.first.recorded == recorded != plans.first.replayed
    assert plans.first.replayed == pytest.approx(recorded, abs=1e-12)


def test_a_command_that_was_changed_by_one_bit_is_named(late_run):
    """Only that one, since the others follow from the chunks."""
    run = read_run(late_run, load_robot(SIM_ARM))
    position = run.commands[50].position
    position[6] = np.nextafter(position[6], 9.0)
    commands = compare_commands(run)
    assert commands.num_equal == commands.count - 1
    assert f"{run.commands[50].stamp_s:.3f} s" in commands.first.where
    assert commands.first.joint == "gripper"


def test_other_deployment_parameters_give_other_commands(late_run):
    """So the parameters in the bag are really used."""
    run = read_run(late_run, load_robot(SIM_ARM))
    run.parameters = {**run.parameters, "fade_s": 0.3}
    assert compare_commands(run).num_equal < 100


def generous(checkpoint, **more):
    """A run whose chunks ask for far more than the default tolerance allows."""
    tolerance = ChunkTolerance(1e6, 1e6)
    return Scenario((checkpoint,), tolerance=tolerance, velocity_share=0.05, noise=1e-4, **more)


def test_a_run_with_wider_tolerances_is_reproduced(tmp_path, checkpoint):
    """The chunks were followed as far as the limits allow, so they are followed again."""
    run, plans, commands = replayed(record_run(tmp_path / "bag", generous(checkpoint)), checkpoint)
    demand = chunk_demand(
        ActionChunk(0.0, 0.1, run.chunks[0].joint_names, run.chunks[0].rows), run.limits
    )
    assert demand.refusal(ChunkTolerance())
    assert plans.num_equal == plans.count == 4
    assert (commands.first, commands.num_equal, commands.count) == (None, 59, 59)


def test_a_chunk_that_should_have_been_refused_is_named(tmp_path, checkpoint):
    """A controller that follows what its parameters forbid is not reproduced."""
    run = read_run(record_run(tmp_path / "bag", generous(checkpoint)), load_robot(SIM_ARM))
    run.parameters = {**run.parameters, "chunk_velocity_tolerance": 10.0}
    commands = compare_commands(run)
    assert commands.num_equal < commands.count
    assert "plan 0" in str(commands.first)
    assert "far beyond the limits: velocity" in str(commands.first)


def test_a_plan_that_was_taken_over_after_its_end_is_reproduced(tmp_path, checkpoint):
    """Node and command process look at different moments; what was done counts."""
    scenario = Scenario((checkpoint,), 120, plan_ticks=36, decided_before_s=0.03)
    run, plans, commands = replayed(record_run(tmp_path / "bag", scenario), checkpoint)
    ends_s = [chunk.start_s + 0.1 * (len(chunk.rows) - 1) for chunk in run.chunks]
    late = [c.takeover_s > end_s for c, end_s in zip(run.chunks, ends_s, strict=True)]
    assert any(late)
    assert plans.num_equal == plans.count
    assert (commands.first, commands.num_equal) == (None, commands.count)


def test_a_lost_observation_is_named_and_the_other_plans_are_compared(tmp_path, checkpoint):
    """The recorder may lose a message; the replay must not guess it."""
    scenario = Scenario((checkpoint,), lose=("/camera_wrist/image_raw", 0))
    _, plans, _ = replayed(record_run(tmp_path / "bag", scenario), checkpoint)
    assert (plans.count, plans.num_equal) == (3, 3)
    assert "camera_wrist stamped" in plans.skipped[0]


@pytest.mark.parametrize("index", [0, 15, 40])
def test_a_command_that_was_sent_twice_is_one_tick(tmp_path, checkpoint, index):
    """In lockstep an answer is sent again where the world may not have heard it."""
    scenario = Scenario((checkpoint,), twice=("/joint_trajectory", index))
    run, _, commands = replayed(record_run(tmp_path / "bag", scenario), checkpoint)
    assert len(run.commands) == 60
    assert (commands.first, commands.num_equal, commands.count) == (None, 59, 59)


def test_a_lost_chunk_shows_in_the_commands(tmp_path, checkpoint):
    """A controller that followed something that is not in the bag."""
    scenario = Scenario((checkpoint,), lose=("/controller/action_chunk", 1))
    _, plans, commands = replayed(record_run(tmp_path / "bag", scenario), checkpoint)
    assert plans.num_equal == plans.count == 3
    assert commands.num_equal < commands.count
    assert "command at" in commands.first.where


def test_a_checkpoint_that_is_missing_is_named(
    late_run, checkpoint, other_checkpoint, monkeypatch, capsys
):
    """Exit code 2: neither the same nor different."""
    assert exit_code(monkeypatch, late_run, "--checkpoint", checkpoint) == 2
    said = capsys.readouterr().out
    assert "name its folder too" in said


def test_a_difference_ends_with_exit_code_1(tmp_path, checkpoint, monkeypatch, capsys):
    """For scripts."""
    bag = record_run(
        tmp_path / "bag", Scenario((checkpoint,), lose=("/controller/action_chunk", 1))
    )
    assert exit_code(monkeypatch, bag, "--checkpoint", checkpoint) == 1
    assert "first difference: command at" in capsys.readouterr().out


def test_a_bag_without_a_controller_says_what_to_record(tmp_path, checkpoint):
    """A demonstration, for example."""
    bag = record_run(tmp_path / "bag", Scenario((checkpoint,), ticks=0))
    with pytest.raises(BagError, match=r"no plan of a controller; record controller/action_chunk"):
        read_run(bag, load_robot(SIM_ARM))
