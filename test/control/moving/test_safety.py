import numpy as np
import pytest

from ddpm_controller.control.moving.safety import JointLimits

LIMITS = JointLimits(np.array([-1.0, 0.0]), np.array([1.0, 0.05]), np.array([2.0, 0.1]))

REFUSED = {
    "different lengths": ([0, 0], [1], [1, 1], "one length"),
    "not a number": ([0, np.nan], [1, 1], [1, 1], "NaN"),
    "lower above upper": ([0, 2], [1, 1], [1, 1], "below upper"),
    "no velocity": ([0, 0], [1, 1], [1, 0], "above 0"),
}


@pytest.mark.parametrize(("lower", "upper", "velocity", "text"), REFUSED.values(), ids=REFUSED)
def test_limits_that_limit_nothing_are_refused(lower, upper, velocity, text):
    with pytest.raises(ValueError, match=text):
        JointLimits(np.array(lower, float), np.array(upper, float), np.array(velocity, float))


def test_violations_name_joint_value_and_range():
    text = LIMITS.violations(np.array([0.0, 0.06]), ("arm", "gripper"))
    assert text == "gripper at 0.0600 outside [0.0000, 0.0500]"


def test_stricter_limits_are_named_with_both_values_and_wider_ones_are_not():
    lower, upper = np.array([-0.5, -1.0]), np.array([1.0, 0.04])
    after = JointLimits(lower, upper, np.array([2.0, 0.05]), np.array([90.0, 4.0]))
    text = LIMITS.stricter_in(after, ("arm", "gripper"))
    assert text == "arm lower -1 -> -0.5, gripper upper 0.05 -> 0.04, gripper velocity 0.1 -> 0.05"
    assert LIMITS.stricter_in(LIMITS, ("arm", "gripper")) == ""


def test_acceleration_and_jerk_are_derived_from_the_velocity_where_nobody_gives_them():
    np.testing.assert_allclose(LIMITS.acceleration, [80.0, 4.0])  # in 0.025 s
    np.testing.assert_allclose(LIMITS.jerk, [4000.0, 200.0])  # in 0.02 s
    some = JointLimits(
        LIMITS.lower, LIMITS.upper, LIMITS.velocity, np.array([np.inf, 1.0]), np.full(2, np.inf)
    )
    np.testing.assert_allclose(some.acceleration, [80.0, 1.0])
    np.testing.assert_allclose(some.jerk, [4000.0, 50.0])


@pytest.mark.parametrize(
    ("acceleration", "jerk", "text"),
    [([1, 0], [1, 1], "acceleration limits .*above 0"), ([1, 1], [1, -2], "jerk limits .*-2")],
)
def test_accelerations_and_jerks_that_allow_no_motion_are_refused(acceleration, jerk, text):
    with pytest.raises(ValueError, match=text):
        JointLimits(
            LIMITS.lower,
            LIMITS.upper,
            LIMITS.velocity,
            np.array(acceleration, float),
            np.array(jerk, float),
        )
