import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddpm_controller.control.moving.braking import Braking, stoppable_speed
from ddpm_controller.control.moving.interpolation import Motion

LIMIT, JERK = np.array([2.0]), np.array([5.0])

BEGINS = {
    "at rest": (0.0, 0.0),
    "slow": (0.1, 0.0),
    "fast": (3.0, 0.0),
    "backwards": (-3.0, 0.0),
    "still accelerating": (3.0, 2.0),
    "braking already": (1.0, -1.5),
    "braking too hard": (0.1, -2.0),
    "turning round": (-0.1, 2.0),
}


def braking(velocity, acceleration):
    begin = Motion(np.zeros(1), np.array([velocity]), np.array([acceleration]))
    return Braking.of(begin, LIMIT, JERK)


@pytest.mark.parametrize(("velocity", "acceleration"), BEGINS.values(), ids=BEGINS)
def test_a_stop_begins_with_the_motion_and_is_at_rest_at_its_end(velocity, acceleration):
    stop = braking(velocity, acceleration)
    assert stop.at(0.0).position == 0
    assert stop.at(0.0).velocity == (velocity if stop.duration > 0 else 0)
    before = stop.at(float(stop.duration[0]) * (1 - 1e-9))
    # Rounding of sums of numbers below 10, and the last billionth of the time.
    np.testing.assert_allclose(before.velocity, 0, atol=1e-7)
    np.testing.assert_allclose(before.acceleration, 0, atol=1e-7)
    after = stop.at(float(stop.duration[0]) + 1.0)
    assert (after.velocity, after.acceleration) == (0.0, 0.0)
    np.testing.assert_allclose(after.position, before.position, atol=1e-7)


@given(st.floats(-4, 4), st.floats(-2, 2))
def test_the_stop_stays_within_its_limits_and_its_extent_is_what_it_does(velocity, acceleration):
    stop = braking(velocity, acceleration)
    moments = np.linspace(0, float(stop.duration[0]), 100)
    motions = [stop.at(moment) for moment in moments]
    position, speed, pull = (
        np.array([getattr(m, name)[0] for m in motions])
        for name in ("position", "velocity", "acceleration")
    )
    lowest, highest, fastest = (each[0] for each in stop.extent())
    assert np.abs(pull).max() <= 2 + 1e-9
    step = moments[1]
    assert (np.abs(np.diff(pull)) <= 5 * step + 1e-9).all()
    # Between two of the 100 moments the position moves by less than this.
    off = np.abs(speed).max() * step + 1e-9
    assert lowest - 1e-9 <= position.min() <= lowest + off
    assert highest - off <= position.max() <= highest + 1e-9
    assert fastest >= np.abs(speed).max() - 1e-9
    assert (
        fastest <= np.abs(speed).max() + 2 * step + max(0.0, 1e-9) or velocity * acceleration < 0
    )


@pytest.mark.parametrize(("velocity", "seconds"), [(0.8, 0.8), (3.0, 1.9)])
def test_a_stop_takes_what_the_limits_say(velocity, seconds):
    # The peak is just reached from A^2 / J = 0.8 on, 2 A / J; then v / A + A / J.
    assert braking(velocity, 0.0).duration == pytest.approx(seconds)


@pytest.mark.parametrize("distance", [0.0, 1e-6, 0.1, 0.32, 0.5, 7.0])
def test_the_stoppable_speed_stops_just_there(distance):
    speed = stoppable_speed(np.array([distance]), LIMIT, JERK)
    end = braking(float(speed[0]), 0.0).at(np.inf).position
    np.testing.assert_allclose(end, distance, rtol=1e-9, atol=1e-12)


def test_without_a_position_limit_any_speed_can_be_stopped():
    assert np.isinf(stoppable_speed(np.array([np.inf]), LIMIT, JERK)).all()
