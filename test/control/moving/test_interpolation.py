from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ddpm_controller.control.moving.interpolation import (
    ChunkCurve,
    FadingOffset,
    Motion,
    Quintic,
    Stop,
    fade_peaks,
    monotone_slopes,
)
from ddpm_controller.types import ActionChunk

ROWS = arrays(np.float64, st.tuples(st.integers(1, 9), st.just(2)), elements=st.floats(-3, 3))
START_S, PERIOD_S = 5.0, 0.1


def curve(rows, stop_s=0.2):
    rows = np.asarray(rows, dtype=np.float64)
    return ChunkCurve(ActionChunk(START_S, PERIOD_S, ("a", "b")[: rows.shape[1]], rows), stop_s)


def velocity_by_difference(at, now_s, step_s=1e-6):
    return (at(now_s + step_s).position - at(now_s - step_s).position) / (2 * step_s)


def acceleration_by_difference(at, now_s, step_s=1e-6):
    return (at(now_s + step_s).velocity - at(now_s - step_s).velocity) / (2 * step_s)


@given(ROWS)
def test_the_curve_passes_through_every_row_at_its_moment(rows):
    at = curve(rows).at
    for i, row in enumerate(rows):
        np.testing.assert_allclose(at(START_S + i * PERIOD_S).position, row, atol=1e-9)


@given(ROWS, st.floats(0, 1))
def test_between_two_rows_the_curve_stays_between_them(rows, share):
    at = curve(rows).at
    for i, (before, after) in enumerate(pairwise(rows)):
        position = at(START_S + (i + share) * PERIOD_S).position
        assert (position >= np.minimum(before, after) - 1e-9).all()
        assert (position <= np.maximum(before, after) + 1e-9).all()


@given(ROWS)
def test_neither_velocity_nor_acceleration_jumps_at_a_row(rows):
    at = curve(rows).at
    for i in range(1, len(rows)):
        moment_s = START_S + i * PERIOD_S
        before, after = at(moment_s - 1e-9), at(moment_s + 1e-9)
        # Rows 6 apart: accelerations below 10 * 6 / 0.1^2 and jerks below 100 * 6 / 0.1^3.
        np.testing.assert_allclose(before.velocity, after.velocity, atol=6e3 * 2e-9)
        if i < len(rows) - 1:  # behind the last row it is a stop that begins
            np.testing.assert_allclose(before.acceleration, after.acceleration, atol=6e5 * 2e-9)


def test_a_wave_is_followed_with_its_acceleration():
    """A sine of 2 s in rows of 0.1 s: what a cubic cannot do."""
    moments_s = START_S + PERIOD_S * np.arange(21)
    at = curve(np.sin(np.pi * moments_s)[:, None]).at
    for now_s in np.arange(5.2, 6.8, 0.013):
        wave = np.sin(np.pi * now_s)
        # Differences of rows are off by (pi 0.1)^2 / 6 = 2 %; near the turns the slopes are cut
        # to no overshoot, which bends the curve there.
        assert at(now_s).position[0] == pytest.approx(wave, abs=0.01)
    far = [now_s for now_s in np.arange(5.2, 6.8, 0.013) if abs(np.cos(np.pi * now_s)) > 0.7]
    for now_s in far:
        wave = -(np.pi**2) * np.sin(np.pi * now_s)
        assert at(now_s).acceleration[0] == pytest.approx(wave, abs=0.4 * np.pi**2)


@pytest.mark.parametrize("now_s", [5.03, 5.11, 5.249, 5.35, 5.47])
def test_the_velocity_is_the_derivative_of_the_position(now_s):
    at = curve([[0.0, 1.0], [0.3, 0.4], [0.5, 0.4], [0.1, -0.2]]).at
    np.testing.assert_allclose(at(now_s).velocity, velocity_by_difference(at, now_s), atol=1e-5)
    np.testing.assert_allclose(
        at(now_s).acceleration, acceleration_by_difference(at, now_s), atol=1e-3
    )


def test_rows_on_a_line_give_the_line():
    at = curve(np.outer(np.arange(5), [1.0, -2.0])).at
    np.testing.assert_allclose(at(5.234).position, [2.34, -4.68])
    np.testing.assert_allclose(at(5.234).velocity, [10.0, -20.0])


