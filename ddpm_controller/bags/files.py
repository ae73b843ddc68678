"""Bags: found, opened, checked for damage, and read message by message. No rclpy."""

import hashlib
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

from ddpm_controller.bags.reading.definitions import (
    OtherVersionError,
    UnknownTypeError,
    deserializer,
)
from ddpm_controller.bags.reading.interfaces import FOLDER, folders_for
from ddpm_controller.bags.reading.metadata import (
    STORAGE_SUFFIXES,
    files_of,
    is_storage,
    metadata_of,
    storage_files_in,
)
from ddpm_controller.bags.reading.stored_bag import StoredBag
from ddpm_controller.bags.reading.unfinished import is_finished, noted_in, whole_part
from ddpm_controller.given_files import is_lfs_pointer, one_line
from ddpm_controller.robots.robot import Robot
from ddpm_controller.robots.robot_description import Descriptions
from ddpm_controller.robots.streams import STRING

RECOVERED_KEY = "recovered"
"""Key of the ``custom_data`` of a bag that its recorder did not finish."""


class BagError(ValueError):
    """A bag cannot be used; the text names the bag, the reason and the remedy."""


@dataclass(frozen=True)
class RecordedMessage:
    """One message of a bag.

    Attributes:
        topic: Absolute name.
        type: Message type.
        log_ns: When it was recorded, ns.
        message: The message, with the fields of its ROS type.
        serialized: The same as it was recorded, CDR.
    """

    topic: str
    type: str
    log_ns: int
    message: Any
    serialized: bytes

    @property
    def log_s(self) -> float:
        """When it was recorded, s, as a stamp of that moment is read."""
        return self.log_ns // 1_000_000_000 + self.log_ns % 1_000_000_000 * 1e-9

    @property
    def header_ns(self) -> int:
        """The message's own stamp; 0 where it has none."""
        header = getattr(self.message, "header", None)
        return 0 if header is None else header.stamp.sec * 1_000_000_000 + header.stamp.nanosec

    @property
    def stamp_ns(self) -> int:
        """Its own stamp; where it has none (a zero means none), when it was recorded."""
        return self.header_ns or self.log_ns


def find_bags(paths: Sequence[Path]) -> list[Path]:
    """Return the bags among ``paths`` and right below them, in order of name.

    A path is a bag (a folder with a storage file in it, or the storage file alone) or a
    folder of bags. Hidden folders are demonstrations that were never finished and are left out.

    Raises:
        BagError: A path does not exist, or there is no bag at all.
    """
    bags: list[Path] = []
    for path in paths:
        if not path.exists():
            raise BagError(f"no bag at {path}: there is no such file or folder")
        if is_storage(path) or _is_bag(path):
            bags.append(path)
        elif path.is_dir():
            bags.extend(child for child in sorted(path.iterdir()) if _is_bag(child))
        elif path.suffix == ".bag":
            raise BagError(
                f"{path} is a bag of ROS 1: rosbags-convert --src {path} --dst {path.stem} makes "
                "one of ROS 2 of it (pip install rosbags)"
            )
    if not bags:
        raise BagError(
            f"no bag in {[str(path) for path in paths]}: expected folders with metadata.yaml and "
            f"a {' or '.join(STORAGE_SUFFIXES)} file, as `demonstrate` and `ros2 bag` write them"
        )
    return bags


