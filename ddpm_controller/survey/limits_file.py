"""The text of a first joint-limits file: what robot_description lacks, marked with ``check:``."""

import math
from collections.abc import Iterator

from ddpm_controller.robots.robot_description import DescriptionError
from ddpm_controller.survey.choice import TWISTS, Choice, chosen, is_gripper
from ddpm_controller.survey.lines import indented, line, quoted
from ddpm_controller.survey.seen_robot import SeenRobot


def limits_file_text(name: str, seen: SeenRobot) -> str:
    """Return the text of ``NAME_limits.yaml``: an entry for everything that is commanded."""
    choice = chosen(seen)
    lines = [
        f"# Limits of {name}, in the format of MoveIt; the stricter of this and of",
        "# robot_description counts. Acceleration and jerk are derived, generously, where neither",
        "# has them. Give them from the data sheet, and how far a command may be from its joint:",
        "#   has_acceleration_limits: true",
        "#   max_acceleration: 10.0         # rad/s^2 or m/s^2",
        "#   max_step_from_measured: 0.1    # docs/how_to/own_robot.md",
        "joint_limits:",
    ]
    twists = {n for each in choice.outputs if each.commands.type in TWISTS for n in each.names}
    columns = [column for output in choice.outputs for column in output.names]
    for column in dict.fromkeys(columns or choice.observed):
        entry = list(_base_entry() if column in twists else _joint_entry(column, choice))
        lines += [f"  {quoted(column)}:{'' if entry else ' {}'}", *indented(entry, 2)]
    return "\n".join(lines) + "\n"


def _base_entry() -> Iterator[str]:
    yield line("has_velocity_limits", "true")
    yield line("max_velocity", 0.3, "check: m/s or rad/s")
    yield line("has_acceleration_limits", "true")
    yield line("max_acceleration", 0.5, "check: m/s^2 or rad/s^2")


def _joint_entry(joint: str, choice: Choice) -> Iterator[str]:
    found = choice.described.get(joint)
    if found is not None:
        try:
            limits = found.limits()
        except DescriptionError as error:
            yield f"# check: {error}"
        else:
            if math.isinf(limits.max_velocity):
                yield line("has_velocity_limits", "true")
                yield line("max_velocity", 1.0, "check: robot_description has none")
            if math.isinf(limits.max_position) and not found.is_continuous:
                yield line("min_position", -1.0, "check: robot_description has no range")
                yield line("max_position", 1.0, "check: likewise")
    if is_gripper(joint):
        yield line("follow_tolerance", ".inf", "what it holds keeps it from its command")
