"""Ends of an episode in which nothing happens, and episodes with one command."""

from collections.abc import Iterator

import numpy as np

from ddpm_controller.lint.finding import Finding
from ddpm_controller.lint.recording import Part, Recording, measured_by
from ddpm_controller.robots.robot import Robot

IDLE_S = 2.0
"""A shorter rest is part of a demonstration."""
_KEPT_S = 0.5
_STILL = {"rad": 0.01, "m": 0.002}
_STILL_SHARE = 0.02
_MOVES = {"rad": 0.1, "m": 0.02}
_COVERED = 0.5


def check_idle(recording: Recording, robot: Robot) -> Iterator[Finding]:
    """Yield the beginnings and ends of episodes in which no joint moves and none is commanded to.

    The part that is named can be left out; what remains has half a second of rest.
    """
    for part in recording.parts:
        span = _moving(recording, part)
        if span is None:
            continue
        first_ns = max(part.begin_ns, recording.ends_ns[0])
        last_ns = min(part.end_ns, recording.ends_ns[1])
        kept_ns = round(_KEPT_S * 1e9)
        for which, begin_ns, end_ns, trim in (
            ("begin", first_ns, span[0], (part.begin_ns, span[0] - kept_ns)),
            ("end", span[1], last_ns, (span[1] + kept_ns, part.end_ns)),
        ):
            idle_s = (end_ns - begin_ns) * 1e-9
            if idle_s > IDLE_S:
                yield Finding(
                    "idle_ends",
                    "doubtful",
                    recording.name,
                    f"nothing moves for {idle_s:.2f} s at the {which}",
                    "leave this part out (--write): a policy learns to wait there",
                    part.number,
                    (recording.shift_of(trim[0]), recording.shift_of(trim[1])),
                    is_trim=True,
                )


def _moving(recording: Recording, part: Part) -> tuple[int, int] | None:
    """Return the first and last moment at which something moves; None: nothing does."""
    firsts: list[int] = []
    lasts: list[int] = []
    for track in recording.tracks:
        inside = (track.times_ns >= part.begin_ns) & (track.times_ns <= part.end_ns)
        times_ns, rows = track.times_ns[inside], track.rows[inside]
        for column in track.positions:
            known = np.isfinite(rows[:, column])
            values, moments = rows[known, column], times_ns[known]
            if len(values) < 3:
                continue
            still = max(
                _STILL[track.units[column]],
                _STILL_SHARE * float(np.ptp(np.percentile(values, [2, 98]))),
            )
            for ends, found, at in ((values[:3], firsts, 0), (values[-3:], lasts, -1)):
                away = np.flatnonzero(np.abs(values - np.median(ends)) > still)
                if len(away):
                    found.append(int(moments[away[at]]))
    return (min(firsts), max(lasts)) if firsts and lasts else None


def check_one_command(recording: Recording, robot: Robot) -> Iterator[Finding]:
    """Yield episodes in which joints move and all commands are the same, or there is one."""
    for command in recording.commands:
        measuring = measured_by(command, recording.states)
        if measuring is None or not command.points:
            continue
        state, columns = measuring
        for part in recording.parts:
            measured = _inside(state.times_ns, part)
            rows = state.rows[measured][:, columns]
            moves = [
                np.ptp(rows[np.isfinite(rows[:, i]), i]) > _MOVES[state.units[column]]
                for i, column in enumerate(columns)
                if np.isfinite(rows[:, i]).any()
            ]
            inside = np.flatnonzero(_inside(command.times_ns, part))
            # One far point is a motion: it is gone to from where the robot is.
            farthest_ns = max((int(command.points[i].after_ns[-1]) for i in inside), default=0)
            is_motion = farthest_ns > _COVERED * (part.end_ns - part.begin_ns)
            positions = [row for i in inside for row in command.points[i].positions]
            is_one = not positions or bool((np.ptp(positions, axis=0) == 0).all())
            if any(moves) and is_one and not is_motion:
                yield Finding(
                    "one_command",
                    "doubtful",
                    recording.name,
                    f"{len(inside)} commands on {command.topic}, all the same, while joints move",
                    "record what commands the motion, or learn from what is measured (recorded: "
                    "{source: measured} in the robot file)",
                    part.number,
                )


def _inside(times_ns: np.ndarray, part: Part) -> np.ndarray:
    return (times_ns >= part.begin_ns) & (times_ns <= part.end_ns)
