"""The motion that a calibration asks for."""

import numpy as np
import pytest

from ddpm_controller.control.moving.governor import Governor
from ddpm_controller.control.moving.interpolation import Motion
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.identification.excitation import Excitation, ExcitationError, safe_amplitude

LIMITS = JointLimits(np.array([-1.0, -2.0]), np.array([1.0, 2.0]), np.array([1.5, 3.0]))
CENTRE = np.array([0.3, -0.4])
MOTION = Excitation(CENTRE, 1, 0.05)


def test_it_begins_and_ends_at_rest_where_the_joints_are():
    for passed_s in (-1.0, 0.0, MOTION.duration_s, 99.0):
        motion = MOTION.at(passed_s)
        np.testing.assert_allclose(motion.position, CENTRE, atol=1e-12)
        np.testing.assert_allclose(motion.velocity, 0, atol=1e-12)
        np.testing.assert_allclose(motion.acceleration, 0, atol=1e-12)


def test_one_joint_moves_to_both_sides_by_the_amplitude_and_the_other_stays():
    rows = np.array([MOTION.at(s).position for s in np.arange(0, 6, 0.01)])
    np.testing.assert_array_equal(rows[:, 0], CENTRE[0])
    assert rows[:, 1].max() - CENTRE[1] == pytest.approx(0.05, rel=1e-3)
    assert rows[:, 1].min() - CENTRE[1] == pytest.approx(-0.05, rel=1e-3)


def test_velocity_and_acceleration_are_the_derivatives():
    h = 1e-4
    for s in np.arange(0.05, 5.95, 0.113):
        before, at, after = (MOTION.at(s + k * h) for k in (-1, 0, 1))
        np.testing.assert_allclose(
            at.velocity, (after.position - before.position) / (2 * h), atol=1e-6
        )
        np.testing.assert_allclose(
            at.acceleration, (after.velocity - before.velocity) / (2 * h), atol=1e-4
        )


def test_the_governor_lets_all_of_it_pass():
    amplitude = safe_amplitude(0.05, CENTRE, 1, "elbow", LIMITS, 2.0)
    motion, governor = Excitation(CENTRE, 1, amplitude), Governor(LIMITS, 0.02)
    last = Motion.rest(CENTRE)
    for k in range(1, 310):
        limited = governor.step(last, motion.at(0.02 * k), 0.02)
        assert limited.reasons == ()
        last = limited.motion


def test_near_a_limit_or_with_a_slow_joint_it_is_smaller():
    assert safe_amplitude(0.05, CENTRE, 0, "shoulder", LIMITS, 2.0) == 0.05
    near = np.array([0.98, 0.0])
    assert safe_amplitude(0.05, near, 0, "shoulder", LIMITS, 2.0) == pytest.approx(0.018)
    # 20 % of 1.5 rad/s at pi rad/s is 0.0955 rad.
    assert safe_amplitude(0.2, CENTRE, 0, "shoulder", LIMITS, 2.0) == pytest.approx(0.3 / np.pi)


def test_too_near_a_limit_is_refused_with_the_values_and_a_remedy():
    with pytest.raises(ExcitationError, match=r"shoulder at 0.9950 is 0.0050 .* move it away"):
        safe_amplitude(0.05, np.array([0.995, 0.0]), 0, "shoulder", LIMITS, 2.0)


def test_a_motion_that_is_none_is_refused():
    with pytest.raises(ValueError, match=r"above 0 and num_periods at least 1, got 0.0, 0.05"):
        Excitation(CENTRE, 0, 0.05, period_s=0.0)
