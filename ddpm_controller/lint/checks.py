"""All checks, in the order in which their findings are shown."""

from collections.abc import Iterator, Sequence

from ddpm_controller.lint.among_episodes import check_among, check_marks
from ddpm_controller.lint.cameras import check_exchanged, check_frozen
from ddpm_controller.lint.dropouts import check_dropouts
from ddpm_controller.lint.finding import Finding
from ddpm_controller.lint.following import (
    check_commands_stop,
    check_exchanged_joints,
    check_followed,
)
from ddpm_controller.lint.idle import check_idle, check_one_command
from ddpm_controller.lint.limits import Limits, check_description, check_limits, known_limits
from ddpm_controller.lint.names import check_names, check_namespaces, check_readable
from ddpm_controller.lint.recording import Recording
from ddpm_controller.lint.spikes import check_spikes
from ddpm_controller.lint.stamps import check_stamps
from ddpm_controller.lint.units import check_units, check_units_of_set, check_wrapped
from ddpm_controller.robots.robot import Robot

_OF_EACH = (
    check_readable,
    check_names,
    check_namespaces,
    check_description,
    check_stamps,
    check_dropouts,
    check_units,
    check_wrapped,
    check_spikes,
    check_followed,
    check_exchanged_joints,
    check_commands_stop,
    check_one_command,
    check_idle,
    check_frozen,
)
_OF_SET = (check_units_of_set, check_exchanged, check_among, check_marks)
_HIDES = {"degrees": {"not_followed", "outside_limits", "commands_stop", "wrapped_angle"}}
_HIDES["millimetres"] = _HIDES["degrees"]
_HIDES["mixed_namespaces"] = {"unreadable"}
_HIDES["exchanged_joints"] = {"not_followed", "commands_stop"}
_HIDES["commands_stop"] = _HIDES["one_command"] = {"not_followed"}
"""Kind -> kinds that follow from it and are not shown beside it; no doubt hides a mistake."""


def findings_of(recordings: Sequence[Recording], robot: Robot, limits: Limits) -> list[Finding]:
    """Return all that is doubtful, recording by recording.

    Args:
        recordings: All of a set: some are only doubtful beside the others.
        robot: What was recorded.
        limits: Positions of its joints, besides those that a recording has itself; empty: not
            known.
    """
    found = [finding for each in recordings for finding in _of_one(each, robot, limits)]
    known = {(each.recording, each.kind) for each in found}
    for check in _OF_SET:
        found += [e for e in check(recordings, robot) if (e.recording, e.kind) not in known]
    order = {each.name: number for number, each in enumerate(recordings)}
    found = list(dict.fromkeys(found))
    found.sort(key=lambda each: (order[each.recording], each.severity != "wrong"))
    return [each for each in found if not _is_hidden(each, found)]


def _of_one(recording: Recording, robot: Robot, limits: Limits) -> Iterator[Finding]:
    for check in _OF_EACH:
        yield from check(recording, robot)
    yield from check_limits(recording, known_limits(recording, robot, limits))


def _is_hidden(finding: Finding, found: Sequence[Finding]) -> bool:
    return any(
        finding.kind in _HIDES.get(each.kind, ())
        and (each.severity == "wrong" or finding.severity == "doubtful")
        for each in found
        if each.recording == finding.recording
    )
