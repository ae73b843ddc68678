"""Commands that the robot does not follow, motion that nothing commands, and exchanged joints."""

from collections.abc import Iterator

import numpy as np

from ddpm_controller.bags.screening import follow_tolerances
from ddpm_controller.data.uncommanded import uncommanded
from ddpm_controller.lint.finding import Finding
from ddpm_controller.lint.recording import (
    Pair,
    Recording,
    measured_by,
    motion_of,
    track_of,
)
from ddpm_controller.robots.robot import Robot

_WINDOW_S = 1.0
_STANDS = 0.05
"""Share of the commanded way below which a joint stood."""
_SURE_S = 1.3
_OTHERS_SHARE = 0.5
_AWAY_SHARE = 0.5
_LONGEST_DELAY_S = 1.0
_LIKE, _LIKER = 0.8, 0.2
"""Least correlation of two that belong together, and how much less each has with its own."""
_NEARER = 3.0
_LEAST_MOTION = {"rad": 0.05, "m": 0.01}
_FEWEST_MOMENTS = 20


def check_followed(recording: Recording, robot: Robot) -> Iterator[Finding]:
    """Yield joints that stood where they were commanded to move, or were far from their command.

    A joint stood where its command ranged in a second over twice what they may be apart, and it
    over a twentieth of that; a slow robot is none. One that stood while others moved may have
    touched something, as a finger; where none of those that were to move did, the robot stood.
    """
    for pair in recording.pairs:
        tolerance = _tolerances(pair, robot)
        window = max(round(_WINDOW_S / pair.step_s), 2)
        if len(pair.times_ns) <= window:
            continue
        commanded = _without_spikes(pair.commanded)
        asked, moved = (_ranges(each, window) for each in (commanded, pair.measured))
        led = np.lib.stride_tricks.sliding_window_view(pair.is_led, window).all(axis=1)
        stood: np.ndarray = (asked > 2 * tolerance) & (moved < _STANDS * asked)
        stood = stood & np.asarray(led)[:, None]  # (G, D)
        windows = stood.sum(axis=0)
        stood_s = np.where(windows > 0, (windows + window) * pair.step_s, 0.0)
        column = int(np.argmax(stood_s))
        if stood_s[column] >= _SURE_S:
            first = int(np.flatnonzero(stood[:, column])[0])
            moved_on = ((asked > 2 * tolerance) & ~stood)[stood[:, column]].any(axis=1).mean()
            yield Finding(
                "not_followed",
                "doubtful" if moved_on > _OTHERS_SHARE else "wrong",
                recording.name,
                f"{_name(pair, column)} stood for {stood_s[column]:.2f} s in all while "
                f"{pair.command.topic} moved it, from {_since_s(pair, first):.2f} s on, the "
                f"command by up to {asked[stood[:, column], column].max():.3g}",
                "look for a stop or a fault of the robot; leave this part out, or record again",
            )
            continue
        apart = np.abs(pair.commanded - pair.measured)[pair.is_led]
        share = (apart > 3 * tolerance).mean(axis=0) if len(apart) else np.zeros(len(tolerance))
        column = int(np.argmax(share))
        if share[column] > _AWAY_SHARE:
            distance = np.median(apart[:, column])
            yield Finding(
                "not_followed",
                "doubtful",
                recording.name,
                f"{_name(pair, column)} is {distance:.3g} from its command in the median, and "
                f"more than {3 * tolerance[column]:.3g} in {share[column]:.0%} of the time",
                "look whether command and state mean the same: zero, sign, unit, order",
            )


def check_exchanged_joints(recording: Recording, robot: Robot) -> Iterator[Finding]:
    """Yield joints that move as others are commanded, or against their commands.

    Where all move alike, as from point to point, two are exchanged that are each far nearer to the
    command of the other one.
    """
    for pair in recording.pairs:
        if len(pair.times_ns) < _FEWEST_MOMENTS:
            continue
        like, apart = _likeness(pair), _apart(pair)
        own = np.diag(like)
        for i in range(len(own)):
            if own[i] < -_LIKE:
                yield _order(recording, f"{_name(pair, i)} moves against its command")
            for j in range(i):
                other = min(like[i, j], like[j, i])
                moves_so = other > _LIKE and max(own[i], own[j]) < other - _LIKER
                if moves_so or _is_nearer(apart, i, j, pair.command.units):
                    text = f"{_name(pair, i)} moves as {_name(pair, j)} is commanded, and "
                    yield _order(recording, text + "the other way round")


def _apart(pair: Pair) -> np.ndarray:
    """Return how far each joint is in the median from each command, (D, D); rows are measured."""
    commanded, measured = pair.commanded[pair.is_led], pair.measured[pair.is_led]
    if not len(measured):
        return np.zeros((measured.shape[1],) * 2)
    return np.stack([np.median(np.abs(commanded - each[:, None]), axis=0) for each in measured.T])


