"""What to do about a stream that cannot be used, and how it does."""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ddpm_controller.control.states import Reason

MOTION = {"rad": 0.1, "m": 0.03}
"""Unit -> motion of a joint that a camera must show.

Less may be smaller than a pixel: see ``FrozenImage``.
"""
SLOW_SHARE = 0.5
"""A stream that comes at less than this share of its rate is worth a warning."""
_STRIDE = 8
"""Of the rows and columns that are looked at first: pictures that differ do so there already."""


class FrozenImage:
    """Compares each picture of a camera with the one before, and how far the joints went.

    A picture of a robot at rest repeats itself rightly where a camera has no noise, as a
    simulated one, and a small motion is less than a pixel. So a picture is frozen when it still
    comes ``after_s`` after one of the joints had moved by more than its motion. Noise lets no
    real camera send the same picture twice.

    Positions may come behind a picture that is newer, as on a busy machine: what was measured
    before the picture is no motion since then.

    Args:
        after_s: Time.
        motion: (Da,) that a camera must show.

    Attributes:
        is_frozen: Whether the newest picture is.
    """

    def __init__(self, after_s: float, motion: np.ndarray) -> None:
        self._after_s, self._motion = after_s, motion
        self._image: np.ndarray | None = None
        self.forget_motion()

    def forget_motion(self) -> None:
        """Count the motion from now on, as after a jump of the clock."""
        self.is_frozen = False
        self._since_s, self._moved_s = -math.inf, math.inf
        self._lowest: np.ndarray = np.full_like(self._motion, math.inf)
        self._highest: np.ndarray = np.full_like(self._motion, -math.inf)

    def see(self, stamp_s: float, image: np.ndarray) -> None:
        """Take a picture, (H, W, 3)."""
        if self._image is None or not _same(image, self._image):
            self._image = image
            self.forget_motion()
            self._since_s = stamp_s
        elif stamp_s - self._moved_s > self._after_s:
            self.is_frozen = True

    def move(self, stamp_s: float, position: np.ndarray) -> None:
        """Take a measured position, (Da,)."""
        if stamp_s < self._since_s:
            return
        self._lowest = np.minimum(position, self._lowest)
        self._highest = np.maximum(position, self._highest)
        if math.isinf(self._moved_s) and (self._highest - self._lowest > self._motion).any():
            self._moved_s = stamp_s


def _same(first: np.ndarray, second: np.ndarray) -> bool:
    few = (slice(None, None, _STRIDE),) * 2
    return np.array_equal(first[few], second[few]) and np.array_equal(first, second)


_NUM_STAMPS = 20
"""Messages over which a rate is taken."""


