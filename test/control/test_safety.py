import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ddpm_controller.control.safety import JointLimits, limit

LIMITS = JointLimits(np.array([-1.0, 0.0]), np.array([1.0, 0.05]), np.array([2.0, 0.1]))
PERIOD_S = 0.02  # reach 0.04 and 0.002

TABLE = {
    "a reachable wish is the command": ([0.03, 0.001], [0, 0], [0.03, 0.001], ()),
    "a far wish is approached at the velocity limit": (
        [0.5, 0.0],
        [0, 0],
        [0.04, 0.0],
        ("velocity",),
    ),
    "downwards too": ([-0.5, 0.0], [0, 0], [-0.04, 0.0], ("velocity",)),
    "a wish outside stops at the limit": ([0.99, 0.052], [1, 0.05], [0.99, 0.05], ("position",)),
    "outside and far": ([5.0, 0.0], [0.5, 0], [0.54, 0.0], ("position", "velocity")),
    "nan holds": ([np.nan, 0.0], [0.5, 0.01], [0.5, 0.01], ("not_finite",)),
    "infinity holds": ([np.inf, 0.0], [0.5, 0.01], [0.5, 0.01], ("not_finite",)),
}


@pytest.mark.parametrize(("wish", "last", "expected", "reasons"), TABLE.values(), ids=TABLE)
def test_the_command_nearest_to_the_wish_is_sent(wish, last, expected, reasons):
    limited = limit(np.array(wish, float), np.array(last, float), LIMITS, PERIOD_S)
    np.testing.assert_allclose(limited.position, expected, atol=1e-15)
    assert limited.reasons == reasons


@given(
    arrays(np.float64, 2, elements=st.floats(allow_nan=True, allow_infinity=True)),
    st.floats(0, 1),
    st.floats(0, 1),
    st.floats(0, 0.1),
)
def test_whatever_is_wished_the_command_is_finite_inside_and_near(wish, a, b, period_s):
    last = LIMITS.lower + np.array([a, b]) * (LIMITS.upper - LIMITS.lower)
    position = limit(wish, last, LIMITS, period_s).position
    assert np.isfinite(position).all()
    assert (position >= LIMITS.lower).all()
    assert (position <= LIMITS.upper).all()
    # (last + reach) - last is off by one rounding of numbers near 1.
    assert (np.abs(position - last) <= LIMITS.velocity * period_s + 1e-15).all()


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
