"""What joints cannot have been measured at, and what real robots send that they can."""

import math

import numpy as np
import pytest

from ddpm_controller.control.observing.plausible_joints import PlausibleJoints

PERIOD_S = 0.02


@pytest.fixture
def joints():
    """A turning joint of 2 rad/s and a sliding one of 0.1 m/s, at 50 Hz."""
    found = PlausibleJoints(("turn", "slide"), ("rad", "m"), PERIOD_S)
    found.take_limits(np.array([-3.1, 0.0]), np.array([3.1, 0.4]), np.array([2.0, 0.1]))
    return found


def fed(joints, turns, begin_s=0.0, period_s=PERIOD_S):
    """Measurements one after the other; return the texts."""
    return [
        joints.problem(begin_s + i * period_s, np.array([turn, 0.1]))
        for i, turn in enumerate(turns)
    ]


def test_a_motion_at_the_limit_with_noise_is_taken(joints):
    noise = np.random.default_rng(1).normal(0, 0.003, 100)
    assert not any(fed(joints, np.clip(2.0 * PERIOD_S * np.arange(100) - 2, -3, 3) + noise))


def test_a_joint_a_little_outside_its_limits_is_taken(joints):
    assert not any(fed(joints, [3.1 + 0.3] * 20))


@pytest.mark.parametrize("value", [1e6, -50.0, 3.8])
def test_a_joint_far_outside_its_limits_is_refused_and_soon_unreliable(joints, value):
    texts = fed(joints, [value] * 3)
    assert all("'turn' is measured at" in text and "limits" in text for text in texts)
    assert joints.is_unreliable


def test_an_encoder_that_fails_once_is_left_out_and_nothing_else(joints):
    texts = fed(joints, [0.1, 0.1, 1.4, 0.1, 0.1, 0.1])
    assert [bool(text) for text in texts] == [False, False, True, False, False, False]
    assert "jumps from 0.1 to 1.4 within 0.020 s" in texts[2]
    assert not joints.is_unreliable


def test_jumps_to_and_fro_are_unreliable_until_none_has_come_for_a_second(joints):
    texts = fed(joints, [0.0, 1.0] * 10)
    assert joints.is_unreliable
    assert all(texts[6:])  # the good ones between them too: which is good?
    later = fed(joints, [0.0] * 60, begin_s=20 * PERIOD_S)
    assert all(later[:40])
    assert not any(later[51:])


def test_one_jump_after_the_other_in_one_direction_is_unreliable(joints):
    assert all(fed(joints, [-3.0, -2.0, -1.0, 0.0, 1.0, 2.0])[1:])
    assert joints.is_unreliable


def test_joints_that_were_moved_are_followed_from_the_second_measurement_on(joints):
    """As in a simulation that begins again."""
    texts = fed(joints, [0.0, 0.0, 2.5, 2.5, 2.49, 2.48])
    assert [bool(text) for text in texts] == [False, False, True, False, False, False]


def test_a_hole_of_messages_makes_a_larger_step_possible(joints):
    assert not joints.problem(0.0, np.array([0.0, 0.1]))
    assert not joints.problem(0.5, np.array([1.0, 0.1]))
    assert joints.problem(0.52, np.array([2.0, 0.1]))


def test_stamps_that_bunch_are_no_speed(joints):
    """Measured every 20 ms at full speed, stamped 2 ms after each other."""
    assert not any(fed(joints, 0.04 * np.arange(20) - 1, period_s=0.002))


def test_a_jump_by_a_whole_turn_is_left_to_who_counts_turns(joints):
    assert not any(fed(joints, [3.0, 3.0 - 2 * math.pi, 3.0]))


def test_joints_of_several_messages_are_compared_each_with_its_own(joints):
    """Arm and gripper publish apart."""
    arm, gripper = np.array([0.0, math.nan]), np.array([math.nan, 0.1])
    for i in range(10):
        assert not joints.problem(i * PERIOD_S, arm)
        assert not joints.problem(i * PERIOD_S + 0.001, gripper)
    assert "'slide' jumps" in joints.problem(0.2, np.array([math.nan, 0.39]))


def test_before_limits_are_known_only_what_no_joint_can_have_is_refused():
    joints = PlausibleJoints(("turn", "slide"), ("rad", "m"), PERIOD_S)
    assert not any(fed(joints, [0.0, 100.0, 0.0]))
    assert all(fed(joints, [1e7]))


def test_what_was_forgotten_is_not_compared_with(joints):
    fed(joints, [0.0] * 3)
    joints.forget()
    assert not any(fed(joints, [3.0], begin_s=0.06))
