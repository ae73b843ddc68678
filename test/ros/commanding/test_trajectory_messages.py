"""Trajectories as messages."""

import numpy as np
import pytest
from rclpy.serialization import deserialize_message, serialize_message
from trajectory_msgs.msg import JointTrajectory

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


def message_of(trajectory):
    sent = TrajectoryMessages(trajectory.joint_names).message(trajectory)
    return deserialize_message(sent, JointTrajectory)


@pytest.mark.parametrize("names", [("a",), ("hip", "knee"), ("é", "", "wrist_3", "j4"), NAMES])
@pytest.mark.parametrize("num_rows", [1, 2, 3])
@pytest.mark.parametrize("num_points", [1, 2, 33, 70])
def test_the_bytes_are_those_of_ros(names, num_rows, num_points):
    rows = np.random.default_rng(num_points).normal(size=(3, num_points, len(names)))
    times_s = np.linspace(0.0, 3.3, num_points)
    trajectory = Trajectory(1_790_000_000.25, names, times_s, *rows[:num_rows])
    sent = TrajectoryMessages(names).message(trajectory)
    message = deserialize_message(sent, JointTrajectory)
    of_ros, gaps = serialize_message(message), gaps_of(message)
    # ROS takes more room than it needs, and leaves in gaps and behind the end what was there.
    assert len(sent) <= len(of_ros)
    assert [i for i in range(len(sent)) if sent[i] != of_ros[i] and i not in gaps] == []
    assert not any(sent[i] for i in gaps)
    assert len(message.points) == num_points
    assert all(point.time_from_start.nanosec < 10**9 for point in message.points)


def gaps_of(message):
    """Where the bytes of a message mean nothing: they align a number to its size."""
    end, gaps = 4, set()

    def add(size, count=1):
        nonlocal end
        if count:
            begin = 4 + -(-(end - 4) // size) * size
            gaps.update(range(end, begin))
            end = begin + size * count

    add(4, 2)
    for text in (message.header.frame_id, None, *message.joint_names):
        add(4)
        add(1, 0 if text is None else len(text.encode()) + 1)
    add(4)
    for point in message.points:
        for rows in (point.positions, point.velocities, point.accelerations, point.effort):
            add(4)
            add(8, len(rows))
        add(4, 2)
    return gaps


def test_a_message_is_not_changed_by_the_next_one():
    messages = TrajectoryMessages(NAMES)
    first = some(100.0, np.array([0.0, 0.02, 0.04]))
    sent = messages.message(first)
    messages.message(some(200.0, np.array([0.0, 0.03]), seed=1))
    messages.message(some(200.0, np.linspace(0.0, 1.0, 100), seed=2))
    assert sent == TrajectoryMessages(NAMES).message(first)
    assert messages.message(first) == sent


def test_rows_that_are_not_as_wide_as_the_joints_are_refused():
    rows = np.zeros((2, 1))
    with pytest.raises(ValueError, match=r"rows of \[\(2, 1\)\], each must be \(2, 7\)"):
        TrajectoryMessages(NAMES).message(Trajectory(1.0, NAMES, np.array([0.0, 1.0]), rows))


def test_numbers_and_moments_are_given_back_bit_for_bit():
    moments_s = 1_790_000_000.123456 + np.cumsum(np.full(12, 1 / 150))
    sent = some(moments_s[0], moments_s - moments_s[0])
    found = points_from(message_of(sent), ROBOT)
    assert [each.stamp_s for each in found] == moments_s.tolist()
    for i, each in enumerate(found):
        np.testing.assert_array_equal(each.position, sent.positions[i])
        np.testing.assert_array_equal(each.motion.velocity, sent.velocities[i])
        np.testing.assert_array_equal(each.motion.acceleration, sent.accelerations[i])


@pytest.mark.parametrize("begin_s", [0.0, 0.4])
def test_a_stamp_of_zero_stays_zero(begin_s):
    found = trajectory_from(message_of(some(0.0, begin_s + np.array([0.0, 0.1]), rates=False)))
    assert (found.stamp_s, found.velocities, found.accelerations) == (0.0, None, None)
    np.testing.assert_allclose(found.times_s, begin_s + np.array([0.0, 0.1]), atol=1e-9)