class OpenBag:
    """A bag open for reading; close it, or use it in a ``with`` statement.

    Of a bag that its recorder did not finish, or is still writing, it has every message that is
    whole, and warns. It warns too where metadata.yaml is damaged or promises fewer messages than
    the files have, which are read all the same.

    Args:
        folder: The bag, or its storage file.

    Attributes:
        topics: Recorded topic -> message type.
        provenance: The ``custom_data`` of its metadata.yaml; without one, of its storage files.
        is_whole: Whether its recorder has finished it: otherwise the end may be missing.

    Raises:
        BagError: The bag is cut or damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        _refuse_pipes(folder)
        self._files = ExitStack()
        try:
            metadata = self._metadata()
            finished = is_finished(folder) and (metadata is not None or self._has_ends())
            read = partial(self._finished, metadata or {}) if finished else self._unfinished
            self._stored, self.provenance = read()
        except Exception as error:  # a damaged file fails inside the reader in many ways
            self._files.close()
            raise _damaged(folder, error) from error
        self._files.callback(self._stored.close)
        self.topics = dict(self._stored.topics)
        self.is_whole = finished and RECOVERED_KEY not in self.provenance
        if not finished:
            warnings.warn(
                f"bag {folder} was not finished by its recorder: its "
                f"{self._stored.counts.total()} whole messages are read; "
                f"`ddpm record --recover {folder}` finishes it",
                stacklevel=2,
            )
        self._warn_of_promises()

    def _metadata(self) -> dict[str, Any] | None:
        """Return what metadata.yaml holds; None: there is none that can be used."""
        if self.folder.is_file() or not is_finished(self.folder):
            return None
        try:
            return metadata_of(self.folder)
        except ValueError as error:
            warnings.warn(
                f"bag {self.folder}: {one_line(error)}; its storage files are read without it. "
                f"Remove it, and `ddpm record --recover {self.folder}` makes it again",
                stacklevel=3,
            )
            return None

    def _has_ends(self) -> bool:
        files = storage_files(self.folder)
        if not files:
            raise ValueError("there is no storage file")
        return all(map(is_finished, files))

    def _finished(self, metadata: Mapping[str, Any]) -> tuple[StoredBag, dict[str, str]]:
        folders = folders_for(self.folder)
        if not metadata:
            files = storage_files(self.folder)
            return StoredBag(files, folders=folders), noted_in(files)
        stored = StoredBag(files_of(self.folder, metadata), metadata, folders)
        return stored, dict(metadata.get("custom_data") or {})

    def _unfinished(self) -> tuple[StoredBag, dict[str, str]]:
        part = self._files.enter_context(whole_part(storage_files(self.folder)))
        return StoredBag(part.files, folders=folders_for(self.folder)), dict(part.provenance)

    def _warn_of_promises(self) -> None:
        promised, counts = self._stored.promised, self._stored.counts
        more = [name for name, count in promised.items() if counts[name] > count]
        more += [name for name in counts if promised and name not in promised and counts[name]]
        if more:
            warnings.warn(
                f"bag {self.folder}: its storage files have more messages of {sorted(more)} than "
                "its metadata.yaml promises; all are read",
                stacklevel=3,
            )

    def messages(self, topics: Collection[str]) -> Iterator[RecordedMessage]:
        """Yield the messages of some topics in the order of recording.

        Raises:
            BagError: The bag is cut or damaged; what was yielded before is valid.
        """
        wanted = self.topics.keys() & set(topics)
        stored = self._stored
        expected = sum(max(stored.counts[n], stored.promised.get(n, 0)) for n in wanted)
        count = 0
        try:
            for topic, kind, log_ns, raw in self._stored.messages(wanted):
                message = deserializer(self._stored.definition(kind))(raw)
                yield RecordedMessage(topic, kind, log_ns, message, raw)
                count += 1
        except UnknownTypeError as error:
            raise _unknown(self.folder, str(error)) from None
        except OtherVersionError as error:
            raise BagError(
                f"bag {self.folder}: a message of {error} does not fit its definition in {FOLDER} "
                "or in an installed package, which is of another version: put the files of the "
                f"version that recorded it into {FOLDER}, in the bag or beside it"
            ) from None
        except Exception as error:  # as above
            raise _damaged(self.folder, error) from error
        if count != expected:
            reason = f"{count} messages where its index promises {expected}"
            raise _damaged(self.folder, BagError(reason))

    def close(self) -> None:
        """Close the files."""
        self._files.close()

    def __enter__(self) -> Self:
        """Return the open bag."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the files."""
        self.close()


def storage_files(bag: Path) -> list[Path]:
    """Return the storage files of a bag, in the order in which they were recorded."""
    return [bag] if bag.is_file() else storage_files_in(bag)


def digest(bag: Path) -> str:
    """Return the sha256 of a bag's storage files, hexadecimal."""
    sha256 = hashlib.sha256()
    for file in sorted(storage_files(bag)):
        with file.open("rb") as stream:
            for block in iter(lambda: stream.read(1 << 20), b""):
                sha256.update(block)
    return sha256.hexdigest()


def description_in_bag(folder: Path, robot: Robot) -> str:
    """Return the robot description that a bag has; empty where one is missing.

    Raises:
        BagError: The bag is cut or damaged.
        DescriptionError: There are several, and one of them cannot be read.
    """
    described = Descriptions(robot.descriptions)
    with OpenBag(folder) as bag:
        texts = [topic for topic, kind in bag.topics.items() if kind == STRING]
        names = {resolve_topic(name, texts): name for name in robot.descriptions}
        for each in bag.messages([topic for topic in names if topic is not None]):
            described.take(names[each.topic], each.message.data)
            if described.are_complete:
                return described.text
    return ""


def resolve_topic(name: str, topics: Collection[str]) -> str | None:
    """Return the recorded topic that a relative name means, also when recorded in a namespace.

    Raises:
        BagError: Several namespaces have it.
    """
    absolute = "/" + name.lstrip("/")
    if absolute in topics:
        return absolute
    inside = sorted(topic for topic in topics if topic.endswith(absolute))
    if len(inside) > 1:
        raise BagError(
            f"topic {name!r} is ambiguous: {inside}; write the full name in the robot file"
        )
    return inside[0] if inside else None


def _present(bag: Path) -> list[Path]:
    return storage_files(bag) if bag.exists() else []


def _is_bag(folder: Path) -> bool:
    if not folder.is_dir() or folder.name.startswith("."):
        return False
    return (folder / "metadata.yaml").exists() or any(map(is_storage, folder.iterdir()))


def _refuse_pipes(bag: Path) -> None:
    """Refuse what a reader would wait for, or read without an end."""
    for file in [bag, *bag.iterdir()] if bag.is_dir() else [bag]:
        if file.exists() and not (file.is_file() or file.is_dir()):
            raise BagError(f"bag {bag}: {file.name} is not a regular file: copy the bag again")


def _unknown(bag: Path, message_type: str) -> BagError:
    package, _, name = message_type.partition("/msg/")
    return BagError(
        f"bag {bag}: the type {message_type} has no definition in the bag, in ROS 2 or in an "
        f"installed package: source the workspace that has {package}, or put the file into "
        f"{FOLDER}/{package}/msg/{name}.msg in the bag or beside it"
    )


def _damaged(bag: Path, error: Exception) -> BagError:
    if found := [each.name for each in _present(bag) if is_lfs_pointer(each)]:
        return BagError(f"bag {bag}: {found} are only pointers of Git LFS: `git lfs pull`")
    reason = one_line(error) or type(error).__name__
    return BagError(
        f"bag {bag} is cut or damaged: {reason}. What to do: copy it again from where it was "
        f"recorded, or rescue what is left: `ddpm record --recover {bag}`"
    )
