"""Commands of others are found among our own by what they contain."""

import math

import numpy as np
import pytest
from rclpy.serialization import serialize_message
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from ddpm_controller.ros.commanding.sent_positions import SentPositions
from ddpm_controller.ros.neighbours.other_commands import ForeignMessages

OURS, THEIRS = np.array([0.1 + 0.2, -1.0, 1e-9]), np.array([0.3, -1.0, 1e-9])


def trajectory(*rows):
    points = [JointTrajectoryPoint(positions=row.tolist(), velocities=[0.0] * 3) for row in rows]
    return serialize_message(JointTrajectory(joint_names=["a", "b", "c"], points=points))


def array(row):
    return serialize_message(Float64MultiArray(data=row.tolist()))


@pytest.fixture
def sent():
    positions = SentPositions()
    positions.note(OURS)
    return positions


def found(sent, messages, *, known_s=1.0, explained=False):
    """Whether foreign commands were found, one second after they came."""
    foreign = ForeignMessages(lambda arrived_s, now_s: explained)
    for message in messages:
        foreign.take(message, 0.0)
    foreign.judge(sent, known_s, 0.0)
    return foreign.come(0.5)


@pytest.mark.parametrize("message", [trajectory(OURS), trajectory(THEIRS, OURS), array(OURS)])
def test_a_message_with_a_position_of_ours_is_ours(sent, message):
    assert not found(sent, [message])


@pytest.mark.parametrize("message", [trajectory(THEIRS), array(THEIRS)])
def test_one_that_differs_in_a_single_bit_is_foreign(sent, message):
    assert np.abs(THEIRS - OURS).max() < 1e-15
    assert found(sent, [message])


def test_it_is_not_judged_before_what_was_sent_is_known(sent):
    assert not found(sent, [trajectory(THEIRS)], known_s=0.1)


def test_what_a_process_sent_that_has_died_is_not_blamed_on_others(sent):
    sent.gap_s = 0.0
    assert not found(sent, [trajectory(THEIRS)])
    sent.gap_s = -math.inf
    assert found(sent, [trajectory(THEIRS)])


def test_nor_is_what_another_controller_sent_that_yields(sent):
    assert not found(sent, [trajectory(THEIRS)], explained=True)


def test_who_was_silent_for_a_while_does_not_command_any_more(sent):
    foreign = ForeignMessages(lambda arrived_s, now_s: False)
    foreign.take(trajectory(THEIRS), 0.0)
    foreign.judge(sent, 1.0, 1.0)
    assert foreign.come(1.0)
    assert not foreign.come(2.0)
