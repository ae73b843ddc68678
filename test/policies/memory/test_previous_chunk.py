import numpy as np
import pytest

from ddpm_controller.policies.memory.previous_chunk import (
    expected_scale,
    previous_chunk,
    remembered,
)
from ddpm_controller.policy import deviation

ROWS = np.stack([np.arange(6.0), 10.0 * np.arange(6.0)], axis=1)
COUNTS = np.array([3, 3, 3, 2, 1, 1])


def moved(start_s):
    return previous_chunk(remembered(ROWS, 2.0, 5, COUNTS, -ROWS), start_s, 0.1)


def test_a_chunk_moves_by_whole_rows_and_holds_its_last_one():
    chunk = moved(2.2)
    np.testing.assert_array_equal(chunk.rows[:, 0], [2, 3, 4, 5, 5, 5])
    np.testing.assert_array_equal(chunk.rows[:, 1], [20, 30, 40, 50, 50, 50])
    np.testing.assert_array_equal(chunk.followed, -chunk.rows)
    assert chunk.age_s == pytest.approx(0.2)
    assert (chunk.covered, chunk.sent) == (4, 3)
    assert chunk.counts.tolist() == [3, 2, 1, 1, 0, 0]


def test_between_two_rows_it_is_interpolated():
    chunk = moved(2.225)
    np.testing.assert_allclose(chunk.rows[:, 0], [2.25, 3.25, 4.25, 5, 5, 5])
    assert (chunk.covered, chunk.sent) == (3, 2)  # nothing is known behind the last row
    assert chunk.counts.tolist() == [3, 2, 1, 0, 0, 0]


def test_the_same_moment_is_the_same_chunk_whatever_the_sums_of_periods():
    start_s = sum([0.1] * 3, 2.0)  # 2.3000000000000003
    assert start_s != 2.3
    np.testing.assert_array_equal(moved(start_s).rows, moved(2.3).rows)
    np.testing.assert_array_equal(moved(2.0).rows, ROWS)


def test_there_is_none_before_the_first_after_the_end_and_from_the_future():
    assert previous_chunk({"seed": np.array(0)}, 2.0, 0.1) is None
    assert (moved(2.5).covered, moved(2.5).sent) == (1, 0)
    assert moved(2.51) is None
    assert moved(1.9) is None


def test_the_largest_departure_counts_in_its_own_unit():
    measured, expected = np.array([1.0, 2.0]), np.array([0.9, 2.3])
    for scale, units in (([0.1, 0.1], 3.0), ([0.01, 0.1], 10.0)):
        assert deviation(measured, expected, expected, np.array(scale)) == pytest.approx(units)


def test_between_two_expectations_nothing_is_a_surprise():
    one, other, scale = np.array([0.0, 5.0]), np.array([1.0, 4.0]), np.ones(2)
    assert deviation(np.array([0.5, 4.5]), one, other, scale) == 0.0
    assert deviation(np.array([1.2, 4.5]), one, other, scale) == pytest.approx(0.2)
    assert deviation(np.array([0.5, 3.7]), other, one, scale) == pytest.approx(0.3)


def test_the_unit_of_surprise_is_the_root_mean_square_of_a_recording():
    measured = np.array([[0.0, 1.0], [0.0, 1.0]])
    commanded = np.array([[3.0, 1.1], [-4.0, 0.9]])
    np.testing.assert_allclose(expected_scale(measured, commanded), [12.5**0.5, 0.1])
    with pytest.raises(ValueError, match=r"must be above 0, got \[0.0, 0.0\]: give one by hand"):
        expected_scale(measured, measured)
    with pytest.raises(ValueError, match=r"must be alike, got \(2, 2\) and \(1, 2\)"):
        expected_scale(measured, commanded[:1])
