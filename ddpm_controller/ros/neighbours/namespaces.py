"""States of one robot with commands of another one, as two arms in two namespaces can be mixed."""

from collections.abc import Sequence


def mixed_namespaces(states: Sequence[str], commands: Sequence[str]) -> str:
    """Return which states and commands are of namespaces apart, in words; or an empty text.

    A topic of a controller lies in its own name, below the namespace of the robot: so one of the
    two must be inside the other one.

    Args:
        states: Full names of the topics that measure the commanded joints.
        commands: Full names of the command topics.
    """
    apart = [
        each
        for some, others in ((states, commands), (commands, states))
        for each in some
        if not any(_is_inside(_namespace(each), _namespace(other)) for other in others)
    ]
    if not apart:
        return ""
    return (
        f"measured joints come on {list(states)} and commands leave on {list(commands)}: "
        f"{', '.join(apart)} is in a namespace of its own; if that is another robot, correct the "
        "topics of the robot file or the remappings"
    )


def _namespace(topic: str) -> list[str]:
    return topic.strip("/").split("/")[:-1]


def _is_inside(one: Sequence[str], other: Sequence[str]) -> bool:
    depth = min(len(one), len(other))
    return one[:depth] == other[:depth]
