import numpy as np
import pytest

from ddpm_controller.planners.warm_start import Timeline

PAST, LAST = 10, 18


def timeline(rows=None, stamp_s=5.0):
    rows = np.arange(26.0)[:, None] * np.array([1.0, -1.0]) if rows is None else rows
    return Timeline(rows, PAST, LAST, stamp_s)


def test_a_plan_is_shifted_by_the_time_that_has_passed_and_holds_its_last_action():
    found = timeline().at(5.06, 0.02, 0.0)
    np.testing.assert_allclose(found[:, 0], np.minimum(np.arange(26) + 3, LAST))
    between = timeline().at(5.03, 0.02, 0.0)
    np.testing.assert_allclose(between[:, 0], np.minimum(np.arange(26) + 1.5, LAST))
    np.testing.assert_array_equal(timeline().at(5.0, 0.02, 0.0)[: LAST + 1], timeline().rows[:19])


@pytest.mark.parametrize("passed", [0.02, 0.05])
def test_a_periodic_plan_goes_on_as_a_period_before(passed):
    """A wave of its period continues as that wave, whatever the time that has passed."""
    angle = 2 * np.pi * np.arange(26) / 6
    rows = np.stack([np.sin(angle), np.cos(angle)], axis=1)
    found = timeline(rows).at(5.0 + passed, 0.02, 6.0)
    later = 2 * np.pi * (np.arange(26) + passed / 0.02) / 6
    # Between two rows it is linear.
    tolerance = 1e-9 if passed == 0.02 else 0.15
    np.testing.assert_allclose(found, np.stack([np.sin(later), np.cos(later)], 1), atol=tolerance)


def test_a_constant_plan_stays_constant():
    rows = np.full((26, 2), 0.3)
    for period in (0.0, 6.5):
        np.testing.assert_allclose(timeline(rows).at(5.034, 0.02, period), rows)


def test_the_last_row_of_a_plan_is_still_one_whatever_the_rounding():
    assert timeline(stamp_s=2.0).at(2.0 + 8 * 0.02 + 1e-12, 0.02, 0.0)[PAST, 0] == LAST


@pytest.mark.parametrize("now_s", [4.9, 5.18, 100.0])
def test_from_the_future_or_over_there_is_no_plan(now_s):
    assert timeline().at(now_s, 0.02, 6.0) is None
    assert timeline(stamp_s=np.nan).at(5.0, 0.02, 6.0) is None
