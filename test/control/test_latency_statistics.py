import math

import pytest

from ddpm_controller.ros.controller.status import LatencyStatistics


def test_percentiles_are_those_of_the_last_latencies():
    statistics = LatencyStatistics(num_kept=101)
    for k in range(500):
        statistics.add(9.0 if k < 399 else (k - 399) / 1000)
    assert statistics.median_s == pytest.approx(0.050)
    assert statistics.p95_s == pytest.approx(0.095)
    assert statistics.count == 500
    assert statistics.max_s == 9.0  # since the beginning
    assert statistics.figures.text == "50 ms in the median, 95 % within 95 ms (101 plans)"


def test_before_the_first_plan_nothing_is_known_and_nan_does_not_count():
    statistics = LatencyStatistics()
    statistics.add(math.nan)
    assert math.isnan(statistics.median_s)
    assert math.isnan(statistics.p95_s)
    assert math.isnan(statistics.max_s)
    assert (statistics.count, statistics.figures.text) == (0, "no plan yet")


def test_keeping_nothing_is_refused():
    with pytest.raises(ValueError, match="num_kept must be at least 1, got 0"):
        LatencyStatistics(0)
