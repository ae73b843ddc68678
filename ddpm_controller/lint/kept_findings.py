"""Findings of a set of bags kept on the disk beside its episodes: a second start opens no bag.

A file is named by all that its content depends on: the storage files of every bag with their sizes
and times, the robot, and the code of the checks. So a set with a bag more is looked at again.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from ddpm_controller.bags.episode_cache import EpisodeCache
from ddpm_controller.data.atomic_files import write_atomically
from ddpm_controller.lint.finding import Finding
from ddpm_controller.robots.robot import Robot

_MOST_BYTES = 1 << 26


def kept_findings(
    cache: EpisodeCache | None,
    bags: Sequence[Path],
    robot: Robot,
    find: Callable[[], list[Finding]],
) -> list[Finding]:
    """Return what ``find`` finds, as it was kept or as it returns it, which is then kept.

    A file that is torn or damaged is made again; where none can be written, nothing is kept.

    Args:
        cache: Where; None: nothing is kept.
        bags: What is looked at.
        robot: What was recorded.
        find: Looks at all of them.
    """
    path = None if cache is None else cache.place_for(bags, _what_matters(robot))
    if path is None:  # none is kept, or a bag may still grow
        return find()
    with contextlib.suppress(OSError, ValueError):
        kept = _loaded(path)
        os.utime(path)
        return kept
    found = find()
    with contextlib.suppress(OSError):  # the cache of episodes has warned of it
        path.parent.mkdir(parents=True, exist_ok=True)
        _save(path, found)
    return found


def _what_matters(robot: Robot) -> str:
    """Return a text of all besides the bags that decides what is found."""
    # The places of files decide nothing.
    limits = {name: replace(each, place="") for name, each in robot.given_limits.items()}
    code = hashlib.sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        code.update(file.read_bytes())
    return repr((replace(robot, given_limits=limits, limits_file=None), code.hexdigest()))


def _save(path: Path, findings: Sequence[Finding]) -> None:
    content = json.dumps([asdict(each) for each in findings], default=int).encode()
    beside = path.with_name(f"{path.name}.{os.getpid()}.partial")
    write_atomically(path, _digest(content) + b"\n" + content, beside)


def _loaded(path: Path) -> list[Finding]:
    """Return the findings of a file.

    Raises:
        OSError: It cannot be read.
        ValueError: It is torn or damaged.
    """
    with path.open("rb") as file:
        digest, _, content = file.read(_MOST_BYTES).partition(b"\n")
    if digest != _digest(content):
        raise ValueError(f"{path} is damaged")
    found = [Finding(**each) for each in json.loads(content)]
    return [
        replace(each, part_ns=None if each.part_ns is None else (each.part_ns[0], each.part_ns[1]))
        for each in found
    ]


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()
