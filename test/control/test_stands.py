"""A stop of a robot on legs, in its world: it must end on its feet, whatever ended the plans."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from walking_robot import WalkingRobot

from ddpm_controller.control.moving.leading_motion import motion_of
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.control.moving.stream_settings import StreamSettings
from ddpm_controller.control.states import Reason, State
from ddpm_controller.robots.robot import RobotError, load_robot
from ddpm_controller.share import share_path

GO1 = share_path("config/robots/go1.yaml")
AFTER_S = 1.5


def stand_of(robot: WalkingRobot) -> np.ndarray:
    return robot.loop.settings.limits.stand


def test_a_walking_robot_whose_planner_ends_stops_in_its_stand():
    robot = WalkingRobot().run(2.0)
    assert robot.world.base_velocity[0] > 0.5
    robot.plans = False
    robot.run(AFTER_S)
    last = robot.commands[-1]
    assert (last.state, last.reason) == (State.HOLDING, Reason.PLAN_LATE)
    np.testing.assert_array_equal(last.position, stand_of(robot))
    assert not robot.world.fallen
    assert np.linalg.norm(robot.world.base_velocity) < 0.05


def test_a_stop_that_is_asked_for_ends_in_the_stand_and_the_robot_walks_again():
    robot = WalkingRobot(seed=1).run(1.5)
    robot.loop.stop()
    robot.run(0.5)
    np.testing.assert_array_equal(robot.commands[-1].position, stand_of(robot))
    robot.loop.start(robot.policy.initial_memory(1), keep_position=True)
    robot.run(2.0)
    assert robot.world.base_velocity[0] > 0.5
    assert not robot.world.fallen


def test_without_a_stand_the_same_robot_falls_where_it_is_stopped():
    """So that the two tests above show something."""
    robot = WalkingRobot(stand=np.zeros(0)).run(2.0)
    robot.plans = False
    assert robot.run(AFTER_S).world.fallen


def test_the_answer_of_a_tick_is_sent_at_that_tick_unchanged():
    """No fade and no limit of the robot file comes between the policy and the legs."""
    robot = WalkingRobot().run(1.0)
    sent = np.array([each.position for each in robot.commands])
    assert not any(each.limited for each in robot.commands[1:])
    assert np.abs(np.diff(sent, axis=0)).max() > 0.3, "its targets leap"
    assert all(each.takeover for each in robot.commands[-20:]), "a plan at every tick"
    chunk = robot.loop.schedule.in_force.plan.chunk
    np.testing.assert_array_equal(sent[-1], chunk.actions[0])


def test_nobody_requests_and_the_robot_stands_until_somebody_does():
    robot = WalkingRobot(without=("cmd_vel",)).run(1.0)
    assert robot.commands[-1].state == State.RUNNING
    assert np.linalg.norm(robot.world.base_velocity[:2]) < 0.2
    (seen,) = robot.loop.plan_request(robot.now_s).window
    assert seen.masked == ("cmd_vel",)


def test_a_request_that_ends_is_forgotten():
    robot = WalkingRobot().run(2.0)
    robot._without = ("cmd_vel",)
    robot.run(0.4)
    assert robot.world.base_velocity[0] > 0.5, "not yet stale"
    robot.run(1.5)
    assert np.linalg.norm(robot.world.base_velocity[:2]) < 0.2
    assert not robot.world.fallen


def test_a_stand_outside_of_the_limits_is_refused_with_both():
    limits = JointLimits(-np.ones(2), np.ones(2), np.ones(2))
    with pytest.raises(ValueError, match=r"the stand \[0. 2.\] must be within the limits"):
        replace(limits, stand=np.array([0.0, 2.0]))


def test_a_stand_and_trajectories_that_end_at_rest_exclude_each_other():
    limits = JointLimits(-np.ones(1), np.ones(1), np.ones(1), stand=np.zeros(1))
    with pytest.raises(ValueError, match="a robot with a stand is commanded tick by tick"):
        motion_of(("joint",), limits, 0.02, StreamSettings(), fade_s=0.2, stop_s=0.2)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  FR_hip_joint: -0.15\n", "", "stand is for .*, the commanded joints are"),
        (
            "sensor_msgs/msg/JointState\n  names: [FR_hip_joint, FR_thigh_joint, FR_calf_joint, F",
            "trajectory_msgs/msg/JointTrajectory\n  names: [FR_hip_joint, FR_thigh_joint, "
            "FR_calf_joint, F",
            "stand: a trajectory ends at rest",
        ),
        ("FR_thigh_joint: 1.03", "FR_thigh_joint: .nan", "stand"),
    ],
)
def test_a_stand_that_does_not_fit_is_refused_with_the_rule(tmp_path, old, new, message):
    text = Path(GO1).read_text().replace("joint_limits: limits/go1.yaml\n", "")
    head, mark, tail = text.rpartition(old)
    assert mark
    (tmp_path / "robot.yaml").write_text(head + new + tail)
    with pytest.raises(RobotError, match=message):
        load_robot(tmp_path / "robot.yaml")
