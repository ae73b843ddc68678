"""How much later a joint moves than its command: the lag that explains a recording best."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

_LOWEST_S = -0.25
"""Of the search; a motion before its command is found, and then refused."""
_GRID_S = 0.005
_GOLDEN = (5**0.5 - 1) / 2
_PRECISION_S = 1e-6
_EXPLAINED = 0.9
_GAINS = (0.5, 1.5)
_STILL = 1e-20
"""rad^2 or m^2; what moves less stands still up to rounding."""
_EARLY_S = 0.005
"""Clocks that are synchronized agree within this; a motion so early is rounded to 0."""


class DeadTimeError(ValueError):
    """The recording determines no lag, or an impossible one."""


@dataclass(frozen=True)
class DeadTime:
    """A fit of measured(t) = offset + gain * sent(t - delay).

    Attributes:
        delay_s: Lag of the motion behind the commands; not below 0.
        deviation_s: One standard deviation of it, if the residuals were white.
        gain: Gain of the motion.
        offset: rad or m.
        explained: Share of the variance of what was measured, R^2.
    """

    delay_s: float
    deviation_s: float
    gain: float
    offset: float
    explained: float


def dead_time(
    sent_s: np.ndarray,
    sent: np.ndarray,
    measured_s: np.ndarray,
    measured: np.ndarray,
    longest_s: float = 1.0,
) -> DeadTime:
    """Return the lag between one joint's commands and its motion, by least squares.

    For a slow motion, transport, dead time and the lag of the servo are one delay: this one.
    Between two samples commands are interpolated linearly, so the delay is finer than a sample.

    Args:
        sent_s: (N,) moments of the commands, ascending.
        sent: (N,) positions; the first ones at rest.
        measured_s: (M,) acquisition times, any order.
        measured: (M,) positions.
        longest_s: Longest delay that is looked for.

    Raises:
        DeadTimeError: The joint was not moved, did not follow, or moved before its command.
    """
    inside = (measured_s >= sent_s[0]) & (measured_s <= sent_s[-1])
    moments_s, values = measured_s[inside], measured[inside]
    if len(values) < 10 or np.ptp(sent) == 0:
        raise DeadTimeError(
            f"{len(values)} measured positions during a motion of {np.ptp(sent):g}: nothing was "
            "moved, or the joint states did not come"
        )

    def fit(delay_s: float) -> tuple[float, np.ndarray]:
        columns = np.stack([np.ones_like(values), np.interp(moments_s - delay_s, sent_s, sent)], 1)
        found = np.linalg.lstsq(columns, values, rcond=None)[0]
        return float(np.square(values - columns @ found).sum()), found

    grid_s = np.arange(_LOWEST_S, longest_s + _GRID_S / 2, _GRID_S)
    best = int(np.argmin([fit(delay_s)[0] for delay_s in grid_s]))
    low_s, high_s = grid_s[max(best - 1, 0)], grid_s[min(best + 1, len(grid_s) - 1)]
    delay_s = smallest(lambda each_s: fit(each_s)[0], float(low_s), float(high_s))
    squares, (offset, gain) = fit(delay_s)
    total = float(np.square(values - values.mean()).sum())
    explained = max(1 - squares / total, 0.0) if total > _STILL else 0.0
    _refuse(delay_s, explained, gain, best in (0, len(grid_s) - 1), longest_s)
    deviation_s = _deviation_s(delay_s, gain, squares, moments_s, sent_s, sent)
    return DeadTime(max(delay_s, 0.0), deviation_s, float(gain), float(offset), explained)


def _refuse(delay_s: float, explained: float, gain: float, at_end: bool, longest_s: float) -> None:
    if explained < _EXPLAINED or not _GAINS[0] <= gain <= _GAINS[1]:
        raise DeadTimeError(
            f"the joint did not follow: {100 * explained:.0f} % of its motion is explained by the "
            f"commands (at least {100 * _EXPLAINED:.0f} % needed), with a gain of {gain:.2f} "
            f"({_GAINS[0]} to {_GAINS[1]} allowed); is the robot enabled, and the motion larger "
            "than its noise?"
        )
    if delay_s < -_EARLY_S:
        raise DeadTimeError(
            f"the joint moved {-delay_s:.3f} s before its command: the clocks of the robot and "
            "of this machine differ; synchronize them (chrony, PTP) and measure again"
        )
    if at_end:
        raise DeadTimeError(f"no delay up to {longest_s:g} s fits; is this the right joint?")


def smallest(cost: Callable[[float], float], low: float, high: float) -> float:
    """Return where a function with one minimum is smallest, by golden section."""
    while high - low > _PRECISION_S:
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        if cost(left) < cost(right):
            high = right
        else:
            low = left
    return (low + high) / 2


def _deviation_s(
    delay_s: float,
    gain: float,
    squares: float,
    moments_s: np.ndarray,
    sent_s: np.ndarray,
    sent: np.ndarray,
) -> float:
    """Return sigma over what of the motion's speed neither offset nor gain can stand for."""
    h_s = _GRID_S
    at = np.interp(moments_s - delay_s, sent_s, sent)
    ahead = np.interp(moments_s - delay_s + h_s, sent_s, sent)
    behind = np.interp(moments_s - delay_s - h_s, sent_s, sent)
    speed = gain * (ahead - behind) / (2 * h_s)
    columns = np.stack([np.ones_like(at), at], 1)
    speed = speed - columns @ np.linalg.lstsq(columns, speed, rcond=None)[0]
    degrees = max(len(moments_s) - 3, 1)
    return float(np.sqrt(squares / degrees / max(np.square(speed).sum(), 1e-300)))
