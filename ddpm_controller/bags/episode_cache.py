"""Episodes of bags kept on the disk, one file a bag, so that a second start reads no bag.

A file is named by all that its content depends on: the storage files of the bag with their sizes
and times, what of the robot file decides how they are read, and the version of what reads them. So
a bag that was added or changed is read by itself, and nothing is ever out of date.
"""

import contextlib
import hashlib
import os
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ddpm_controller.bags.files import BagError, storage_files
from ddpm_controller.bags.reading.metadata import METADATA
from ddpm_controller.bags.reading.unfinished import is_finished
from ddpm_controller.control.observing.stream_rules import StreamRule
from ddpm_controller.data.episode_files import load_episodes, save_episodes
from ddpm_controller.messages.camera_view import CameraView
from ddpm_controller.robots.robot import Robot
from ddpm_controller.types import Episode

VERSION = 1
"""Raised with every change of what a bag becomes."""
MOST_BYTES = 32 << 30
SUFFIX = ".episodes"
OF_SETS = ".findings"
"""Suffix of what is kept about a set of bags, as what is doubtful in them: small files."""
MOST_OF_SETS = 256
BESIDE = ".episodes"
"""Folder beside bags, which is not taken for one of them."""
PLACES = ("user", "beside", "off")
_TORN_AFTER_S = 3600.0


@dataclass(frozen=True)
class BagContent:
    """What a bag has for a training.

    Attributes:
        episodes: In the order of recording.
        sha256: Digest of its storage files.
        views: Stream of images -> its field of view, where the bag has the calibration.
        remarks: What was warned of while it was read.
    """

    episodes: tuple[Episode, ...]
    sha256: str
    views: Mapping[str, CameraView]
    remarks: tuple[str, ...] = ()


class EpisodeCache:
    """The kept episodes of one robot's bags.

    Args:
        robot: How bags are read.
        folder: Where to keep them; None: in a folder beside each bag.
        most_bytes: Size of a folder beyond which what was used least recently is removed, but
            nothing that this object has returned.

    Attributes:
        folder: As given.
        num_kept: Number of bags that were found there.
    """

    def __init__(self, robot: Robot, folder: Path | None, most_bytes: int = MOST_BYTES) -> None:
        self._reading = _what_matters(robot)
        self.folder, self._most_bytes = folder, most_bytes
        self._used: set[Path] = set()
        self._is_refused = False
        self.num_kept = 0

    def content(self, bag: Path, read: Callable[[Path], BagContent]) -> BagContent:
        """Return what a bag has, as it was kept or as ``read`` returns it, which is then kept.

        A file that is torn or damaged is made again. Where none can be written, a warning is
        given once, and everything stays in memory.
        """
        path = self._path(bag) if is_finished(bag) else None
        if path is None:  # it may still grow
            return read(bag)
        with contextlib.suppress(OSError, ValueError):
            found = _loaded(path, bag)
            os.utime(path)
            self._used.add(path)
            self.num_kept += 1
            return found
        found = read(bag)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _save(path, found)
            self._used.add(path)
            return _loaded(path, bag)
        except OSError as error:
            if not self._is_refused:
                self._is_refused = True
                warnings.warn(
                    f"episodes cannot be kept in {path.parent}: {error}; bags are read at every "
                    "start, and their images stay in memory. Make room, or choose another place",
                    stacklevel=2,
                )
            return found

    def missing(self, bags: Sequence[Path]) -> list[Path]:
        """Return the finished bags of which nothing is kept."""
        return [bag for bag in bags if is_finished(bag) and not self._path(bag).exists()]

    def place_for(self, bags: Sequence[Path], depends_on: str) -> Path | None:
        """Return the file for something that is known of a set of bags; it need not be there.

        Args:
            bags: The set; the order and the places of the bags count.
            depends_on: What decides about it besides the bags and the way they are read.

        Returns:
            None where a bag may still grow.
        """
        if not bags or not all(map(is_finished, bags)):
            return None
        paths = [self._path(bag) for bag in bags]
        text = repr(([str(bag) for bag in bags], [each.name for each in paths], depends_on))
        return paths[0].with_name(f"{hashlib.sha256(text.encode()).hexdigest()[:32]}{OF_SETS}")

    def make_room(self) -> None:
        """Remove what was used least recently, until each folder is small enough."""
        for folder in {path.parent for path in self._used}:
            _make_room(folder, self._used, self._most_bytes)

    def _path(self, bag: Path) -> Path:
        folder = bag.parent / BESIDE if self.folder is None else self.folder
        files = storage_files(bag)
        files += [bag / METADATA] if bag.is_dir() else []
        stats = [(file.name, file.stat()) for file in files]
        facts = [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]
        key = hashlib.sha256(repr((bag.name, facts, self._reading)).encode()).hexdigest()
        return folder / f"{key[:32]}{SUFFIX}"


