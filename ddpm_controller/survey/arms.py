"""Several arms whose drivers use the same joint names, each in a namespace.

Their messages do not contain whose joints they have: only the topics distinguish them.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations

from ddpm_controller.survey.seen_robot import SeenCommands, SeenJoints, SeenRobot


def told_apart(seen: SeenRobot) -> SeenRobot:
    """Return the same with a prefix in front of the joints of each of several arms."""
    prefixes = _prefixes(_arms(seen))
    if not prefixes:
        return seen
    found = sorted(seen.joints, key=lambda each: each.topic)
    own = [(each, _prefix(each.topic, prefixes)) for each in found]
    arms = [(each, prefix) for each, prefix in own if prefix and _is_of_arm(each, prefixes)]
    whole = SeenJoints(
        arms[0][0].topic,
        {prefix + name: hz for each, prefix in arms for name, hz in each.rates_hz.items()},
        tuple(name for name in arms[0][0].lacks if all(name in each.lacks for each, _ in arms)),
        {each.topic: prefix for each, prefix in arms},
    )
    rest = tuple(each for each in seen.joints if each.topic not in whole.prefixes)
    return replace(
        seen,
        joints=(whole, *rest),
        commands=tuple(_named(each, _prefix(each.topic, prefixes)) for each in seen.commands),
        prefixes={
            topic: prefix
            for topic in sorted(seen.descriptions)
            if (prefix := _prefix(topic, prefixes))
        },
    )


def _arms(seen: SeenRobot) -> list[str]:
    """Return the namespaces that have commands, and joints that another such one has too."""
    joints: dict[str, set[str]] = {}
    for each in seen.joints:
        space = _parent(each.topic)
        if space and any(command.topic.startswith(f"{space}/") for command in seen.commands):
            joints.setdefault(space, set()).update(each.rates_hz)
    shared = [pair for pair in combinations(joints, 2) if joints[pair[0]] & joints[pair[1]]]
    return list(dict.fromkeys(space for pair in shared for space in pair))


def _prefixes(spaces: Sequence[str]) -> Mapping[str, str]:
    """Return namespace -> prefix, of the words that not all of them have."""
    words = {space: re.split("[/_]", space.strip("/")) for space in spaces}
    common = set.intersection(*map(set, words.values())) if words else set()
    short = {s: "_".join(word for word in w if word not in common) for s, w in words.items()}
    if not all(short.values()) or len(set(short.values())) < len(short):
        short = {space: space.strip("/") for space in spaces}
    return {space: f"{name}/" for space, name in short.items()}


def _prefix(topic: str, prefixes: Mapping[str, str]) -> str:
    """Return the prefix of the arm that a topic is of; empty: of none."""
    found = (prefix for space, prefix in prefixes.items() if topic.startswith(f"{space}/"))
    return next(found, "")


def _is_of_arm(states: SeenJoints, prefixes: Mapping[str, str]) -> bool:
    return _parent(states.topic) in prefixes


def _named(commands: SeenCommands, prefix: str) -> SeenCommands:
    joints = tuple(prefix + name for name in commands.joints)
    return replace(commands, joints=joints, prefix=prefix)


def _parent(topic: str) -> str:
    return topic.rpartition("/")[0]
