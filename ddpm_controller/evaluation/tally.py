"""What a world has counted in a trial, and when a count went up."""

from collections.abc import Mapping


class TallyWatch:
    """Follows the tally of a world.

    Attributes:
        latest: The tally as it was last; empty before the first.
        rises: (moment in s, name) whenever a count, which is a whole number, went up.
    """

    def __init__(self) -> None:
        self.latest: Mapping[str, float] = {}
        self.rises: list[tuple[float, str]] = []

    def note(self, stamp_s: float, tally: Mapping[str, float]) -> None:
        """Take in the tally of a moment; moments ascend."""
        for name, value in tally.items():
            before = self.latest.get(name, value)
            if value > before and value.is_integer() and before.is_integer():
                self.rises.append((stamp_s, name))
        self.latest = dict(tally)
