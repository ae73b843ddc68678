"""Trajectories as messages."""

import numpy as np
import pytest

from ddpm_controller.replay.recorded_run import points_from
from ddpm_controller.robots.robot import load_robot
from ddpm_controller.ros.commanding.trajectory_messages import TrajectoryMessages
from ddpm_controller.ros.simulation.messages import trajectory_from
from ddpm_controller.share import share_path
from ddpm_controller.types import Trajectory

ROBOT = load_robot(share_path("config/robots/sim_arm.yaml"))
NAMES = ROBOT.action_spec.joint_names


def some(stamp_s, times_s, seed=0, *, rates=True):
    rows = np.random.default_rng(seed).normal(size=(3, len(times_s), len(NAMES)))
    return Trajectory(stamp_s, NAMES, times_s, rows[0], *(rows[1:] if rates else ()))


def test_numbers_and_moments_are_given_back_bit_for_bit():
    moments_s = 1_790_000_000.123456 + np.cumsum(np.full(12, 1 / 150))
    sent = some(moments_s[0], moments_s - moments_s[0])
    found = points_from(TrajectoryMessages(NAMES).message(sent), ROBOT)
    assert [each.stamp_s for each in found] == moments_s.tolist()
    for i, each in enumerate(found):
        np.testing.assert_array_equal(each.position, sent.positions[i])
        np.testing.assert_array_equal(each.motion.velocity, sent.velocities[i])
        np.testing.assert_array_equal(each.motion.acceleration, sent.accelerations[i])


def test_a_point_that_comes_again_has_the_time_of_its_message():
    messages = TrajectoryMessages(NAMES)
    first = some(100.0, np.array([0.0, 0.02, 0.04]))
    messages.message(first)
    later = Trajectory(
        100.02,
        NAMES,
        np.array([0.0, 0.02, 0.05]),
        *(rows[[1, 2, 0]] for rows in (first.positions, first.velocities, first.accelerations)),
    )
    found = trajectory_from(messages.message(later))
    np.testing.assert_allclose(found.times_s, later.times_s, atol=1e-9)
    np.testing.assert_array_equal(found.positions, later.positions)


def test_points_at_rest_are_not_taken_for_each_other():
    rest = Trajectory(5.0, NAMES, np.array([0.0, 0.1, 0.2]), np.zeros((3, len(NAMES))))
    messages = TrajectoryMessages(NAMES)
    for _ in range(2):
        found = trajectory_from(messages.message(rest))
        np.testing.assert_allclose(found.times_s, rest.times_s, atol=1e-9)


@pytest.mark.parametrize("begin_s", [0.0, 0.4])
def test_a_stamp_of_zero_stays_zero(begin_s):
    found = trajectory_from(
        TrajectoryMessages(NAMES).message(some(0.0, begin_s + np.array([0.0, 0.1]), rates=False))
    )
    assert (found.stamp_s, found.velocities, found.accelerations) == (0.0, None, None)
    np.testing.assert_allclose(found.times_s, begin_s + np.array([0.0, 0.1]), atol=1e-9)
