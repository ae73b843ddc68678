"""Demonstrations that are doubted before they are learned.

What is found is kept beside the episodes, so that a second start opens no bag. The file is named
by all that its content depends on: the storage files of every bag with their sizes and times, the
robot, and the code of the checks. So a set with a bag more is looked at again.
"""

import contextlib
import hashlib
import os
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ddpm_controller.bags.episode_cache import EpisodeCache
from ddpm_controller.bags.episodes import Demonstrations, OnProgress, read_demonstrations
from ddpm_controller.bags.files import BagError, find_bags
from ddpm_controller.data.kept_json import load_json, save_json
from ddpm_controller.lint.checks import findings_of
from ddpm_controller.lint.finding import Finding
from ddpm_controller.lint.leave_out import LeaveOut
from ddpm_controller.lint.limits import limits_of
from ddpm_controller.lint.reading import read_recording
from ddpm_controller.robots.robot import Robot

LEFT_OUT = "leave_out"
"""Key of a checkpoint's provenance: what was not learned of its bags."""
_DECIDED = {"dropout", "spike_in_state", "spike_in_command", "unreadable", "commands_stop"}
"""Kinds that reading decides by itself: it refuses the bag, or leaves that part out."""
_MOST_LINES = 12


def chosen_demonstrations(
    paths: Sequence[Path],
    robot: Robot,
    leave_out: LeaveOut,
    *,
    cache: EpisodeCache | None = None,
    progress: OnProgress = lambda done, total: None,
) -> Demonstrations:
    """Return the successful episodes of bags without what is left out.

    Raises:
        BagError: As ``read_demonstrations``, or nothing is left.
    """
    bags = leave_out.bags(find_bags(paths))
    found = read_demonstrations(bags, robot, cache=cache, progress=progress)
    if not leave_out.leave_out:
        return found
    entries = [each.model_dump(exclude_none=True) for each in leave_out.leave_out]
    episodes = tuple(leave_out.episodes(found.episodes))
    return replace(found, episodes=episodes, provenance={**found.provenance, LEFT_OUT: entries})


def doubts(
    paths: Sequence[Path],
    robot: Robot,
    leave_out: LeaveOut,
    demonstrations: Demonstrations,
    *,
    cache: EpisodeCache | None = None,
) -> list[Finding]:
    """Return what is doubtful in the bags that demonstrations come from.

    Args:
        paths: As they were given to ``chosen_demonstrations``.
        robot: What was recorded.
        leave_out: What is not learned: a part of it is not doubted.
        demonstrations: What was read; bags that reading has refused are not looked at again.
        cache: Where findings are kept, so that a second start opens no bag. None: they are not.
    """
    used = {each.source.partition("#")[0] for each in demonstrations.episodes}
    bags = [bag for bag in leave_out.bags(find_bags(paths)) if bag.name in used]
    found = _found(bags, robot) if cache is None else _kept(cache, bags, robot)
    return [
        replace(each, severity="doubtful") if each.kind in _DECIDED else each
        for each in found
        if not leave_out.has(each)
    ]


def _found(bags: Sequence[Path], robot: Robot) -> list[Finding]:
    recordings = [read_recording(bag, robot) for bag in bags]
    return findings_of(recordings, robot, limits_of(robot))


def _kept(cache: EpisodeCache, bags: Sequence[Path], robot: Robot) -> list[Finding]:
    """Return what is found, as it was kept or as it is found now, which is then kept.

    A file that is torn or damaged is made again; where none can be written, nothing is kept.
    """
    path = cache.place_for(bags, _what_matters(robot))
    if path is None:  # a bag may still grow
        return _found(bags, robot)
    with contextlib.suppress(OSError, ValueError):
        kept = [_finding(each) for each in load_json(path)]
        os.utime(path)
        return kept
    found = _found(bags, robot)
    with contextlib.suppress(OSError):  # the cache has warned of it
        path.parent.mkdir(parents=True, exist_ok=True)
        save_json(path, [asdict(each) for each in found])
    return found


def _finding(kept: dict[str, Any]) -> Finding:
    """Return a finding of what ``asdict`` and JSON have made of it."""
    part_ns = kept.pop("part_ns")
    return Finding(**kept, part_ns=None if part_ns is None else (part_ns[0], part_ns[1]))


def _what_matters(robot: Robot) -> str:
    """Return a text of all besides the bags that decides what is found."""
    # The places of files decide nothing.
    limits = {name: replace(each, place="") for name, each in robot.given_limits.items()}
    code = hashlib.sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        code.update(file.read_bytes())
    return repr((replace(robot, given_limits=limits, limits_file=None), code.hexdigest()))


def refuse_wrong(findings: Sequence[Finding], remedy: str) -> None:
    """Raise where something is surely wrong.

    Args:
        findings: From ``doubts``.
        remedy: How to have it learned all the same.

    Raises:
        BagError: With the bags, what was seen, and the remedy.
    """
    lines = [f"{each.where}: {each.text}" for each in findings if each.severity == "wrong"]
    if lines:
        raise BagError(
            "\n  ".join(["what is surely wrong is not learned:", *shortened(lines)])
            + f"\n`ddpm lint` shows the remedies. {remedy}"
        )


def shortened(lines: Sequence[str]) -> list[str]:
    """Return lines; of very many the first ones."""
    more = [f"and {len(lines) - _MOST_LINES} more"] if len(lines) > _MOST_LINES else []
    return [*lines[:_MOST_LINES], *more]
