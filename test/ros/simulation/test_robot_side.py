"""The driver between the command topics and the set point of a simulated robot."""

import numpy as np
import pytest
from rclpy.serialization import deserialize_message
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from ddpm_controller.control.moving.leading_motion import LeadingMotion
from ddpm_controller.control.moving.motion_loop import Order
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.control.moving.stream_settings import StreamSettings
from ddpm_controller.control.states import State, Verdict
from ddpm_controller.ros.commanding.trajectory_messages import TrajectoryMessages
from ddpm_controller.ros.simulation.messages import CommandError, trajectory_from
from ddpm_controller.ros.simulation.robot_side import RobotSide
from ddpm_controller.simulation.drivers.forward_controller import Targets
from ddpm_controller.types import ActionChunk, Trajectory

JOINTS = ("shoulder", "elbow")
LIMITS = JointLimits(np.array([-1.0, -2.0]), np.array([1.0, 2.0]), np.array([1.5, 3.0]))
REST = np.zeros(2)
TICK_S, BEGIN_S = 0.02, 1_790_000_000.25


def streamed(side: RobotSide, num_ticks: int, dies_s: float = 1e18):
    """Set points of a robot that follows a stream, and the sender's own motion."""
    motion = LeadingMotion(JOINTS, LIMITS, TICK_S, StreamSettings())
    messages = TrajectoryMessages(JOINTS)
    rows = np.sin(np.arange(40)[:, None] * 0.1 * np.array([1.5, 2.0])) * np.array([0.6, 1.0])
    chunk = ActionChunk(BEGIN_S + 0.5, 0.1, JOINTS, rows)
    found, expected, measured = [], [], REST
    for k in range(num_ticks):
        now_s = BEGIN_S + k * TICK_S
        if now_s < dies_s:
            order = Order(Verdict(State.RUNNING), chunk if k == 0 else None)
            order = order if k else Order(order.verdict, chunk, REST)
            message = motion.tick(now_s, order).message
            if message is not None:
                sent = deserialize_message(messages.message(message), JointTrajectory)
                side.receive(trajectory_from(sent), now_s + 0.003)
        assert side.advance(now_s + 0.011, measured, REST) == []
        found += [point for _, point in side.set_points]
        moments_s = [moment_s + 0.002 for moment_s, _ in side.set_points]
        expected += [motion.stream.at(moment_s).position for moment_s in moments_s]
        measured = found[-1].position
    return found, np.array(expected)


def test_a_stream_is_accepted_and_followed_exactly_between_the_ticks():
    side = RobotSide("joint_trajectory_controller", JOINTS, 500.0)
    found, expected = streamed(side, 150)
    assert (side.refused, side.accepted) == (0, side.accepted)
    assert side.accepted > 100
    positions = np.array([point.position for point in found])
    assert np.abs(positions).max() > 0.5
    # Stamps are rounded to nanoseconds, at 3 rad/s.
    np.testing.assert_allclose(positions, expected, atol=1e-8)
    acceleration = np.array([point.acceleration for point in found])
    assert (np.abs(acceleration) <= 1.05 * LIMITS.acceleration).all()


def test_a_robot_whose_sender_has_died_comes_to_rest_within_its_limits():
    side = RobotSide("joint_trajectory_controller", JOINTS, 500.0)
    found, _ = streamed(side, 150, dies_s=BEGIN_S + 1.0)
    speed = np.abs([point.velocity for point in found])
    assert speed[495:500].max() > 0.5
    assert (speed[-1] == 0).all()
    acceleration = np.abs([point.acceleration for point in found])
    assert (acceleration <= 1.1 * LIMITS.acceleration).all()
    steps = np.diff([point.position for point in found], axis=0)
    assert (np.abs(steps) <= 1.01 * LIMITS.velocity * 0.002).all()


def test_a_single_point_that_moves_is_refused_with_the_reason():
    side = RobotSide("joint_trajectory_controller", JOINTS, 500.0)
    row = np.array([[0.1, 0.2]])
    moving = Trajectory(BEGIN_S, JOINTS, np.array([0.02]), row, row)
    side.receive(moving, BEGIN_S)
    (text,) = side.advance(BEGIN_S, REST, REST)
    assert "the last point has a velocity" in text
    assert (side.accepted, side.refused) == (0, 1)
    np.testing.assert_array_equal(side.set_points[-1][1].position, REST)