def cache_in(place: str, robot: Robot) -> EpisodeCache | None:
    """Return the cache of a robot's bags.

    Args:
        place: ``user``: the user's cache folder; ``beside`` the bags; ``off``: there is none.
        robot: How bags are read.

    Raises:
        BagError: It is another place.
    """
    if place not in PLACES:
        raise BagError(f"cache is one of {PLACES}, got {place!r}")
    if place == "off":
        return None
    return EpisodeCache(robot, _user_folder() if place == "user" else None)


def _user_folder() -> Path:
    """Return this user's folder; the variable DDPM_CACHE names another one."""
    if chosen := os.environ.get("DDPM_CACHE"):
        return Path(chosen) / "episodes"
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "ddpm_controller" / "episodes"


def _what_matters(robot: Robot) -> str:
    """Return a text of all that decides what messages become."""
    # Neither is about recordings; a place is a line of a file.
    streams = [replace(each, latency_s=0.0, rule=StreamRule()) for each in robot.streams]
    outputs = [replace(each, rate_hz=None) for each in robot.outputs]
    limits = [(name, replace(each, place="")) for name, each in sorted(robot.given_limits.items())]
    return repr((VERSION, streams, outputs, robot.period_s, robot.recordings, limits))


def _save(path: Path, content: BagContent) -> None:
    facts = {
        "sha256": content.sha256,
        "views": {name: asdict(view) for name, view in content.views.items()},
        "remarks": list(content.remarks),
    }
    # The rest of a source is the bag's place, which may be another one next time.
    episodes = [replace(each, source=_number(each.source)) for each in content.episodes]
    save_episodes(path, episodes, facts)


def _loaded(path: Path, bag: Path) -> BagContent:
    episodes, facts = load_episodes(path)
    try:
        return BagContent(
            tuple(replace(each, source=f"{bag}#{each.source}") for each in episodes),
            facts["sha256"],
            {name: CameraView(**view) for name, view in facts["views"].items()},
            tuple(facts["remarks"]),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged: {error!r}") from error


def _number(source: str) -> str:
    return source.rpartition("#")[2]


def _make_room(folder: Path, used: Sequence[Path] | set[Path], most_bytes: int) -> None:
    found, of_sets = [], []
    for path in folder.iterdir():
        with contextlib.suppress(OSError):  # another process may make room too
            stat = path.stat()
            is_left = path.suffix == ".partial" and time.time() - stat.st_mtime > _TORN_AFTER_S
            if is_left:
                path.unlink()
            elif path.suffix == SUFFIX:
                found.append((stat.st_mtime, stat.st_size, path))
            elif path.suffix == OF_SETS:
                of_sets.append((stat.st_mtime, path))
    for _, path in sorted(of_sets)[:-MOST_OF_SETS]:
        path.unlink(missing_ok=True)
    size = sum(each for _, each, _ in found)
    for _, each, path in sorted(found):
        if size <= most_bytes:
            return
        if path not in used:
            with contextlib.suppress(OSError):
                path.unlink()
            size -= each
