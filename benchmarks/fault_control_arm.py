"""Faults that must change nothing, against nothing that was injected as often.

On a busy machine a plan is late now and then, whatever is injected: a stop alone does not say
that a fault has an effect. So the stops under a fault are compared with those under `nothing`,
and each command with what the chunks in force make of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb
from typing import Protocol

import numpy as np
from rich.table import Table

NOTHING = "nothing"
HARMLESS = ("reordered joints", "burst of 10 000 messages")
"""Drivers list joints in any order, and a burst is old news: neither may be noticed."""
EXPLAINED = 1e-9
"""So exactly, in rad or m, a command is what its chunks make of it."""
_LEVEL = 0.05


class Seen(Protocol):
    """What is looked at of one injection; see ``fault_campaign.Outcome``."""

    reasons: Sequence[str]
    unexplained: float
    departure: float


@dataclass(frozen=True)
class Comparison:
    """A fault against nothing.

    Attributes:
        name: Of the fault.
        count: Injections that were compared.
        stops: Of these, how many a stop came after.
        late: Of the stops, those that were told as a late plan.
        stops_with_nothing: For comparison.
        count_with_nothing: Likewise.
        chance: Probability of so many more stops, were there no effect (one-sided, Fisher 1922).
        unexplained: Largest departure of a command from its chunks, rad or m; NaN: no chunk.
        departure_s: Median departure of a new chunk from the robot, s at the velocity limit.
        departure_chance: Probability of so much more, were there no effect (one-sided rank sum).
    """

    name: str
    count: int
    stops: int
    late: int
    stops_with_nothing: int
    count_with_nothing: int
    chance: float
    unexplained: float
    departure_s: float
    departure_chance: float

    @property
    def verdict(self) -> str:
        """In words."""
        if self.unexplained > EXPLAINED:
            return f"commands that no chunk explains: {self.unexplained:.1e}"
        if self.late < self.stops:
            return "stops for another reason than a late plan"
        if self.chance < _LEVEL:
            return "plans come late more often than with nothing"
        if self.departure_chance < _LEVEL:
            return "chunks lead further away than with nothing"
        return "nothing changed"


def compared(name: str, seen: Sequence[Seen], nothing: Sequence[Seen]) -> Comparison:
    """Compare a fault with nothing; both must have been injected at least once."""
    stops, stops_with_nothing = ([each for each in arm if each.reasons] for arm in (seen, nothing))
    departures, usual = (_finite([each.departure for each in arm]) for arm in (seen, nothing))
    unexplained = _finite([each.unexplained for each in seen])
    return Comparison(
        name,
        len(seen),
        len(stops),
        sum(each.reasons[0] == "PLAN_LATE" for each in stops),
        len(stops_with_nothing),
        len(nothing),
        more_chance(len(stops), len(seen), len(stops_with_nothing), len(nothing)),
        float(unexplained.max()) if len(unexplained) else np.nan,
        float(np.median(departures)) if len(departures) else np.nan,
        _larger_chance(departures, usual),
    )


def more_chance(stops: int, count: int, others: int, num_others: int) -> float:
    """Return how probable as many stops or more are, when all stops are dealt out blindly."""
    total = stops + others
    ways = sum(
        comb(count, k) * comb(num_others, total - k) for k in range(stops, min(count, total) + 1)
    )
    return ways / comb(count + num_others, total)


def _larger_chance(values: np.ndarray, usual: np.ndarray) -> float:
    if not len(values) or not len(usual):
        return 1.0
    from scipy.stats import mannwhitneyu

    return float(mannwhitneyu(values, usual, alternative="greater").pvalue)


def _finite(values: list[float]) -> np.ndarray:
    numbers = np.array(values)
    return numbers[np.isfinite(numbers)]


def comparison_table(comparisons: Sequence[Comparison]) -> Table:
    """Return the comparisons as a table."""
    result = Table(title="faults that must change nothing, against nothing")
    columns = (
        "fault",
        "n",
        "stops",
        "late plans",
        "with nothing",
        "p",
        "off chunk",
        "new chunk, s",
    )
    for column in (*columns, "p", "verdict"):
        result.add_column(column)
    for each in comparisons:
        result.add_row(
            each.name,
            str(each.count),
            str(each.stops),
            str(each.late),
            f"{each.stops_with_nothing} of {each.count_with_nothing}",
            f"{each.chance:.2f}",
            f"{each.unexplained:.0e}",
            f"{each.departure_s:.3f}",
            f"{each.departure_chance:.2f}",
            each.verdict,
        )
    return result
