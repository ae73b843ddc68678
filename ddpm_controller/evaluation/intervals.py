"""How sure a success rate is."""

import math


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