class StreamStatistics:
    """Counts the messages of one stream.

    Of a vector each element has its own figures, since several messages may bring them.

    Args:
        size: Number of elements, D; 1 of an image.

    Attributes:
        out_of_order: Messages that were older than one before.
        leads_s: How far the newest stamp of each element was ahead of its arrival, (D,); NaN
            before the first. A value cannot be newer than its arrival, so that is how old it
            really is when its stamp is of now.
        longest_lead_s: Largest of these.
    """

    def __init__(self, size: int = 1) -> None:
        self.out_of_order = 0
        self._size = size
        # Stamp and lead of the last messages: one list for all until a message has only some.
        self._last: list[deque[tuple[float, float]]] = []
        self._arrived_s, self.leads_s = np.full((2, size), math.nan)
        self._oldest_arrival_s = self.longest_lead_s = math.nan
        self.forget()

    def forget(self) -> None:
        """Forget all times, as after a jump of the clock; keep the count."""
        self._last = [deque(maxlen=_NUM_STAMPS)]
        self._arrived_s, self.leads_s = np.full((2, self._size), math.nan)
        self._oldest_arrival_s = self.longest_lead_s = math.nan

    def take(self, stamp_s: float, arrived_s: float, present: np.ndarray | None = None) -> None:
        """Note a message that was newer than all before of the elements ``present``; None: all."""
        lead_s = stamp_s - arrived_s
        if present is None:
            self._arrived_s[:], self.leads_s[:] = arrived_s, lead_s
            self._oldest_arrival_s, self.longest_lead_s = arrived_s, lead_s
            for last in self._last:
                last.append((stamp_s, lead_s))
            return
        if len(self._last) < self._size:  # until now each message had all
            self._last = [self._last[0].copy() for _ in range(self._size)]
        self._arrived_s[present], self.leads_s[present] = arrived_s, lead_s
        self._oldest_arrival_s = float(self._arrived_s.min())
        self.longest_lead_s = float(self.leads_s.max())
        for number in np.flatnonzero(present):
            self._last[number].append((stamp_s, lead_s))

    def arrival_age_s(self, now_s: float) -> float:
        """Return the longest time since an element came, s; NaN before all have."""
        return now_s - self._oldest_arrival_s

    def arrival_ages_s(self, now_s: float) -> np.ndarray:
        """Return the time since the newest of each element came, (D,), s; NaN before the first."""
        return now_s - self._arrived_s

    @property
    def clock_lead_s(self) -> float:
        """How far the stamps of the last messages were ahead of their arrival, s; below 0: behind.

        Of the one that came soonest, since each delay only makes a clock look later; of the
        publisher whose clock is off by the most. NaN before the first.
        """
        found_s = [max(lead_s for _, lead_s in last) for last in self._last if last]
        return max(found_s, key=abs, default=math.nan)

    @property
    def rate_hz(self) -> float:
        """Rate of the slowest element, by the last stamps; NaN before the second message."""
        if len(self._last) == 1:
            return _rate_hz(self._last[0])
        return min((_rate_hz(last) for last in self._last), key=_nan_first)


def _rate_hz(last: Sequence[tuple[float, float]]) -> float:
    # A run that begins again takes old stamps once more.
    span_s = last[-1][0] - last[0][0] if last else 0.0
    return (len(last) - 1) / span_s if span_s > 0 else math.nan


def _nan_first(rate_hz: float) -> float:
    return -1.0 if math.isnan(rate_hz) else rate_hz


WhenStale = Literal["hold", "stop", "mask", "optional"]
"""``hold``: stop smoothly, and resume when the stream is good again. ``stop``: stop smoothly and
stay so until the next start. ``mask``: continue without it, where the policy can. ``optional``:
the same, and before its first message too."""


@dataclass(frozen=True)
class StreamRule:
    """How one stream is looked at.

    Attributes:
        when_stale: What to do when it is stale, invalid or frozen.
        frozen_after_s: How long a camera may send the same picture after the joints have moved;
            0: for ever.
    """

    when_stale: WhenStale = "hold"
    frozen_after_s: float = 0.0

    @property
    def masks(self) -> bool:
        """Whether the policy plans without a stream that cannot be used."""
        return self.when_stale in ("mask", "optional")

    @property
    def is_optional(self) -> bool:
        """Whether the stream may never have come."""
        return self.when_stale == "optional"


@dataclass(frozen=True)
class StreamHealth:
    """How one stream does at one moment.

    Attributes:
        age_s: Age of the newest message by its stamp, s; NaN before the first. Where several
            messages bring the elements, this and the next two are those of the worst element.
        arrival_age_s: Time since it came, s; NaN before the first.
        rate_hz: Rate of the last messages, by stamp; NaN before the second.
        out_of_order: Messages that were older than one before.
        reason: Why the stream cannot be used; ``NONE`` when it can.
        text: The same in words, with the values.
        masked: Whether the policy plans without it.
        clock_lead_s: How far its clock is ahead, with the time that a message takes, s; below 0:
            behind; NaN before the first.
    """

    age_s: float = math.nan
    arrival_age_s: float = math.nan
    rate_hz: float = math.nan
    out_of_order: int = 0
    reason: Reason = Reason.NONE
    text: str = ""
    masked: bool = False
    clock_lead_s: float = math.nan
