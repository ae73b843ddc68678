"""Writes rosbag2 bags that can be read at any moment, and finishes those of others. No rclpy."""

import contextlib
import shutil
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from rosbags.interfaces import Connection, ConnectionExtRosbag2
from rosbags.rosbag2 import Reader
from rosbags.rosbag2.metadata import dump_qos_v9

from ddpm_controller.bags.files import RECOVERED_KEY, BagError, storage_files
from ddpm_controller.bags.message_types import OWN_PACKAGE, message_types, plain
from ddpm_controller.bags.reading.metadata import COMPRESSED
from ddpm_controller.bags.reading.unfinished import (
    RecordingMark,
    is_finished,
    mend,
    provenance_beside,
    provenance_in,
)
from ddpm_controller.bags.storages import (
    NEVER_NS,
    STORAGES,
    SUFFIXES,
    BagStorage,
    BagTopic,
    Storage,
    StorageFile,
    bag_information,
    sync,
    topic_metadata,
    write_metadata,
    yaml_text,
)

_DISK_ERRORS = (OSError, sqlite3.Error)


class BagWriteError(BagError):
    """A bag could not be written; the text names what is lost and what is not."""


class BagWriter:
    """One bag being written.

    It is in its place from the beginning: what has been flushed can be read at any moment and
    stays whatever happens to the process; ``close`` finishes it. Where the disk refuses, it is
    finished with what is there. Everything must be called from one thread, as SQLite needs.

    Args:
        folder: The bag, must not exist.
        topics: What will be written.
        provenance: Goes to ``custom_data`` of metadata.yaml.
        storage: ``mcap`` (chunks compressed with zstd) or ``sqlite3``.
        hidden: The bag is there whole or not at all: it grows in a hidden folder beside its
            place, and what an earlier process left there is removed. For what can be made again.

    Raises:
        BagWriteError: The bag exists already, a type is unknown, or the disk refuses.
    """

    def __init__(
        self,
        folder: Path,
        topics: Sequence[BagTopic],
        provenance: Mapping[str, str],
        storage: Storage = "mcap",
        *,
        hidden: bool = False,
    ) -> None:
        self.folder = folder
        self.counts: dict[str, int] = {}
        self._hidden, self._kind = hidden, storage
        self._place = folder.parent / f".{folder.name}.partial" if hidden else folder
        self._provenance = dict(provenance)
        self._topics: list[BagTopic] = []
        self._first_ns, self._last_ns = NEVER_NS, 0
        if folder.exists():
            raise BagWriteError(_exists(folder))
        if hidden and self._place.exists():
            _remove_left(self._place)
        try:
            self._place.mkdir(parents=True)
        except OSError as error:
            raise BagWriteError(
                f"cannot make bag {folder}: {error}; choose another place"
            ) from None
        with self._told():
            self._mark = RecordingMark(self._place)
            if not hidden:
                self._mark.keep_room()
            self._file: BagStorage = STORAGES[storage](self._place / self._file_name)
        try:
            for topic in topics:
                self.add(topic)
            self.note({})
            self.flush()
        except BagWriteError:
            self.abort()
            raise

    def note(self, provenance: Mapping[str, str]) -> None:
        """Add to the provenance; may be called until ``close``.

        Raises:
            BagWriteError: The disk refuses.
        """
        self._provenance |= provenance
        with self._told():
            self._file.note(yaml_text(self._information()))

    def add(self, topic: BagTopic) -> None:
        """Declare one more topic.

        Raises:
            BagWriteError: Its type is unknown, or the disk refuses.
        """
        if topic.type not in message_types().types:
            raise BagWriteError(
                f"topic {topic.name}: type {topic.type} is neither of ROS 2 Jazzy nor of "
                f"{OWN_PACKAGE}; leave the topic out"
            )
        with self._told():
            self._file.add(topic)
        self._topics.append(topic)
        self.counts[topic.name] = 0

    def write(self, topic: str, stamp_ns: int, serialized: bytes) -> None:
        """Append one serialized message (CDR with its 4-byte header).

        Raises:
            BagWriteError: The disk refuses.
        """
        with self._told():
            self._file.write(topic, stamp_ns, serialized)
        self.counts[topic] += 1
        self._first_ns = min(self._first_ns, stamp_ns)
        self._last_ns = max(self._last_ns, stamp_ns)

    def write_message(self, topic: str, stamp_ns: int, message: Any) -> None:
        """Append one message of any kind with the fields of its ROS type.

        The same message always gives the same bytes, those that DDS carries; rclpy's
        ``serialize_message`` leaves random ones in the gaps.

        Raises:
            BagWriteError: The disk refuses.
        """
        kind = next(each.type for each in self._topics if each.name == topic)
        self.write(topic, stamp_ns, bytes(message_types().serialize_cdr(plain(message), kind)))

    def flush(self) -> None:
        """Make what has been written safe from the end of this process, and readable.

        Raises:
            BagWriteError: The disk refuses.
        """
        with self._told():
            self._file.flush()

    def close(self) -> Path:
        """Finish the bag and bring it to the disk.

        Raises:
            BagWriteError: The disk refuses.
        """
        with self._told():
            self._mark.give_room()
            self._file.note(yaml_text(self._information()))
            self._file.close()
            write_metadata(self._place, self._information())
            self._mark.remove()
            if self._hidden:
                self._place.rename(self.folder)
            sync(self.folder.parent)
        return self.folder

    def abort(self) -> None:
        """Remove what was written."""
        self._let_go()
        shutil.rmtree(self._place, ignore_errors=True)

    def save(self) -> str:
        """Close the bag after a failure, with what can be saved; return what became of it."""
        written = sum(self.counts.values())
        if self._hidden or not written:
            self.abort()
            return f"Its {written} messages are not kept and the unfinished files are removed."
        self._let_go()
        try:
            kept = sum(recover(self.folder).values())
        except BagError:
            return (
                f"Of its {written} messages those that were flushed can be read; when there is "
                f"space, `ddpm record --recover {self.folder}` finishes it."
            )
        return f"{kept} of its {written} messages are in it, and it is closed."

    def __enter__(self) -> Self:
        """Return the open bag."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the bag; a hidden one is removed when there was an error."""
        if isinstance(error, BagWriteError):
            return
        if error is not None and self._hidden:
            self.abort()
        else:
            self.close()

    @property
    def _file_name(self) -> str:
        return f"{self.folder.name}{SUFFIXES[self._kind]}"

    def _information(self) -> dict[str, Any]:
        file = StorageFile(self._file_name, self.counts, self._first_ns, self._last_ns)
        topics = [topic.metadata() for topic in self._topics]
        return bag_information(self._kind, [file], topics, self._provenance)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Raise a ``BagWriteError`` for an error of the disk, after saving what can be saved."""
        try:
            yield
        except _DISK_ERRORS as error:
            raise BagWriteError(
                f"cannot write bag {self.folder}: {error}. {self.save()} Free space on the "
                "disk, or choose another place"
            ) from error

    def _let_go(self) -> None:
        if hasattr(self, "_file"):
            self._file.let_go()
        if hasattr(self, "_mark"):
            self._mark.let_go()


def recover(bag: Path) -> dict[str, int]:
    """Finish a bag, in place, with every message that is whole in it.

    Args:
        bag: Folder of a bag whose recorder was killed, or that was cut.

    Returns:
        Topic -> messages.

    Raises:
        BagError: It is being recorded, is finished, cannot be read, or there is no room to finish.
    """
    files = storage_files(bag) if bag.is_dir() else []
    if not files:
        raise BagError(f"no bag at {bag}: name the folder of one, with a storage file in it")
    if packed := [each.name for each in files if each.suffix == COMPRESSED]:
        raise BagError(f"bag {bag}: decompress {packed} first: zstd -d --rm {packed[0]}")
    if is_finished(bag) and all(map(is_finished, files)):
        raise BagError(f"bag {bag} is finished already")
    try:
        mark = RecordingMark(bag)
    except BlockingIOError:
        raise BagError(f"bag {bag} is being recorded; end the recorder first") from None
    try:
        mark.give_room()
        provenance: dict[str, str] = {}
        for file in files:
            provenance |= provenance_in(mend(file))
        counts = _finish(bag, files, provenance | provenance_beside(bag))
    except Exception as error:  # a damaged file fails inside the reader in many ways
        mark.let_go()
        raise BagError(f"bag {bag} cannot be finished: {error}") from error
    mark.remove()
    return counts


def _finish(bag: Path, files: Sequence[Path], provenance: Mapping[str, str]) -> dict[str, int]:
    """Write the metadata.yaml of whole files; return topic -> messages."""
    topics: dict[str, dict[str, Any]] = {}
    contents = []
    for file in files:
        with Reader(file) as reader:
            counts = {each.topic: each.msgcount for each in reader.connections}
            times = (reader.start_time, reader.end_time - 1) if reader.message_count else ()
            contents.append(StorageFile(file.name, counts, *times))
            topics |= {each.topic: _metadata_of(each) for each in reader.connections}
    provenance = {**provenance, RECOVERED_KEY: "its recorder did not finish it"}
    storage: Storage = "mcap" if files[0].suffix == SUFFIXES["mcap"] else "sqlite3"
    write_metadata(bag, bag_information(storage, contents, list(topics.values()), provenance))
    return {name: sum(each.counts.get(name, 0) for each in contents) for name in topics}


def _metadata_of(connection: Connection) -> dict[str, Any]:
    profiles = dump_qos_v9(cast(ConnectionExtRosbag2, connection.ext).offered_qos_profiles)
    return topic_metadata(connection.topic, connection.msgtype, profiles, connection.digest)


def _remove_left(place: Path) -> None:
    """Remove a hidden bag that a process has left, unless it is still writing."""
    try:
        mark = RecordingMark(place)
    except BlockingIOError:
        raise BagWriteError(f"{place} is being written by another process") from None
    shutil.rmtree(place, ignore_errors=True)
    mark.let_go()


def _exists(folder: Path) -> str:
    if is_finished(folder):
        return f"{folder} exists already; choose another place or remove it"
    return (
        f"{folder} exists already and was not finished: `ddpm record --recover {folder}` finishes "
        "it; choose another place"
    )
