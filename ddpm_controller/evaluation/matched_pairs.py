"""Whether one of two policies succeeds more often on the same trials."""

import math
from collections.abc import Sequence


def mcnemar(first: Sequence[bool], second: Sequence[bool]) -> float:
    """Return the two-sided p value of the exact McNemar test.

    Source: McNemar 1947, "Note on the sampling error of the difference between correlated
    proportions"; exact by the binomial distribution of the trials on which the two differ.

    Args:
        first: Success of each trial.
        second: Of the same trials, in the same order.

    Raises:
        ValueError: If the trials are not as many.
    """
    if len(first) != len(second):
        raise ValueError(f"matched trials must be as many, got {len(first)} and {len(second)}")
    only_first = sum(a and not b for a, b in zip(first, second, strict=True))
    only_second = sum(b and not a for a, b in zip(first, second, strict=True))
    differ, fewer = only_first + only_second, min(only_first, only_second)
    tail = sum(math.comb(differ, k) for k in range(fewer + 1)) / 2**differ
    return min(1.0, 2 * tail)
