"""How sure a success rate is."""

import math
from collections.abc import Sequence


def mcnemar(first: Sequence[bool], second: Sequence[bool]) -> float:
    """Return the two-sided p value of the exact McNemar test.

    Source: McNemar 1947, "Note on the sampling error of the difference between correlated
    proportions"; exact by the binomial distribution of the trials on which the two differ.

    Args:
        first: Success of each trial.
        second: Success of the same trials, in the same order.

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


def wilson_interval(successes: int, trials: int, z: float = 1.959964) -> tuple[float, float]:
    """Return the Wilson score interval of a success rate.

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".

    Args:
        successes: Number of successes.
        trials: Number of trials, at least 1.
        z: Normal quantile; the default is for 95 %.

    Raises:
        ValueError: For counts that are not possible.
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes of {trials} trials are not possible")
    rate = successes / trials
    denominator = 1 + z**2 / trials
    centre = (rate + z**2 / (2 * trials)) / denominator
    half = z / denominator * math.sqrt(rate * (1 - rate) / trials + z**2 / (4 * trials**2))
    # At 0 and at all successes the exact bound is 0 and 1; rounding must not step over it.
    return max(0.0, centre - half), min(1.0, centre + half)
