"""The loop of a robot, from parameters that are live or were recorded."""

import math
from dataclasses import replace

import pytest
from random_checkpoint import SIM_ARM
from robot_files import SIM_ARM_GRIPPER, array_robot, gripper_robot

from ddpm_controller.control.deployment import Deployment
from ddpm_controller.control.loop import ControlLoop
from ddpm_controller.control.loop_settings import LoopSettings, PolicyTerms
from ddpm_controller.control.moving.stream_settings import StreamSettings
from ddpm_controller.control.observing.follow_watch import FollowRules
from ddpm_controller.control.planning.chunk_check import ChunkTolerance
from ddpm_controller.robots.lead import ACTION_LATENCY_KEY
from ddpm_controller.robots.loop_settings import (
    command_age_s,
    deployment_from,
    loop_settings,
    refuse_outputs,
)
from ddpm_controller.robots.robot import load_robot
from ddpm_controller.simulation.arm.robot_description import robot_description

ROBOT = load_robot(SIM_ARM)
SETTINGS = loop_settings(ROBOT, None, Deployment(stream="single_point"))


@pytest.mark.parametrize(
    ("recorded", "changed"),
    [
        ({"control_rate_hz": 100.0}, {"period_s": 0.01}),
        ({"replan_period_s": 0.3}, {"replan_period_s": 0.3}),
        ({"fade_s": 0.3}, {"fade_s": 0.3}),
        ({"stop_s": 0.4}, {"stop_s": 0.4}),
        (
            {"stop_not_followed": True, "follow_lag_s": 0.5, "follow_repeats": 0},
            {"follow": FollowRules(0.5, repeats=0)},
        ),
        ({"stop_not_followed": True, "follow_patience_s": 0.1}, {"follow": FollowRules(0.4, 0.1)}),
        ({"stop_not_followed": False, "follow_patience_s": 0.1}, {"follow": None}),
        ({"follow_patience_s": 0.1}, {"follow": FollowRules(0.4, 0.1)}),
        ({"lead_s": 0.06}, {"lead_s": 0.06, "follow": FollowRules(0.46)}),
        (
            {"lead_s": None, ACTION_LATENCY_KEY: 0.07},
            {"lead_s": 0.07, "follow": FollowRules(0.4 + 0.07)},
        ),
        ({"lockstep": True}, {"max_lead_s": math.inf}),
        ({"chunk_position_tolerance": 2.0}, {"tolerance": ChunkTolerance(2.0)}),
        ({"chunk_velocity_tolerance": 70.0}, {"tolerance": ChunkTolerance(velocity=70.0)}),
        (
            {"stop_out_of_distribution": True, "out_of_distribution_plans": 4},
            {"out_of_distribution_plans": 4},
        ),
        ({"out_of_distribution_plans": 4}, {}),
        ({"deadline_aware": True, "min_inference_steps": 3}, {"min_inference_steps": 3}),
        ({"min_inference_steps": 3}, {}),
        (
            {"max_age_s": 0.7},
            {"max_ages_s": dict.fromkeys(("joint_state", "camera_fixed", "camera_wrist"), 0.7)},
        ),
        ({"stream": "rest_ended"}, {"stream": StreamSettings()}),
        (
            {"stream": "rest_ended", "stream_past_s": 0.03, "stream_lead_s": 0.06},
            {"stream": StreamSettings(past_s=0.03, lead_s=0.06)},
        ),
        (
            {"stream": "rest_ended", "stream_begin_s": 0.5, "stream_stamp": "zero"},
            {"stream": StreamSettings(begin_s=0.5, stamp="zero")},
        ),
        (
            {"stream": "rest_ended", "stream_carries": "positions"},
            {"stream": StreamSettings(carries="positions")},
        ),
        ({"stream": "rest_ended", "output": "commands"}, {}),
        ({"stream_lead_s": 0.06}, {}),
        ({"pictures": False, "device": "cuda"}, {}),
    ],
)
def test_every_recorded_parameter_that_changes_commands_reaches_the_loop(recorded, changed):
    found = loop_settings(ROBOT, None, deployment_from(recorded, ROBOT))
    assert found == replace(SETTINGS, **changed)


def test_what_was_recorded_without_a_form_of_the_stream_was_single_points():
    """Bags of before there was a choice; the usual one has changed since."""
    assert Deployment().stream == "rest_ended"
    assert deployment_from({}, ROBOT).stream == "single_point"
    assert deployment_from({"stream": "rest_ended"}, ROBOT).stream == "rest_ended"


@pytest.mark.parametrize(
    ("recorded", "share"),
    [
        ({"approach_slowly": True, "approach_share": 0.3}, 0.3),
        ({"approach_slowly": False, "approach_share": 0.3}, 0.0),
    ],
)
def test_a_share_counts_only_where_an_approach_is_asked_for(recorded, share):
    assert deployment_from(recorded, ROBOT).approach_share == share


