"""Limits of the columns of a twist or a pose, which no robot description has."""

import math
from collections.abc import Mapping
from dataclasses import replace

from ddpm_controller.robots.given_limits import GivenLimits
from ddpm_controller.robots.robot_description import DescriptionError

_FOLLOW = {"m": 0.02, "rad": 0.1}
"""Farthest that a pose is from where it was led, by its unit."""
_TURN = GivenLimits(-math.pi, math.pi, place="half a turn")
"""A rotation vector reaches no further."""


def cartesian_limits(
    name: str, kind: str, unit: str, given: Mapping[str, GivenLimits]
) -> GivenLimits:
    """Return the limits of one column, as the joint-limits file has them under its name.

    Raises:
        DescriptionError: The file lacks what a column of this kind needs.
    """
    if name not in given or math.isinf(given[name].max_velocity):
        raise DescriptionError(
            f"column {name!r} of a {kind} has no velocity limit, and no robot_description has it: "
            f"give {name} a max_velocity with has_velocity_limits: true in the joint-limits file"
        )
    limits = given[name]
    if kind == "twist":
        return replace(
            limits, min_position=-math.inf, max_position=math.inf, follow_tolerance=math.inf
        )
    if unit == "rad":
        limits = limits.stricter(_TURN)
    if math.isinf(limits.min_position) or math.isinf(limits.max_position):
        raise DescriptionError(
            f"{limits.place}: column {name!r} of a pose has no range: give it min_position and "
            "max_position in the joint-limits file, the box that the end effector must not leave"
        )
    if limits.follow_tolerance is None:
        limits = replace(limits, follow_tolerance=_FOLLOW[unit])
    return limits
