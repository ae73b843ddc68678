"""Whether the robot's clock agrees with ours, as far as its stamps show."""

import math
from collections import deque

_LOOKS = 5
"""A late message or two are no sign of another clock."""


class ClockOffset:
    """Compares the stamps of what is measured with when it came.

    A stamp ahead of its arrival is of a clock that is ahead. One that is behind is of a clock
    that is behind, or of a message that took so long: which of them cannot be seen from here.

    Args:
        overlap_s: Time before now that a streamed trajectory begins at.
    """

    def __init__(self, overlap_s: float) -> None:
        self._overlap_s = overlap_s
        self._delays_s: deque[float] = deque(maxlen=_LOOKS)

    def note(self, delay_s: float) -> None:
        """Take the time from the stamp of the newest message to its arrival; NaN: none came."""
        if math.isfinite(delay_s):
            self._delays_s.append(delay_s)

    @property
    def text(self) -> str:
        """What is wrong, with the figure; empty: nothing."""
        if len(self._delays_s) < _LOOKS:
            return ""
        least_s, most_s = min(self._delays_s), max(self._delays_s)
        if -self._overlap_s <= most_s and least_s <= self._overlap_s:
            return ""
        is_ahead = most_s < 0
        how = f"{-most_s:.3f} s ahead of" if is_ahead else f"{least_s:.3f} s behind"
        cause = "its clock is ahead" if is_ahead else "its clock is behind or it comes so late"
        return (
            f"what is measured has stamps {how} this clock, more than command.stream_past_s "
            f"{self._overlap_s:g} s: {cause}, and trajectories with our stamps do not fit: set "
            "the clocks (chrony), raise command.stream_past_s, or command.stream_stamp: zero"
        )
