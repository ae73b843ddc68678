import numpy as np
import pytest
from scipy.interpolate import InterpolatedUnivariateSpline

from ddpm_controller.planners.splines import spline_matrix


@pytest.mark.parametrize("degree", [1, 2, 3])
@pytest.mark.parametrize("count", [4, 5, 7])
def test_splines_are_those_of_scipy(degree, count):
    knots, places = np.linspace(0.0, 15.0, count), np.arange(16.0)
    values = np.random.default_rng(count).standard_normal(count)
    expected = InterpolatedUnivariateSpline(knots, values, k=degree)(places)
    found = spline_matrix(knots, places, degree) @ values
    np.testing.assert_allclose(found, expected, atol=1e-12)  # rounding of a solve


def test_every_spline_keeps_a_constant_and_goes_through_its_knots():
    knots = np.linspace(0.0, 12.0, 5)
    for degree in range(4):
        np.testing.assert_allclose(
            spline_matrix(knots, np.arange(13.0), degree).sum(axis=1), 1.0, atol=1e-12
        )
        np.testing.assert_allclose(spline_matrix(knots, knots, degree), np.eye(5), atol=1e-12)


def test_degree_0_holds_a_knot_until_the_next():
    found = spline_matrix(np.array([0.0, 3.0, 6.0]), np.arange(7.0), 0).argmax(axis=1)
    assert found.tolist() == [0, 0, 0, 1, 1, 1, 2]


def test_too_few_knots_are_refused():
    with pytest.raises(ValueError, match="degree 3 needs at least 4 knots, got 3"):
        spline_matrix(np.arange(3.0), np.arange(3.0), 3)
