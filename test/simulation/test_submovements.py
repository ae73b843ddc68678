import numpy as np
import pytest

from ddpm_controller.simulation.submovements import Submovements, detour, minimum_jerk


def test_minimum_jerk_has_the_polynomials_values():
    """10 u^3 - 15 u^4 + 6 u^5 at hand-computed places, held outside [0, 1]."""
    assert minimum_jerk(0.25) == pytest.approx(0.103515625)
    assert minimum_jerk(0.5) == pytest.approx(0.5)
    assert (minimum_jerk(-1.0), minimum_jerk(2.0)) == (0.0, 1.0)


def test_a_detour_comes_back_and_is_widest_in_the_middle():
    assert (detour(0.0), detour(0.5), detour(1.0)) == (0.0, 1.0, 0.0)


def test_the_path_ends_at_the_last_target_whatever_came_before():
    path = Submovements(np.array([0.0, 5.0]))
    path.go(np.array([1.0, np.nan]), 0.0, 1.0)
    path.bow(np.array([0.0, 0.3]), 0.0, 1.0)
    path.at(0.4)
    path.go(np.array([-2.0, 6.0]), 0.4, 0.8)
    assert path.end_s == pytest.approx(1.2)
    np.testing.assert_allclose(path.end, [-2.0, 6.0])
    np.testing.assert_allclose(path.at(1.3), [-2.0, 6.0])


def test_a_correction_under_way_changes_neither_place_nor_speed():
    step = 1e-4
    path = Submovements(np.zeros(1))
    path.go(np.ones(1), 0.0, 1.0)
    before = [path.at(time_s)[0] for time_s in (0.5 - 2 * step, 0.5 - step, 0.5)]
    path.go(-np.ones(1), 0.5, 1.0)
    after = [path.at(time_s)[0] for time_s in (0.5, 0.5 + step, 0.5 + 2 * step)]
    assert after[0] == before[-1]
    # Speed is 1.875 there; a jump by the correction's own mean speed would be 2.
    assert (after[1] - after[0]) / step == pytest.approx((before[2] - before[1]) / step, abs=0.01)


def test_a_finished_piece_leaves_no_trace_in_time():
    path = Submovements(np.zeros(1))
    path.go(np.ones(1), 0.0, 1.0)
    values = [path.at(time_s)[0] for time_s in (0.999999, 1.0, 5.0)]
    np.testing.assert_allclose(values, 1.0, atol=1e-12)
    assert path.end_s == -np.inf
