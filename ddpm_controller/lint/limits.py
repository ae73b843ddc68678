"""Joints outside their limits."""

from collections.abc import Iterator, Mapping

import numpy as np

from ddpm_controller.control.observing.plausible_joints import BEYOND
from ddpm_controller.lint.finding import Finding, Severity
from ddpm_controller.lint.recording import Recording
from ddpm_controller.robots.robot import Robot

Limits = Mapping[str, tuple[float, float]]
"""Joint -> its lowest and highest position."""
_COMMANDED_BEYOND = {"rad": 0.01, "m": 0.002}
"""A command this far outside would be changed when it is sent."""


def limits_of(robot: Robot, urdf: str = "") -> Limits:
    """Return the limits that are known: of the robot description, or of the limits file alone.

    Raises:
        RobotError: The description lacks a joint or contradicts the limits file.
    """
    names = robot.action_spec.joint_names
    if urdf:
        limits = robot.limits(urdf)
        return dict(zip(names, zip(limits.lower, limits.upper, strict=True), strict=True))
    given = robot.given_limits
    return {name: (each.min_position, each.max_position) for name, each in given.items()}


def check_limits(recording: Recording, limits: Limits) -> Iterator[Finding]:
    """Yield joints that are outside their limits for a while, measured or commanded."""
    for track in recording.tracks:
        beyond = BEYOND if track.output is None else _COMMANDED_BEYOND
        what = "measured" if track.output is None else "commanded"
        for column in track.positions:
            name, unit = track.names[column], track.units[column]
            if name not in limits or not len(track.rows):
                continue
            low, high = limits[name]
            if np.isinf([low, high]).all():
                continue
            values = track.rows[:, column]
            outside = np.fmax(low - values, values - high)  # m or rad, above 0 outside
            share = float(np.nanmean(outside > beyond[unit]))
            most = float(np.nanpercentile(outside, 100 * (1 - max(share / 2, 0.001))))
            if share < 0.001 or (outside > beyond[unit]).sum() < 4:
                continue  # single ones are spikes
            how: Severity = "wrong" if most > high - low else "doubtful"
            yield Finding(
                "outside_limits",
                how,
                recording.name,
                f"{name!r} is {what} up to {most:.3g} {unit} outside {low:.4g} to {high:.4g}, in "
                f"{share:.0%} of the messages of {track.name}",
                "correct the calibration, the units, or the limits; outside them nothing is sent",
            )
