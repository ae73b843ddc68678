"""Plans that go on from one another are reproduced too, whatever came between them."""

from dataclasses import replace

import pytest
from random_checkpoint import CONFIG, SIM_ARM, save_random_checkpoint
from recorded_runs import Scenario, record_run

from ddpm_controller.control.states import Reason
from ddpm_controller.policy import PlanSettings
from ddpm_controller.replay import plans as replay_plans
from ddpm_controller.replay.commands import compare_commands
from ddpm_controller.replay.plans import Policies, compare_plans
from ddpm_controller.replay.recorded_run import read_run
from ddpm_controller.robots.robot import load_robot

DELAY_S = 0.11
LIMIT = 500.0
"""Of surprise: the gripper's noise of 0.01 m is less, a push of half a metre is more."""


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """Two tiny policies with random weights."""
    folder = tmp_path_factory.mktemp("checkpoints")
    for seed in (0, 1):
        save_random_checkpoint(folder / str(seed), seed=seed)
    return folder / "0", folder / "1"


def settings(seam):
    return PlanSettings(overrides={"seam": seam, "expected_delay_s": DELAY_S, "surprise": LIMIT})


@pytest.fixture
def traces(monkeypatch):
    """What the replayed plans say of their seams, in order."""
    found = []
    original = replay_plans._plan

    def noted(*arguments):
        plan = original(*arguments)
        found.append(plan if isinstance(plan, str) else plan.traces["seam"])
        return plan

    monkeypatch.setattr(replay_plans, "_plan", noted)
    return found


def replayed(bag, *checkpoints):
    run = read_run(bag, load_robot(SIM_ARM))
    return run, compare_plans(run, Policies(run, checkpoints, "cpu"))


@pytest.mark.parametrize("seam", ["warm_replace", "prefix", "rtc", "ensemble", "bidirectional"])
def test_plans_that_go_on_from_one_another_are_reproduced(tmp_path, checkpoints, traces, seam):
    if seam == "prefix":
        given = replace(CONFIG, prefix_rows=6)
        save_random_checkpoint(tmp_path / "given", config=given)
        checkpoints = (tmp_path / "given",)
    scenario = Scenario(checkpoints[:1], 100, plan_ticks=4, settings=settings(seam))
    run, plans = replayed(record_run(tmp_path / "bag", scenario), checkpoints[0])
    assert (plans.num_equal, plans.skipped) == (plans.count, ())
    assert traces == ["cold"] + [seam] * (plans.count - 1)
    first = run.chunks[0]
    assert first.settings["seam"] == seam
    assert (first.expected_delay_s, float(first.settings["surprise"])) == (DELAY_S, LIMIT)
    commands = compare_commands(run)
    assert commands.num_equal == commands.count


def test_the_delay_that_was_measured_for_each_plan_is_replayed(tmp_path, checkpoints, traces):
    untold = PlanSettings(overrides={"seam": "rtc_exact"})
    scenario = Scenario(checkpoints[:1], 150, plan_ticks=4, settings=untold)
    run, plans = replayed(record_run(tmp_path / "bag", scenario), checkpoints[0])
    assert (plans.num_equal, plans.skipped) == (plans.count, ())
    assert traces == ["cold"] + ["rtc_exact"] * (plans.count - 1)
    delays_s = [chunk.expected_delay_s for chunk in run.chunks]
    assert delays_s[0] == 0.0  # nobody knew
    assert delays_s[1:] == [pytest.approx(0.08, abs=0.021)] * (plans.count - 1)


def test_a_push_a_failed_plan_a_blind_time_a_reset_and_a_swap_are_reproduced(
    tmp_path, checkpoints, traces
):
    """All of them decide what a plan goes on from."""
    scenario = Scenario(
        (checkpoints[0], checkpoints[0], checkpoints[1]),
        150,
        plan_ticks=4,
        frozen=range(75, 104),
        idle_between=False,
        settings=settings("warm_replace"),
        pushed=range(22, 39),
        failed=(3,),
    )
    run, plans = replayed(record_run(tmp_path / "bag", scenario), *checkpoints)
    assert Reason.STALE_OBSERVATION in {status.verdict.reason for status in run.statuses}
    assert (plans.num_equal, plans.skipped) == (plans.count, ())
    assert 3 not in {chunk.plan_number for chunk in run.chunks}
    # Each run begins, goes on, is pushed, goes on over a failed plan, was blind, goes on.
    assert "".join("c" if seam == "cold" else "w" for seam in traces) == 3 * "cwcwwwcww"


def test_what_goes_on_from_a_plan_that_is_lost_is_skipped(tmp_path, checkpoints):
    """A plan behind a guess is no comparison, in bags from before memories were recorded."""
    lose = ("/camera_wrist/image_raw", 0)
    for seam, count in (("warm_replace", 0), ("switch", 3)):
        scenario = Scenario(checkpoints[:1], settings=settings(seam), lose=lose, memories=False)
        _, plans = replayed(record_run(tmp_path / seam, scenario), checkpoints[0])
        assert (plans.count, plans.num_equal) == (count, count)
        assert len(plans.skipped) == 4 - count
        assert "camera_wrist stamped" in plans.skipped[0]
        if seam != "switch":
            assert plans.skipped[1] == "plan 1 continues from one that could not be made again"


def test_a_bag_that_begins_within_a_run_says_what_is_missing(tmp_path, checkpoints):
    scenario = Scenario(checkpoints[:1], 100, settings=settings("warm"), memories=False)
    run = read_run(record_run(tmp_path / "bag", scenario), load_robot(SIM_ARM))
    begin_s = run.chunks[1].requested_s
    del run.chunks[0]
    run.statuses[:] = [status for status in run.statuses if status.stamp_s >= begin_s]
    plans = compare_plans(run, Policies(run, checkpoints[:1], "cpu"))
    assert plans.count == 0
    assert plans.skipped[0] == "plan 1 continues from one that could not be made again"
