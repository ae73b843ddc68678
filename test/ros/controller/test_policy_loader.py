from dataclasses import replace

import pytest
from constant_velocity import KIND, SYSTEM, save_constant_velocity
from random_checkpoint import CONFIG, SIM_ARM, save_random_checkpoint, save_random_network

from ddpm_controller.checkpoint import CheckpointError
from ddpm_controller.control.observing.stream_rules import StreamRule
from ddpm_controller.messages.camera_view import CameraView
from ddpm_controller.policy import PlanSettings
from ddpm_controller.robots.robot import load_robot
from ddpm_controller.robots.trained_sources import SOURCES, sources_of
from ddpm_controller.ros.controller.policy_loader import load_policy
from ddpm_controller.systems import SYSTEMS


@pytest.fixture
def robot():
    """The simulated arm with a camera that may be masked."""
    robot = load_robot(SIM_ARM)
    streams = [
        replace(each, rule=StreamRule("mask")) if each.spec.name == "camera_wrist" else each
        for each in robot.streams
    ]
    return replace(robot, streams=tuple(streams))


def test_a_robot_that_masks_a_stream_refuses_a_policy_that_cannot_do_without(tmp_path, robot):
    save_random_checkpoint(tmp_path)
    with pytest.raises(CheckpointError) as raised:
        load_policy(str(tmp_path), robot, PlanSettings())
    assert "can plan without the streams []" in str(raised.value)
    assert "asks when_stale: mask for ['camera_wrist']" in str(raised.value)


def test_streams_of_other_sources_than_in_training_are_refused_or_noted_with_both_sides(tmp_path):
    trained = load_robot(SIM_ARM)
    view = CameraView(-0.5, -0.5, 0.5, 0.5)
    sources = sources_of(trained.streams, {"camera_fixed": view})
    save_random_checkpoint(tmp_path, provenance={SOURCES: sources})
    loaded = load_policy(str(tmp_path), trained, PlanSettings())
    assert (loaded.notes, loaded.views) == ((), {"camera_fixed": view})
    joints, fixed, wrist = trained.streams
    large = replace(trained, streams=(joints, replace(fixed, message_size=(192, 192)), wrist))
    (note, _) = load_policy(str(tmp_path), large, PlanSettings()).notes
    assert note.endswith("message_size: checkpoint [96, 96], robot [192, 192]")
    wide = replace(fixed, message_size=(96, 128))
    wrong = (replace(joints, field="effort"), wide, wrist)
    with pytest.raises(CheckpointError) as raised:
        load_policy(str(tmp_path), replace(trained, streams=wrong), PlanSettings())
    assert "'joint_state': field: checkpoint position, robot effort" in str(raised.value)
    assert "'camera_fixed': aspect: checkpoint 1.0, robot 1.3333" in str(raised.value)


def test_a_policy_that_was_trained_with_masks_is_taken(tmp_path, robot):
    save_random_checkpoint(tmp_path, config=replace(CONFIG, maskable_streams=("camera_wrist",)))
    policy = load_policy(str(tmp_path), robot, PlanSettings()).policy
    assert policy.facts.maskable == ("camera_wrist",)


def test_a_policy_with_a_goal_is_warmed_up_with_one_that_was_trained(tmp_path):
    """A goal of zeros, which it refuses, would otherwise keep it from being loaded."""
    robot = load_robot(SIM_ARM)
    goal = next(each for each in robot.stream_specs if each.kind == "vector")
    limits = {"min": [1.0] * goal.shape[0], "max": [2.0] * goal.shape[0]}
    image = {"min": [0.0], "max": [255.0]}
    statistics = {each.name: limits if each.names else image for each in robot.stream_specs}
    action_dim = len(robot.action_spec.joint_names)
    statistics["action"] = {"min": [0.0] * action_dim, "max": [1.0] * action_dim}
    config = replace(CONFIG, goal_streams=(goal.name,))
    save_random_network(tmp_path, config, robot, statistics)
    loaded = load_policy(str(tmp_path), robot, PlanSettings())
    assert list(loaded.policy.facts.goal_ranges) == [goal.name]


def test_a_policy_is_warmed_up_with_its_own_window(tmp_path, monkeypatch):
    """A pose of zeros, which this one refuses, would otherwise keep it from being loaded."""
    monkeypatch.setitem(SYSTEMS, KIND, SYSTEM)
    robot = load_robot(SIM_ARM)
    save_constant_velocity(tmp_path, robot)
    loaded = load_policy(str(tmp_path), robot, PlanSettings())
    assert loaded.rows_last_s == pytest.approx(7 * robot.action_spec.period_s)
    assert loaded.policy.facts.checkpoint_hash == loaded.hash
