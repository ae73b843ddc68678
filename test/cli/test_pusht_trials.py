"""Trials of PushT: over the real graph as in one process, and both protocols as commands."""

import json
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import rclpy
from ddpm_msgs.action import RunPolicy
from ddpm_msgs.msg import EpisodeMark
from sensor_msgs.msg import JointState

pytest.importorskip("gym_pusht", reason="needs the extra pusht")

from pusht_checkpoint import save_pusht_checkpoint

from ddpm_controller.cli.evaluate import EvaluateOptions, _restored, loop_of, main, policy_view
from ddpm_controller.control.deployment import Deployment
from ddpm_controller.evaluation.closed_loop import TrialSettings, run_trials
from ddpm_controller.policy import PlanSettings
from ddpm_controller.robots.robot import load_robot
from ddpm_controller.ros.simulation.messages import SCORE_NAMES, time_from, vector_message
from ddpm_controller.ros.simulation.trial_graph import connected, trials_over_ros
from ddpm_controller.share import share_path
from ddpm_controller.simulation.worlds import WORLDS
from ddpm_controller.systems import restore

TIMEOUT_S = 1.5
SEEDS = (7, 8)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("trials") / "random"
    save_pusht_checkpoint(folder)
    return folder


def trials_in_process(checkpoint):
    policy = restore(checkpoint, PlanSettings())
    settings = TrialSettings(timeout_s=TIMEOUT_S, batch_size=1)
    robot = load_robot(share_path(WORLDS["pusht"].robot))
    description = WORLDS["pusht"].world.robot_description()
    loop = loop_of(robot, policy, checkpoint, Deployment(lockstep=True), description)
    view = policy_view(robot)
    return list(run_trials(policy, "pusht", loop, SEEDS, settings, view))


@pytest.mark.parametrize(("overrides", "seam"), [((), "switch"), (("seam=warm",), "warm")])
def test_by_the_published_protocol_plans_are_joined_only_if_asked(checkpoint, overrides, seam):
    options = EvaluateOptions(checkpoint, "pusht", "published", overrides=overrides)
    assert _restored(options).facts.settings["seam"] == seam


@pytest.mark.long
def test_a_lockstep_trial_over_ros_is_the_trial_in_process_with_its_score(checkpoint):
    here = trials_in_process(checkpoint)
    there = list(trials_over_ros("pusht", checkpoint, SEEDS, "lockstep", TIMEOUT_S, {}))
    for one, other in zip(here, there, strict=True):
        assert (one.success, one.plans) == (other.success, other.plans)
        measured = {round(s, 6): row for s, row in zip(one.stamps_s, one.positions, strict=True)}
        common = [round(s, 6) for s in other.stamps_s if round(s, 6) in measured]
        assert len(common) > 50
        for stamp_s, row in zip(other.stamps_s, other.positions, strict=True):
            if round(stamp_s, 6) in measured:
                # The trials begin at another time, which rounds differently; contacts enlarge it.
                expected = measured[round(stamp_s, 6)]
                np.testing.assert_allclose(row, expected, rtol=0.0, atol=1e-9)
        assert np.abs(np.diff(one.positions, axis=0)).max() > 1e-3  # it did move
        assert other.score == pytest.approx(one.score, abs=1e-6)
        assert other.frames[0].shape == (96, 96, 3)


@pytest.mark.parametrize(
    ("outcome", "score"), [(RunPolicy.Result.SUCCESS, 0.952), (RunPolicy.Result.TIMEOUT, 0.946)]
)
def test_the_score_of_a_trial_is_the_best_up_to_its_last_tick(outcome, score):
    """That is the tick of the mark, which may come after the result, or else of the time-out."""
    with connected("", "pusht") as client:
        world = rclpy.create_node("world")
        scores = world.create_publisher(JointState, "score", 10)
        marks = world.create_publisher(EpisodeMark, "episode", 10)
        try:
            for publisher in (scores, marks):
                wait_for(client, publisher.get_subscription_count)
            wait_for(client, lambda: client.count_publishers("score"))
            for stamp_ms, value in ((900, 0.97), (1500, 0.9), (2000, 0.946), (2020, 0.952)):
                stamp_ns = stamp_ms * 10**6
                scores.publish(vector_message(SCORE_NAMES, np.array([value]), stamp_ns))
            mark = EpisodeMark(mark=EpisodeMark.END, success=True)
            mark.header.stamp = time_from(2_020 * 10**6)
            marks.publish(mark)
            scores.publish(vector_message(SCORE_NAMES, np.array([0.99]), 2_040 * 10**6))
            result = RunPolicy.Result(outcome=outcome, duration_s=1.0)
            assert client._trial(0, 1.0, result).score == score
        finally:
            world.destroy_node()


def wait_for(client, happened):
    deadline_s = time.monotonic() + 90.0
    while not happened():
        assert time.monotonic() < deadline_s, "the graph did not come together"
        rclpy.spin_once(client, executor=client._executor, timeout_sec=0.05)


@pytest.mark.parametrize("protocol", ["controller", "published"])
def test_evaluate_shows_coverage_at_every_threshold(
    checkpoint, tmp_path, monkeypatch, capsys, protocol
):
    words = ["--world", "pusht", "--protocol", protocol, "--checkpoint", str(checkpoint)]
    words += ["--trials", "3", "--timeout-s", "0.6", "--output", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["evaluate", *words])
    assert main() == 0
    told = capsys.readouterr().out
    for text in ("0.85", "0.90", "0.95", "mean maximum coverage"):
        assert text in told
    content = json.loads((tmp_path / "results.json").read_text())
    assert len(content["success_above"]) == 3
    assert [each["duration_s"] for each in content["outcomes"]] == pytest.approx([0.6] * 3)
    assert ("replan_period_s" in content["facts"]) == (protocol == "controller")
    assert (tmp_path / "trials.png").exists()


@pytest.mark.parametrize(
    "options",
    [{"world": "reach"}, {"world": "pusht", "over_ros": True}],
    ids=["another world", "over ROS"],
)
def test_the_published_protocol_is_for_pusht_in_one_process(options):
    with pytest.raises(ValueError, match="use --protocol controller"):
        EvaluateOptions(protocol="published", **options)


def test_a_checkpoint_of_another_robot_is_refused_with_both_lists(tmp_path, monkeypatch, capsys):
    from random_checkpoint import save_random_checkpoint

    save_random_checkpoint(tmp_path / "arm")
    words = ["--world", "pusht", "--checkpoint", str(tmp_path / "arm")]
    monkeypatch.setattr(sys, "argv", ["evaluate", *words])
    assert main() == 1
    text = capsys.readouterr().out
    assert "pusher_x" in text
    assert "shoulder_pan" in text
