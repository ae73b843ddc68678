"""Seconds to messages; ``messages.stamps.seconds`` gives them back, bit for bit."""

from builtin_interfaces.msg import Duration, Time

from ddpm_controller.messages.stamps import stamp_from


def time_from(stamp_s: float) -> Time:
    """Return a Time message; ``seconds`` of it gives ``stamp_s`` again."""
    sec, nanosec = stamp_from(stamp_s)
    return Time(sec=sec, nanosec=nanosec)


def duration_from(duration_s: float) -> Duration:
    """Return a Duration message."""
    sec, nanosec = stamp_from(duration_s)
    return Duration(sec=sec, nanosec=nanosec)
