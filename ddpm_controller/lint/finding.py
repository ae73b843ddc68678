"""One doubt about a recording: what was seen, where, how sure, and what to do."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Severity = Literal["wrong", "doubtful"]
"""wrong: to learn it is surely a mistake; doubtful: a person should look."""


@dataclass(frozen=True)
class Finding:
    """What a check saw.

    Attributes:
        kind: Name of the doubt, as it stands in tables and JSON.
        severity: How sure it is.
        recording: Name of the bag.
        text: What was seen, with numbers.
        remedy: What to do.
        episode: Number of the episode in the bag; None: all of the bag.
        part_ns: Begin and end of the part that it is about, by the stamps; None: all of it.
        is_trim: Whether that part is better left out, and the rest is good.
        is_surplus: Whether the rest of a set is complete without this episode.
    """

    kind: str
    severity: Severity
    recording: str
    text: str
    remedy: str
    episode: int | None = None
    part_ns: tuple[int, int] | None = None
    is_trim: bool = False
    is_surplus: bool = False

    @property
    def where(self) -> str:
        """Bag and episode, as episodes are called elsewhere."""
        return self.recording if self.episode is None else f"{self.recording}#{self.episode}"


def are_wrong(findings: Sequence[Finding]) -> bool:
    """Return whether one of them is a mistake for sure."""
    return any(each.severity == "wrong" for each in findings)
