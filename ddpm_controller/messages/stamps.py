"""Stamps of messages and seconds, there and back bit for bit."""

import math
from typing import Any


def seconds(stamp: Any) -> float:
    """Return a ``builtin_interfaces`` Time or Duration in s."""
    return float(stamp.sec + stamp.nanosec * 1e-9)


def stamp_from(stamp_s: float) -> tuple[int, int]:
    """Return whole seconds and nanoseconds, rounded to the nearest nanosecond.

    ``seconds`` of the result is ``stamp_s`` again, bit for bit, when that came from ``seconds``.
    """
    whole = math.floor(stamp_s)
    # The fraction alone is scaled: stamp_s * 1e9 would lose 256 ns for the system clock.
    nanoseconds = round((stamp_s - whole) * 1e9)
    return (whole + 1, 0) if nanoseconds == 1_000_000_000 else (whole, nanoseconds)