def test_inner_slopes_are_central_differences_where_that_overshoots_nothing():
    rows = np.array([[0.0], [1.0], [3.0], [2.0], [2.1], [9.0]])
    # (3 - 0) / 2 is cut to 1.25 * 1; turning points are 0; (9 - 2) / 2 is cut to 1.25 * 0.1.
    np.testing.assert_allclose(monotone_slopes(rows)[:, 0], [1.0, 1.25, 0.0, 0.0, 0.125, 6.9])


def test_before_its_first_row_a_chunk_rests_there():
    motion = curve([[1.0, 2.0], [3.0, 4.0]]).at(4.0)
    np.testing.assert_array_equal(motion.position, [1.0, 2.0])
    np.testing.assert_array_equal(motion.velocity, [0.0, 0.0])


def test_behind_its_last_row_a_chunk_comes_to_a_stop():
    at = curve([[0.0], [0.1]], stop_s=0.4).at
    np.testing.assert_allclose(at(5.1).velocity, [1.0])
    np.testing.assert_allclose(at(5.3).velocity, [0.5])
    # The mean speed of a stop is half of that at its beginning: 0.1 + 1 / 2 * 0.4.
    np.testing.assert_allclose(at(9.0).position, [0.3])
    np.testing.assert_array_equal(at(9.0).velocity, [0.0])


def test_a_chunk_of_one_row_is_held():
    at = curve([[0.7, -0.7]]).at
    for now_s in (4.0, 5.0, 6.0):
        np.testing.assert_array_equal(at(now_s).position, [0.7, -0.7])
        np.testing.assert_array_equal(at(now_s).velocity, [0.0, 0.0])


BEGIN = Motion(np.array([0.4, -0.2]), np.array([1.0, 2.0]), np.array([-3.0, 5.0]))


@pytest.mark.parametrize("curve_that_ends", [Stop(5.0, BEGIN, 0.3), FadingOffset(5.0, BEGIN, 0.3)])
def test_stop_and_offset_begin_with_the_motion_given_and_move_as_their_velocity_says(
    curve_that_ends,
):
    begin, at = BEGIN, curve_that_ends.at
    np.testing.assert_allclose(at(5.0).position, begin.position)
    np.testing.assert_allclose(at(5.0).velocity, begin.velocity)
    np.testing.assert_allclose(at(5.0).acceleration, begin.acceleration)
    for now_s in (5.1, 5.2, 5.29):
        np.testing.assert_allclose(
            at(now_s).acceleration, acceleration_by_difference(at, now_s), atol=1e-4
        )
        np.testing.assert_allclose(
            at(now_s).velocity, velocity_by_difference(at, now_s), atol=1e-6
        )
    np.testing.assert_allclose(at(5.3).velocity, 0.0, atol=1e-9)
    np.testing.assert_allclose(at(5.3).acceleration, 0.0, atol=1e-9)


def test_an_offset_is_gone_after_its_time():
    offset = FadingOffset(5.0, BEGIN, 0.3)
    assert (offset.at(5.29).position != 0).all()
    for now_s in (5.3 + 1e-9, 8.0):
        motion = offset.at(now_s)
        for value in (motion.position, motion.velocity, motion.acceleration):
            np.testing.assert_array_equal(value, [0.0, 0.0])


@pytest.mark.parametrize("begin", [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)])
def test_the_peaks_of_a_fade_are_not_above_the_bounds(begin):
    motion = Motion(*(np.array([value]) for value in begin))
    fade = Quintic(motion, Motion.rest(np.zeros(1)), 0.7)
    motions = [fade.at(passed_s) for passed_s in np.linspace(0, 0.7, 2001)]
    velocity, acceleration, jerk = fade_peaks(motion, 0.7)
    accelerations = np.array([each.acceleration[0] for each in motions])
    jerks = np.diff(accelerations) / (0.7 / 2000)
    # What is there at the beginning is not counted; a difference is a mean, so never above.
    assert (
        max(abs(m.velocity[0]) for m in motions) <= velocity[0] + abs(begin[1]) + 0.07 * begin[2]
    )
    assert np.abs(accelerations).max() <= acceleration[0] + abs(begin[2])
    assert np.abs(jerks).max() <= jerk[0] * (1 + 1e-9)
    assert np.abs(jerks).max() >= 0.98 * jerk[0]
