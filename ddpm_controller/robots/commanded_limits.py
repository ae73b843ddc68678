"""Limits of what is commanded, from the robot description and the joint-limits file.

The columns of a twist or a pose no robot description has: they are in the file alone.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ddpm_controller.robots.given_limits import GivenLimits
from ddpm_controller.robots.lined_yaml import nearest
from ddpm_controller.robots.robot_description import DescribedJoint, DescriptionError

FOLLOW_RAD, FOLLOW_M = 0.1, 0.02
"""Farthest that a joint that follows is from where it was led: a sag of an arm is less."""
_TURN = GivenLimits(-math.pi, math.pi, place="half a turn")
"""A rotation vector reaches no further."""
_SUFFIX = "_joint"
_FEWEST_WITH_PREFIX = 2
"""Keys of a file that must share a prefix: one alone could mean a joint by chance."""


def commanded_limits(
    joints: Mapping[str, DescribedJoint],
    names: Sequence[str],
    given: Mapping[str, GivenLimits],
) -> list[GivenLimits]:
    """Return the stricter of description and file for every joint of ``names``.

    Args:
        joints: All joints of the description.
        names: Commanded joints.
        given: Key of the joint-limits file -> its limits.

    Raises:
        DescriptionError: A joint is missing or cannot be commanded, has no velocity or no range
            in either, they contradict, or the file names a joint that the robot does not have.
    """
    missing = [name for name in names if name not in joints]
    if missing:
        raise DescriptionError(
            f"robot_description has no joint {missing}: it has {sorted(joints)}, the robot file "
            f"{list(names)}{nearest(missing[0], joints)}"
        )
    by_joint = _by_joint(given, joints)
    return [_limits(joints[name], by_joint.get(name)) for name in names]


def _limits(joint: DescribedJoint, given: GivenLimits | None) -> GivenLimits:
    limits = joint.limits()
    if given is not None:
        try:
            limits = limits.stricter(given)
        except ValueError as error:
            raise DescriptionError(f"joint {joint.name!r}: {error}") from None
    who = f"{joint.place}: {joint.kind} joint {joint.name!r}"
    if math.isinf(limits.max_velocity):
        raise DescriptionError(
            f"{who} has no velocity in <limit>: give it there, or max_velocity with "
            "has_velocity_limits: true in the joint-limits file"
        )
    bounded = math.isfinite(limits.min_position) and math.isfinite(limits.max_position)
    if not (bounded or joint.is_continuous):
        raise DescriptionError(
            f"{who} has no lower and upper in <limit>: give them there, or min_position and "
            "max_position in the joint-limits file"
        )
    if limits.follow_tolerance is not None:
        return limits
    usual = FOLLOW_M if joint.kind == "prismatic" else FOLLOW_RAD
    return replace(limits, follow_tolerance=usual)


def _by_joint(
    given: Mapping[str, GivenLimits], joints: Iterable[str]
) -> Mapping[str, GivenLimits]:
    """Return joint -> limits of the file; a key may lack the robot's prefix and ``_joint``."""
    names = set(joints)
    prefix = _prefix(given, names)
    found: dict[str, GivenLimits] = {}
    for key, limits in given.items():
        name = _joint_of(key, prefix, names)
        if name is None:
            raise DescriptionError(
                f"{limits.place}: {key!r} is no joint of robot_description, which has "
                f"{sorted(names)}{nearest(key, names)}"
            )
        if name in found:
            raise DescriptionError(
                f"{limits.place}: {key!r} means joint {name!r}, and so does another key "
                f"({found[name].place}): remove one of them"
            )
        found[name] = limits
    return found


def _joint_of(key: str, prefix: str, names: set[str]) -> str | None:
    """Return the joint that a key means, None where there is none."""
    forms = (key, key + _SUFFIX, prefix + key, prefix + key + _SUFFIX)
    return next((form for form in forms if form in names), None)


def _prefix(given: Mapping[str, GivenLimits], names: set[str]) -> str:
    """Return the prefix that gives most keys a joint; empty where none gives several one.

    Raises:
        DescriptionError: Several do, as where one file describes both arms of a robot.
    """
    keys = [key for key in given if _joint_of(key, "", names) is None]
    ends = [key + end for key in keys for end in ("", _SUFFIX)]
    tried = {name.removesuffix(end) for end in ends for name in names if name.endswith(end)}
    counts = {each: sum(_joint_of(key, each, names) is not None for key in keys) for each in tried}
    most = max(counts.values(), default=0)
    if most < _FEWEST_WITH_PREFIX:
        return ""
    fitting = sorted(each for each, count in counts.items() if count == most)
    if len(fitting) > 1:
        raise DescriptionError(
            f"{given[keys[0]].place}: {keys} mean joints with any of the prefixes {fitting}: "
            "write the names of the joints in full"
        )
    return fitting[0]


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
        limits = replace(limits, follow_tolerance=FOLLOW_RAD if unit == "rad" else FOLLOW_M)
    return limits
