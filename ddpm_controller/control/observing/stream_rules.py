"""What to do about a stream that cannot be used, and how it does."""

import math
from dataclasses import dataclass
from typing import Literal

from ddpm_controller.control.states import Reason

WhenStale = Literal["hold", "stop", "mask"]
"""``hold``: stop smoothly, and go on when the stream is good again. ``stop``: stop smoothly and
stay so until the next start. ``mask``: go on without it, where the policy can."""


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


@dataclass(frozen=True)
class StreamHealth:
    """How one stream does at one moment.

    Attributes:
        age_s: Of the newest message by its stamp, s; NaN before the first.
        arrival_age_s: Time since it came, s; NaN before the first.
        rate_hz: Of the last messages, by stamp; NaN before the second.
        out_of_order: Messages that were older than one before.
        reason: Why the stream cannot be used; ``NONE`` when it can.
        text: The same in words, with the values.
        masked: Whether the policy plans without it.
    """

    age_s: float = math.nan
    arrival_age_s: float = math.nan
    rate_hz: float = math.nan
    out_of_order: int = 0
    reason: Reason = Reason.NONE
    text: str = ""
    masked: bool = False
