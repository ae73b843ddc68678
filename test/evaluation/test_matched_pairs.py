"""The exact McNemar test."""

import pytest
from scipy.stats import binomtest

from ddpm_controller.evaluation.intervals import mcnemar


@pytest.mark.parametrize(("only_first", "only_second"), [(0, 0), (5, 21), (21, 5), (1, 0), (7, 7)])
def test_it_is_the_binomial_test_of_the_trials_that_differ(only_first, only_second):
    first = [True] * only_first + [False] * only_second + [True] * 9 + [False] * 4
    second = [False] * only_first + [True] * only_second + [True] * 9 + [False] * 4
    differ = only_first + only_second
    expected = binomtest(only_first, differ).pvalue if differ else 1.0
    assert mcnemar(first, second) == pytest.approx(expected, rel=1e-12)


def test_trials_that_do_not_match_are_refused():
    with pytest.raises(ValueError, match="got 2 and 1"):
        mcnemar([True, True], [True])