@pytest.mark.parametrize(
    ("latency_s", "deployment", "age_s"),
    [
        (0.0, Deployment(stream="single_point"), 0.02 + 0.02),
        (0.03, Deployment(control_rate_hz=100.0, stream="single_point"), 0.03 + 0.01 + 0.02),
        (0.0, Deployment(), 0.08 + 0.02 + 0.02),
    ],
)
def test_a_command_is_ahead_of_what_is_measured_by_lead_latency_and_periods(
    latency_s, deployment, age_s
):
    robot = replace(ROBOT, outputs=(replace(ROBOT.outputs[0], latency_s=latency_s),))
    assert command_age_s(robot, deployment) == pytest.approx(age_s)


def test_an_age_below_the_latency_of_a_stream_is_refused():
    slow = replace(ROBOT.streams[0], latency_s=0.05)
    robot = replace(ROBOT, streams=(slow, *ROBOT.streams[1:]))
    with pytest.raises(ValueError, match=r"max_age_s 0.04 must be above latency_s 0.05"):
        loop_settings(robot, None, Deployment(max_age_s=0.04))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"period_s": 0.0}, "period_s must be above 0, got 0.0"),
        ({"replan_period_s": -1.0}, "replan_period_s must be above 0, got -1.0"),
        ({"lead_s": math.nan}, "lead_s must be finite and not below 0, got nan"),
        ({"min_inference_steps": -1}, "min_inference_steps must not be below 0, got -1"),
    ],
)
def test_settings_out_of_range_are_refused(change, text):
    with pytest.raises(ValueError, match=text):
        replace(SETTINGS, **change)


@pytest.mark.parametrize(
    "values",
    [
        {"approach_share": 3.0},
        {"chunk_velocity_tolerance": 0.5},
        {"control_rate_hz": 0.0},
        {"max_age_s": 0.0},
        {"start_distance": 0.0},
        {"start_margin": -1.0},
        {"follow_lag_s": 0.0},
        {"follow_repeats": -1},
        {"reset_state_above": math.nan},
    ],
)
def test_a_deployment_out_of_range_is_refused(values):
    with pytest.raises(ValueError, match="got"):
        Deployment(**values)


def test_terms_without_observations_are_refused():
    with pytest.raises(ValueError, match="n_obs_steps must be at least 1 .* got 0 and 0"):
        PolicyTerms(n_obs_steps=0)


def test_limits_are_taken_once():
    """Those that are in force must not change while the robot moves."""
    limits = ROBOT.limits(robot_description())
    loop = ControlLoop(SETTINGS)
    loop.take_limits(limits)
    assert loop.limits is limits
    with pytest.raises(ValueError, match="has joint limits already"):
        loop.take_limits(limits)


def test_a_loop_is_not_changed_from_outside():
    assert LoopSettings.__dataclass_params__.frozen
    with pytest.raises(AttributeError):
        ControlLoop(SETTINGS).limits = None


def test_only_a_trajectory_is_streamed(tmp_path):
    streams = {"stream": "rest_ended"}
    assert deployment_from(streams, load_robot(SIM_ARM_GRIPPER)).stream == "rest_ended"
    assert deployment_from(streams, load_robot(array_robot(tmp_path))).stream == "single_point"


NUMBER = {"type": "std_msgs/msg/Float64", "topic": "go", "dead_band": 0.0, "rate_hz": None}
STATE = NUMBER | {"type": "sensor_msgs/msg/JointState"}
MISFITS = {
    "a rate above that of the control": (STATE | {"rate_hz": 60.0}, {}, "60 is above .* 50"),
    "a stream with a rate": (
        STATE | {"type": "trajectory_msgs/msg/JointTrajectory", "rate_hz": 20.0},
        {"stream": "rest_ended"},
        "leave rate_hz out, or set command.stream",
    ),
    "no stamp in lockstep": (NUMBER, {"lockstep": True}, "'gripper': in lockstep every output"),
    "a rate in lockstep": (STATE | {"rate_hz": 20.0}, {"lockstep": True}, "in lockstep"),
    "a dead band in lockstep": (STATE | {"dead_band": 0.1}, {"lockstep": True}, "in lockstep"),
}


@pytest.mark.parametrize(("gripper", "deployed", "text"), MISFITS.values(), ids=MISFITS)
def test_outputs_that_cannot_be_sent_as_deployed_are_refused(tmp_path, gripper, deployed, text):
    robot = load_robot(gripper_robot(tmp_path, **gripper))
    with pytest.raises(ValueError, match=text):
        refuse_outputs(robot, deployment_from(deployed, robot))


@pytest.mark.parametrize(
    ("gripper", "deployed"),
    [
        (NUMBER, {"stream": "rest_ended"}),
        (STATE | {"rate_hz": 50.0}, {}),
        (STATE, {"lockstep": True}),
        ({}, {"stream": "rest_ended"}),
    ],
)
def test_outputs_that_can_be_sent_are_not_refused(tmp_path, gripper, deployed):
    robot = load_robot(gripper_robot(tmp_path, **gripper))
    refuse_outputs(robot, deployment_from(deployed, robot))


def test_a_recorded_parameter_of_another_type_is_refused():
    with pytest.raises(ValueError, match="a parameter of the controller has another type"):
        deployment_from({"control_rate_hz": "fast"}, ROBOT)
