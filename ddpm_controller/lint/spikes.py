"""Single numbers far from their neighbours, in what was measured and in what was commanded."""

from collections.abc import Iterator

import numpy as np

from ddpm_controller.data.glitches import glitches
from ddpm_controller.lint.finding import Finding
from ddpm_controller.lint.recording import Recording, Track
from ddpm_controller.robots.robot import Robot

_REACH = 3
_LONGEST_S = 0.2
"""A longer excursion is a motion, at most ``_REACH`` messages of it."""
_NOISES = 10.0
"""Times the 95th percentile of the distances from the running median."""
_SHARE = 0.04
"""Share of the usual range below which a spike does no harm."""
_HOLE = 2.0
_FREE_SHARE = 3.0
"""The same of speeds and forces, which jump."""
_LEAST = 0.02
_MOST_SHARE = 0.02
"""More than this share of messages are no spikes but the signal."""


def check_spikes(recording: Recording, robot: Robot) -> Iterator[Finding]:
    """Yield a finding for each stream and output with numbers that stand alone.

    Those that no joint can have had are wrong, unless the robot file has them left out; smaller
    ones are doubtful. Distances are from a running median and compared with their own percentiles,
    so that a spike does not hide itself or another one.
    """
    for track in recording.tracks:
        rows, times_s = _ordered(track)
        if len(rows) < 2 * _REACH + 1:
            continue
        columns = range(len(track.names))
        free = [i for i in columns if i not in track.positions]
        large = {(each.row, each.column) for each in glitches(times_s, rows, free)}
        small = {
            (row, column)
            for column in columns
            for row in _standing_alone(times_s, rows[:, column], column in free)
        }
        if large:
            is_wrong = robot.recordings.glitches == "refuse"
            yield _finding(recording, track, times_s, rows, large, is_wrong=is_wrong)
        elif small:
            yield _finding(recording, track, times_s, rows, small, is_wrong=False)


def _ordered(track: Track) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows in the order of their moments, and the moments in s from the first."""
    order = np.argsort(track.times_ns, kind="stable")
    zero_ns = track.times_ns.min() if len(order) else 0
    return track.rows[order], (track.times_ns[order] - zero_ns) * 1e-9


def _standing_alone(times_s: np.ndarray, column: np.ndarray, is_free: bool) -> np.ndarray:
    known = np.flatnonzero(np.isfinite(column))
    values, period_s = column[known], float(np.median(np.diff(times_s)))
    reach = int(min(_REACH, max(1, _LONGEST_S / max(period_s, 1e-6))))
    if len(values) < 4 * reach + 1:
        return np.zeros(0, int)
    windows = np.lib.stride_tricks.sliding_window_view(values, 2 * reach + 1)
    away = np.zeros(len(values))  # at the ends motion and spike look alike
    away[reach:-reach] = np.abs(values[reach:-reach] - np.median(windows, axis=1))
    lasts_s = times_s[known][2 * reach :] - times_s[known][: -2 * reach]
    away[reach:-reach][lasts_s > _HOLE * 2 * reach * period_s] = 0.0  # across a hole it may be
    low, high = np.percentile(values, [2, 98])
    share = _FREE_SHARE if is_free else _SHARE
    least = 0.0 if is_free else _LEAST
    limit = max(_NOISES * np.percentile(away, 95), share * (high - low), least)
    found = np.flatnonzero(away > limit) if limit > 0 else np.zeros(0, int)
    return known[found] if len(found) <= max(_REACH, _MOST_SHARE * len(values)) else known[:0]


def _finding(
    recording: Recording,
    track: Track,
    times_s: np.ndarray,
    rows: np.ndarray,
    found: set[tuple[int, int]],
    *,
    is_wrong: bool,
) -> Finding:
    row, column = min(found)
    near = rows[max(row - _REACH, 0) : row + _REACH + 1, column]
    kind = "spike_in_command" if track.output is not None else "spike_in_state"
    unit = track.units[column]
    return Finding(
        kind,
        "wrong" if is_wrong else "doubtful",
        recording.name,
        f"{track.name}: {track.names[column]!r} is {rows[row, column]:.6g} {unit} at "
        f"{times_s[row]:.3f} s, around it {np.nanmedian(near):.4g}; "
        f"{len({each for each, _ in found})} such messages",
        "correct the driver and record again, or set recordings: {glitches: leave_out} in the "
        "robot file",
    )
