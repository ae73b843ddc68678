"""From acquisition to arrival: how old the messages of a stream are when they come."""

from dataclasses import dataclass

import numpy as np

_SYNCHRONIZED_S = 0.001
"""So much may clocks of two machines differ that are called the same."""


class StreamLatencyError(ValueError):
    """The stamps of a stream cannot be acquisition times by this machine's clock."""


@dataclass(frozen=True)
class StreamLatency:
    """Ages of messages at arrival.

    Attributes:
        median_s: Not below 0.
        p95_s: What 95 % do not exceed.
        lowest_s: The smallest.
        count: Messages.
        rate_hz: By their stamps.
    """

    median_s: float
    p95_s: float
    lowest_s: float
    count: int
    rate_hz: float


def stream_latency(
    name: str, stamps_s: np.ndarray, arrivals_s: np.ndarray, longest_s: float
) -> StreamLatency:
    """Return the latency of one stream.

    A constant offset between the clocks of two machines cannot be distinguished from a latency,
    but a negative one can only be an offset.

    Args:
        name: Name of the stream.
        stamps_s: (N,) header stamps.
        arrivals_s: (N,) by this machine's clock.
        longest_s: Longer is a wrong clock.

    Raises:
        StreamLatencyError: Too few messages, no stamps, or clocks that differ.
    """
    if len(stamps_s) < 2:
        raise StreamLatencyError(
            f"{name}: {len(stamps_s)} messages came; is its driver running, and is the topic of "
            "the robot file right?"
        )
    if (stamps_s <= 0).any():
        raise StreamLatencyError(f"{name}: messages have no stamp: let the driver stamp them")
    latencies_s = arrivals_s - stamps_s
    lowest_s, median_s = float(latencies_s.min()), float(np.median(latencies_s))
    if lowest_s < -_SYNCHRONIZED_S:
        raise StreamLatencyError(
            f"{name}: messages came up to {-lowest_s:.3f} s before they were acquired: the clock "
            "of their machine is ahead of this one's; synchronize them (chrony, PTP)"
        )
    if median_s >= longest_s:
        raise StreamLatencyError(
            f"{name}: messages are {median_s:.3f} s old when they come, {longest_s:g} s at the "
            "most can be a latency: the clock of their machine is behind this one's, or the "
            "driver does not stamp with the time of acquisition"
        )
    span_s = float(np.ptp(stamps_s))
    rate_hz = (len(stamps_s) - 1) / span_s if span_s > 0 else float("nan")
    p95_s = float(np.quantile(latencies_s, 0.95))
    return StreamLatency(max(median_s, 0.0), max(p95_s, 0.0), lowest_s, len(stamps_s), rate_hz)
