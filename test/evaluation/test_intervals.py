"""The interval against published and hand-computed values."""

import pytest

from ddpm_controller.evaluation.intervals import wilson_interval


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (18, 25, 0.524, 0.857),
        (20, 25, 0.609, 0.911),
        (23, 25, 0.750, 0.978),
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (81, 263, 0.2553, 0.3662),  # Newcombe 1998, table I, method 3
    ],
)
def test_interval_equals_published_values(successes, trials, low, high):
    assert wilson_interval(successes, trials) == pytest.approx((low, high), abs=6e-4)


@pytest.mark.parametrize(("successes", "trials"), [(1, 0), (-1, 5), (6, 5)])
def test_impossible_counts_are_refused_with_the_counts(successes, trials):
    with pytest.raises(ValueError, match=f"{successes} successes of {trials}"):
        wilson_interval(successes, trials)