@pytest.mark.parametrize(("continuous", "way"), [((), -6.0), (("shoulder",), 2 * np.pi - 6.0)])
def test_a_joint_that_turns_without_end_goes_the_shorter_way(continuous, way):
    """From what is measured to the first point ahead, as joint_trajectory_controller does."""
    side = RobotSide("joint_trajectory_controller", JOINTS, 500.0, continuous)
    row = np.array([[-3.0, 0.0]])
    side.receive(Trajectory(BEGIN_S + 0.2, JOINTS, np.zeros(1), row), BEGIN_S)
    measured = np.array([3.0, 0.0])
    side.advance(BEGIN_S, measured, REST)
    first = side.set_points[-1][1].position[0]
    side.advance(BEGIN_S + 0.1, measured, REST)
    assert side.set_points[-1][1].position[0] - first == pytest.approx(way / 2, abs=0.1)


def test_a_reset_drops_what_has_been_received():
    side = RobotSide("forward", JOINTS, 500.0)
    side.receive(Targets(np.array([0.3, 0.4])), BEGIN_S)
    side.reset()
    side.advance(BEGIN_S + TICK_S, REST, REST)
    np.testing.assert_array_equal(side.set_points[-1][1].position, REST)
    side.receive(Targets(np.array([0.3, 0.4])), BEGIN_S + TICK_S)
    side.advance(BEGIN_S + 2 * TICK_S, REST, REST)
    np.testing.assert_array_equal(side.set_points[-1][1].position, [0.3, 0.4])


@pytest.mark.parametrize(
    ("points", "text"),
    [
        ([([0.1, 0.2], [0.0, 0.0]), ([0.1, 0.2], [])], "each needs as many"),
        ([([0.1, float("nan")], [])], "must be finite"),
    ],
)
def test_what_no_controller_can_read_is_refused(points, text):
    message = JointTrajectory(
        joint_names=list(JOINTS),
        points=[JointTrajectoryPoint(positions=p, velocities=v) for p, v in points],
    )
    with pytest.raises(CommandError, match=text):
        trajectory_from(message)


def follow(side: RobotSide, begin_s: float, num_ticks: int, measured: np.ndarray) -> np.ndarray:
    """Let ticks pass; return where the robot is, which is where it is led."""
    for k in range(num_ticks):
        side.advance(begin_s + k * TICK_S, measured, REST)
        measured = side.set_points[-1][1].position if side.set_points else measured
    return measured


def ramp(begin_s: float) -> Trajectory:
    """From rest to 1 and -1 within a second."""
    return Trajectory(begin_s, JOINTS, np.array([0.0, 1.0]), np.array([[0.0, 0.0], [1.0, -1.0]]))


def test_a_robot_in_protective_stop_stands_and_follows_again_when_it_is_released():
    side = RobotSide("joint_trajectory_controller", JOINTS, 500.0)
    side.receive(ramp(BEGIN_S), BEGIN_S)
    moved = follow(side, BEGIN_S, 20, REST)
    assert 0.3 < moved[0] < 0.5
    side.stop.is_on = True
    np.testing.assert_array_equal(follow(side, BEGIN_S + 0.4, 20, moved), moved)
    side.stop.is_on = False
    np.testing.assert_allclose(follow(side, BEGIN_S + 0.8, 20, moved), [1.0, -1.0])


def test_with_a_speed_scaling_a_trajectory_takes_longer():
    side = RobotSide("joint_trajectory_controller", JOINTS, 500.0)
    side.speed_scaling = 0.5
    side.receive(ramp(BEGIN_S), BEGIN_S)
    # The set point is that of the next update, 2 ms ahead.
    np.testing.assert_allclose(follow(side, BEGIN_S, 51, REST), [0.5, -0.5], atol=0.003)


@pytest.mark.parametrize("driver", ["joint_trajectory_controller", "forward"])
def test_a_driver_that_is_not_active_takes_nothing_and_gives_no_reason(driver):
    side = RobotSide(driver, JOINTS, 500.0)
    side.refusal.is_on = True
    message = ramp(BEGIN_S) if driver != "forward" else Targets(np.ones(2))
    side.receive(message, BEGIN_S)
    assert side.advance(BEGIN_S, REST, REST) == []
    np.testing.assert_array_equal(follow(side, BEGIN_S + TICK_S, 20, REST), REST)


def test_a_clock_that_is_ahead_refuses_what_ends_in_its_past():
    ends_soon = Trajectory(BEGIN_S, JOINTS, np.array([0.05]), np.array([[0.1, 0.2]]))
    for offset_s, refused in ((0.03, 0), (1.0, 1), (-1.0, 0)):
        side = RobotSide("joint_trajectory_controller", JOINTS, 500.0, clock_offset_s=offset_s)
        side.receive(ends_soon, BEGIN_S)
        texts = side.advance(BEGIN_S, REST, REST)
        assert (len(texts), side.refused) == (refused, refused)
    side = RobotSide("joint_trajectory_controller", JOINTS, 500.0, clock_offset_s=-1.0)
    side.receive(ramp(BEGIN_S), BEGIN_S)
    assert follow(side, BEGIN_S, 50, REST)[0] < 0.01  # it begins a second later
