"""What passes at once is what the long way sends too, bit for bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ddpm_controller.control.moving.certificate import Certificate
from ddpm_controller.control.moving.governor import SHARE, Governor
from ddpm_controller.control.moving.interpolation import ChunkCurve, Motion
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.control.moving.step_limit import Bounds
from ddpm_controller.types import ActionChunk

LIMITS = JointLimits(
    np.array([-1.0, -np.inf]),
    np.array([1.0, np.inf]),
    np.array([2.0, 0.5]),
    np.array([10.0, 4.0]),
    np.array([2000.0, 500.0]),
)
PERIOD_S = 0.01
SINES = 0.2 * np.sin(np.linspace(-1.2, 1.2, 14))[:, None] * [1.0, 0.2]
CERTIFICATE = Certificate(LIMITS.scaled(SHARE))


def motion(*rows):
    return Motion(*(np.array(row, dtype=float) for row in rows))


def long_way(limits, period_s):
    governor = Governor(limits, period_s)
    governor._certificate.holds = lambda *arguments: False
    return governor


def same(one, other):
    rows = zip(vars(one.motion).values(), vars(other.motion).values(), strict=True)
    return all(np.array_equal(a, b) for a, b in rows) and one.step_s == other.step_s


def test_a_smooth_chunk_passes_between_its_rows_and_nothing_is_limited():
    curve = ChunkCurve(ActionChunk(0.0, 0.1, ("a", "b"), SINES), 0.2)
    moments_s = np.arange(0.11, 1.29, PERIOD_S)
    governor, passed = Governor(LIMITS, PERIOD_S), 0
    for now_s in moments_s:
        last, wish = curve.at(now_s), curve.at(now_s + PERIOD_S)
        passed += CERTIFICATE.holds(last, wish, PERIOD_S, None)
        found = governor.step(last, wish, PERIOD_S)
        assert found.reasons == ()
        assert found.motion.position.tobytes() == wish.position.tobytes()
    assert passed > 0.8 * len(moments_s)


REST = motion([0.2, 3.0], [0, 0], [0, 0])
BEYOND = {
    "a step": motion([0.2001, 3.0], [0, 0], [0, 0]),
    "a jerk": motion([0.2, 3.0], [0, 0], [5.0, 0]),
    "outside": motion([1.2, 3.0], [0, 0], [0, 0]),
    "not a number": motion([np.nan, 3.0], [0, 0], [0, 0]),
    "infinite": motion([0.2, 3.0], [np.inf, 0], [0, 0]),
    "huge": motion([1e308, 3.0], [1e308, 0], [1e308, 0]),
}


def test_a_rest_passes():
    assert CERTIFICATE.holds(REST, REST, PERIOD_S, None)


@pytest.mark.parametrize("wish", BEYOND.values(), ids=BEYOND)
def test_what_is_beyond_a_limit_does_not_pass(wish):
    assert not CERTIFICATE.holds(REST, wish, PERIOD_S, None)


@pytest.mark.parametrize(("speed", "passes"), [(0.5, True), (2.5, False)])
def test_a_steady_motion_passes_within_the_velocity_limit_alone(speed, passes):
    last = motion([-0.5, 3.0], [speed, 0], [0, 0])
    wish = motion([-0.5 + speed * PERIOD_S, 3.0], [speed, 0], [0, 0])
    assert CERTIFICATE.holds(last, wish, PERIOD_S, None) == passes


@pytest.mark.parametrize(("place", "passes"), [(0.0, True), (0.95, False)])
def test_a_motion_that_could_not_be_stopped_inside_does_not_pass(place, passes):
    last = motion([place, 3.0], [1.0, 0], [0, 0])
    wish = motion([place + PERIOD_S, 3.0], [1.0, 0], [0, 0])
    assert CERTIFICATE.holds(last, wish, PERIOD_S, None) == passes


@pytest.mark.parametrize(("upper", "passes"), [(0.6, True), (0.01, False)])
def test_bounds_that_are_narrower_count(upper, passes):
    bounds = Bounds(np.array([-1.0, 2.0]), np.array([upper, 4.0]))
    last = motion([0.0, 3.0], [0.5, 0], [0, 0])
    wish = motion([0.5 * PERIOD_S, 3.0], [0.5, 0], [0, 0])
    assert CERTIFICATE.holds(last, wish, PERIOD_S, bounds) == passes


SHARES = st.lists(st.floats(-1.0, 1.0), min_size=6, max_size=6)


@settings(max_examples=25)
@given(
    jerks=st.lists(SHARES, min_size=2, max_size=4),
    period_s=st.sampled_from([0.02, 0.01, 0.002]),
    late=st.sampled_from([0.5, 1.0, 1.0 + 1e-5, 1.2]),
    harder=st.floats(0.1, 10.0),
    at=st.sampled_from([0.0, 0.9, 40.0]),
)
def test_the_long_way_sends_the_same_bits(jerks, period_s, late, harder, at):
    """Along motions of any jerk up to the limit and a little beyond."""
    limits = JointLimits(
        np.array([-1.0, -1e3]),
        np.array([1.0, 1e3]),
        LIMITS.velocity,
        harder * LIMITS.acceleration,
        harder * LIMITS.jerk,
    )
    short, long = Governor(limits, period_s), long_way(limits, period_s)
    last = motion([min(at, 0.9), at], [0, 0], [0, 0])
    for row in jerks:
        passed_s = late * period_s
        j0, j1, j2 = (limits.jerk * np.array(row[k : k + 2]) for k in (0, 2, 4))
        # A jerk that is a quadratic in time, so that the motion is a quintic.
        a, v, p, s = last.acceleration, last.velocity, last.position, passed_s
        wish = Motion(
            p + v * s + a * s**2 / 2 + j0 * s**3 / 6 + j1 * s**3 / 24 + j2 * s**3 / 60,
            v + a * s + j0 * s**2 / 2 + j1 * s**2 / 6 + j2 * s**2 / 12,
            a + j0 * s + j1 * s / 2 + j2 * s / 3,
        )
        found, other = short.step(last, wish, passed_s), long.step(last, wish, passed_s)
        assert same(found, other)
        last = found.motion