def _is_nearer(apart: np.ndarray, i: int, j: int, units: tuple[str, ...]) -> bool:
    least = _LEAST_MOTION.get(units[i], np.inf)
    own, other = min(apart[i, i], apart[j, j]), max(apart[i, j], apart[j, i])
    return units[i] == units[j] and own > max(least, _NEARER * other)


def _order(recording: Recording, text: str) -> Finding:
    remedy = "correct the order of names, or the signs, in the robot file or the driver"
    return Finding("exchanged_joints", "wrong", recording.name, text, remedy)


def _likeness(pair: Pair) -> np.ndarray:
    """Return correlations of commanded and measured speeds at the delay that fits best, (D, D)."""
    speeds = [np.diff(_smooth(each), axis=0) for each in (pair.commanded, pair.measured)]
    least = np.array([_LEAST_MOTION.get(unit, np.inf) for unit in pair.command.units])
    moves = [np.ptp(each, axis=0) > least for each in (pair.commanded, pair.measured)]
    best = np.zeros((len(least), len(least)))
    for late in range(min(round(_LONGEST_DELAY_S / pair.step_s), len(speeds[0]) // 2)):
        led, followed = speeds[0][: len(speeds[0]) - late], speeds[1][late:]
        sizes = np.outer(np.linalg.norm(led, axis=0), np.linalg.norm(followed, axis=0))
        with np.errstate(invalid="ignore", divide="ignore"):
            found = np.where(sizes > 0, led.T @ followed / sizes, 0.0)
        best = np.where(np.abs(found) > np.abs(best), found, best)
    return np.asarray(best * np.outer(*moves))


def _smooth(rows: np.ndarray) -> np.ndarray:
    kernel = np.full(3, 1 / 3)
    return np.stack([np.convolve(column, kernel, "valid") for column in rows.T], axis=1)


def check_commands_stop(recording: Recording, robot: Robot) -> Iterator[Finding]:
    """Yield parts in which joints leave the last command while no other comes."""
    for command in recording.commands:
        measuring, output = measured_by(command, recording.states), command.output
        if measuring is None or not command.points or output is None or output.gripper:
            continue
        track = track_of(*measuring)
        pauses = motion_of(command, track).pauses(recording.ends_ns[1])
        if not pauses or not len(track.stamps_ns):
            continue
        zero_ns = int(track.stamps_ns[0])
        times_s = np.array([(begin - zero_ns, end - zero_ns) for begin, end, _ in pauses]) * 1e-9
        held = np.stack([position for _, _, position in pauses])
        since_s = (track.stamps_ns - zero_ns) * 1e-9
        tolerance = follow_tolerances(robot, output)
        found = uncommanded(times_s, held, since_s, track.rows, tolerance)
        if not found:
            continue
        worst = max(found, key=lambda each: each.end_s - each.begin_s)
        yield Finding(
            "commands_stop",
            "wrong" if robot.recordings.uncommanded == "refuse" else "doubtful",
            recording.name,
            f"no command on {command.topic} for {worst.end_s - worst.begin_s:.2f} s from "
            f"{worst.begin_s:.2f} s on, while {command.names[worst.joint]!r} moved by "
            f"{worst.distance:.3g}; {len(found)} such parts",
            f"learned as recordings: {{uncommanded: {robot.recordings.uncommanded}}} has it; "
            "leave_out, measured or refuse",
        )


def _tolerances(pair: Pair, robot: Robot) -> np.ndarray:
    output = pair.command.output
    if output is None or output.gripper is not None:  # what it holds keeps it away
        return np.full(len(pair.command.names), np.inf)
    return follow_tolerances(robot, output)


def _without_spikes(rows: np.ndarray) -> np.ndarray:
    """Return the running median over five moments of each column, (G, D)."""
    padded = np.pad(rows, ((2, 2), (0, 0)), mode="edge")
    views = np.lib.stride_tricks.sliding_window_view(padded, 5, axis=0)
    return np.asarray(np.median(views, axis=-1))


def _ranges(rows: np.ndarray, window: int) -> np.ndarray:
    """Return how far each column ranges in the windows that begin at each moment, (G, D)."""
    views = np.lib.stride_tricks.sliding_window_view(rows, window, axis=0)
    return np.asarray(np.ptp(views, axis=-1))


def _name(pair: Pair, column: int) -> str:
    return f"{pair.command.names[column]!r}"


def _since_s(pair: Pair, row: int) -> float:
    return float(pair.times_ns[row] - pair.times_ns[0]) * 1e-9
