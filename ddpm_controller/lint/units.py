"""Numbers in other units than the robot file has, or that jump by a turn."""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from ddpm_controller.lint.finding import Finding, Severity
from ddpm_controller.lint.limits import turning_joints
from ddpm_controller.lint.recording import Pair, Recording
from ddpm_controller.robots.robot import Robot

_SCALES = {"rad": ("degrees", 180 / math.pi, 4 * math.pi), "m": ("millimetres", 1000.0, 10.0)}
"""Unit -> the one that is mistaken for it, how many of it there are, and what no joint exceeds."""
_NEAR = 1.35
"""A ratio counts as that of two units within this factor."""
_LEAST_RANGE = {"rad": 0.01, "m": 0.001}
_FEW = 3
_FEWEST_MOMENTS = 10
_ALIKE = 0.5
_AROUND_TURN = 0.5
_REMEDY = "give the unit of the messages in the robot file (units: of the stream), or convert them"


def check_units(recording: Recording, robot: Robot) -> Iterator[Finding]:
    """Yield joints that are in degrees or millimetres where the robot file has rad or m.

    Shown by numbers that no joint has, or by commands and measurements whose ratio is that of the
    units.
    """
    found: set[tuple[str, str]] = set()
    turning = turning_joints(recording)
    known = set(robot.action_spec.joint_names)
    for track in recording.tracks:
        for column in track.positions:
            if track.names[column] in turning:  # as wheels
                continue
            usual = np.nanpercentile(np.abs(track.rows[:, column]), 75) if len(track.rows) else 0
            other, _, most = _SCALES[track.units[column]]
            if usual > most:
                found.add((track.name, other))
                text = f"{track.names[column]!r} of {track.name} is {usual:.4g} most of the time"
                # Of a joint that is only observed it is not known whether it turns without end.
                sure = track.names[column] in known
                yield _finding(recording, other, text, "wrong" if sure else "doubtful")
                break
    for pair in recording.pairs:
        columns = [(i, unit) for i, unit in enumerate(pair.command.units) if unit in _SCALES]
        led = pair.is_led
        if led.sum() < _FEWEST_MOMENTS:
            continue
        for i, unit in columns:
            commanded, measured = _size(pair.commanded[led, i]), _size(pair.measured[led, i])
            other, scale, _ = _SCALES[unit]
            ratio = commanded / measured if measured > 0 else 0.0
            big = pair.command.name if ratio > 1 else pair.state.name
            least = _LEAST_RANGE[unit]
            is_other = _is_near(ratio, scale) or (ratio > 0 and _is_near(1 / ratio, scale))
            is_other = is_other and min(commanded, measured) > least and _moves_throughout(pair, i)
            if is_other and (big, other) not in found:
                found.add((big, other))
                ratio = max(ratio, 1 / ratio)
                text = f"{pair.command.names[i]!r} of {big} moves {ratio:.3g} times as far as "
                yield _finding(recording, other, text + "what it is compared with")


def _moves_throughout(pair: Pair, column: int) -> bool:
    """Return whether both move in both halves or neither does: one that stood is no other unit."""
    halves = np.array_split(np.flatnonzero(pair.is_led), 2)
    sizes = np.array(
        [
            [_size(rows[half, column]) for half in halves]
            for rows in (pair.commanded, pair.measured)
        ]
    )  # (2, 2), sides and halves
    shares = sizes / sizes.max(axis=1, keepdims=True)
    return bool((np.abs(shares[0] - shares[1]) < _ALIKE).all())


def check_units_of_set(recordings: Sequence[Recording], robot: Robot) -> Iterator[Finding]:
    """Yield recordings whose numbers are larger than those of the others by a ratio of units."""
    recordings = [each for each in recordings if each.tracks]
    if len(recordings) < _FEW:
        return
    for at, track in enumerate(recordings[0].tracks):
        for column in track.positions:
            unit = track.units[column]
            other, scale, _ = _SCALES[unit]
            sizes = [_size_of(each, at, column) for each in recordings]
            usual = float(np.median(sizes))
            for each, size in zip(recordings, sizes, strict=True):
                if usual > _LEAST_RANGE[unit] and _is_near(size / usual, scale):
                    text = f"{track.names[column]!r} of {track.name} is {size / usual:.3g} times "
                    yield _finding(each, other, text + "what it is in the other recordings")


def check_wrapped(recording: Recording, robot: Robot) -> Iterator[Finding]:
    """Yield angles that jump by a whole turn from one message to the next."""
    for track in recording.tracks:
        order = np.argsort(track.times_ns, kind="stable")
        for column in track.positions:
            if track.units[column] != "rad":
                continue
            values = track.rows[order, column]
            values = values[np.isfinite(values)]
            jumps = np.flatnonzero(np.abs(np.abs(np.diff(values)) - 2 * math.pi) < _AROUND_TURN)
            if len(jumps) and _stays(values, int(jumps[0])):
                name = track.names[column]
                yield Finding(
                    "wrapped_angle",
                    "wrong",
                    recording.name,
                    f"{name!r} of {track.name} jumps by a turn, {values[jumps[0]]:.3f} to "
                    f"{values[jumps[0] + 1]:.3f} rad, {len(jumps)} times",
                    f"set wraps: [{name}] in the stream of the robot file, or record whole angles",
                )


def _stays(values: np.ndarray, jump: int) -> bool:
    """Return whether a jump is no spike: the numbers behind it are where it leads."""
    before, behind = values[max(jump - 2, 0) : jump + 1], values[jump + 1 : jump + 4]
    return abs(abs(np.median(behind) - np.median(before)) - 2 * math.pi) < 2 * _AROUND_TURN


def _finding(recording: Recording, other: str, text: str, how: Severity = "wrong") -> Finding:
    return Finding(other, how, recording.name, f"{text}: {other}?", _REMEDY)


def _size(values: np.ndarray) -> float:
    """Return how far numbers range, without the extremes."""
    return float(np.ptp(np.nanpercentile(values, [5, 95])))


def _size_of(recording: Recording, at: int, column: int) -> float:
    rows = recording.tracks[at].rows
    return float(np.nanpercentile(np.abs(rows[:, column]), 75)) if len(rows) else 0.0


def _is_near(ratio: float, scale: float) -> bool:
    return scale / _NEAR < ratio < scale * _NEAR
