"""Streams of which nothing came for a while."""

from collections.abc import Iterator

import numpy as np

from ddpm_controller.lint.finding import Finding
from ddpm_controller.lint.recording import Recording
from ddpm_controller.robots.robot import Robot

_PERIODS = 6.0
_LEAST_S = 0.1
"""A shorter hole holds nothing that a policy at its period would see."""
_FEW_SHARE = 0.5


def check_dropouts(recording: Recording, robot: Robot) -> Iterator[Finding]:
    """Yield streams with holes; those longer than their ``max_age_s`` are wrong.

    Compared with the usual period of the stream itself, or with that of the robot file where it
    comes far less often than that.
    """
    expected = {each.spec.name: each.spec.rate_hz for each in robot.streams}
    holding = {each.spec.name for each in robot.streams if each.spec.holds}
    for name, times_ns in _times(recording):
        if name in holding or len(times_ns) < 3:
            continue
        periods_s = np.diff(np.sort(times_ns)) * 1e-9
        usual_s = float(np.median(periods_s))
        holes = np.flatnonzero(periods_s > max(_PERIODS * usual_s, _LEAST_S))
        max_age_s = robot.max_ages_s[name]
        if len(holes):
            longest_s = float(periods_s[holes].max())
            begin_s = (np.sort(times_ns)[holes[0]] - times_ns.min()) * 1e-9
            yield Finding(
                "dropout",
                "wrong" if longest_s > max_age_s else "doubtful",
                recording.name,
                f"{name} came not for {longest_s:.2f} s ({len(holes)} holes, the first at "
                f"{begin_s:.2f} s; usually every {usual_s * 1e3:.0f} ms, max_age_s {max_age_s:g})",
                "look for a loose cable or a full disk, and record again",
            )
        elif usual_s * expected[name] > 1 / _FEW_SHARE:
            yield Finding(
                "dropout",
                "doubtful",
                recording.name,
                f"{name} came at {1 / usual_s:.3g} Hz, the robot file expects "
                f"{expected[name]:g} Hz",
                "look whether messages were lost, or correct rate_hz in the robot file",
            )


def _times(recording: Recording) -> Iterator[tuple[str, np.ndarray]]:
    """Yield streams with their moments; of a vector in parts, those of each part of it."""
    for each in recording.pictures:
        yield each.name, each.log_ns
    for track in recording.states:
        known = np.isfinite(track.rows)
        for part in np.unique(known, axis=0) if len(known) else ():
            yield track.name, track.times_ns[(known == part).all(axis=1)]
