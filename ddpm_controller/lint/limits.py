"""Joints outside their limits."""

from collections.abc import Iterator, Mapping

import numpy as np

from ddpm_controller.control.observing.plausible_joints import BEYOND
from ddpm_controller.given_files import one_line
from ddpm_controller.lint.finding import Finding, Severity
from ddpm_controller.lint.recording import Recording
from ddpm_controller.robots.robot import Robot, RobotError
from ddpm_controller.robots.robot_description import DescriptionError, described_joints

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


def known_limits(recording: Recording, robot: Robot, limits: Limits) -> Limits:
    """Return the limits of a recording: by its own robot description, where that is stricter.

    Args:
        recording: May have a description; one that does not fit the robot file is not used.
        robot: What was recorded.
        limits: What is known without it.
    """
    if not recording.urdf:
        return limits
    try:
        own = limits_of(robot, recording.urdf)
    except RobotError:
        return limits
    both = {
        name: (max(low, own[name][0]), min(high, own[name][1]))
        for name, (low, high) in limits.items()
        if name in own
    }
    return {**limits, **own, **both}


def check_description(recording: Recording, robot: Robot) -> Iterator[Finding]:
    """Yield a recording whose robot description does not have the joints of the robot file."""
    if not recording.urdf:
        return
    try:
        robot.limits(recording.urdf)
    except RobotError as error:
        text = f"its robot_description does not fit the robot file: {one_line(error)}"
        remedy = "correct the robot file, or record again with the right description"
        yield Finding("other_description", "doubtful", recording.name, text, remedy)


def turning_joints(recording: Recording) -> frozenset[str]:
    """Return the joints that turn without end by the robot description of a recording."""
    try:
        described = described_joints(recording.urdf) if recording.urdf else {}
    except DescriptionError:
        return frozenset()
    return frozenset(name for name, each in described.items() if each.is_continuous)


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
