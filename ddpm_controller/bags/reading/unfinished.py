"""Bags that a recorder is still writing, or was when it was killed: what is whole in them.

An mcap file gets the end that it lacks, SQLite does the same by itself.
"""

import contextlib
import fcntl
import os
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import yaml
from mcap.reader import SeekingReader

from ddpm_controller.bags.reading.metadata import METADATA, metadata_of
from ddpm_controller.bags.reading.stored_bag import decompressed
from ddpm_controller.bags.reading.torn_mcap import METADATA_FIELD, MendedFile, has_end, mcap_ending

MARK = ".recording"
ROOM_BYTES = 32 * 2**20
"""Kept free for closing a bag: the summary of 30 GB of images has 3 MB, a log of SQLite 20."""


class RecordingMark:
    """A file beside a bag that is being written, locked by the process that writes it.

    It also keeps room on the disk, so that the bag can be closed when there is no other.

    Args:
        folder: The bag.

    Raises:
        BlockingIOError: Another process is writing the bag.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / MARK
        self._file = self._path.open("ab")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise

    def keep_room(self) -> None:
        """Take the room from the disk.

        Raises:
            OSError: There is not that much.
        """
        os.posix_fallocate(self._file.fileno(), 0, ROOM_BYTES)

    def give_room(self) -> None:
        """Give the room back."""
        self._file.truncate(0)

    def let_go(self) -> None:
        """Leave the mark to whoever finishes the bag."""
        self._file.close()

    def remove(self) -> None:
        """Show that the bag is finished."""
        self._path.unlink(missing_ok=True)
        self._file.close()


@dataclass(frozen=True)
class WholePart:
    """What is whole of an unfinished bag.

    Attributes:
        files: Files or what can be read as such, for ``rosbags``.
        provenance: The ``custom_data`` that was noted last.
    """

    files: list[Path | MendedFile]
    provenance: Mapping[str, str]


@contextlib.contextmanager
def whole_part(files: Sequence[Path]) -> Iterator[WholePart]:
    """Make storage files readable that lack their end, or are still growing.

    Of an SQLite file it is a copy, in a folder for temporary files.

    Raises:
        ValueError: A file does not begin as an mcap file.
        sqlite3.Error: A file is no SQLite file.
    """
    with contextlib.ExitStack() as stack:
        parts: list[Path | MendedFile] = []
        noted = ""
        for each in files:
            file = Path(str(stack.enter_context(decompressed(each))))
            if file.suffix == ".mcap":
                parts.append(mended := MendedFile(file))
                noted = mended.metadata or noted
            else:
                parts.append(copy := stack.enter_context(_copied(file)))
                noted = _noted(copy) or noted
        yield WholePart(parts, provenance_in(noted))


@contextlib.contextmanager
def _copied(file: Path) -> Iterator[Path]:
    """Copy what has been committed, also while more is being written."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / file.name
        with (
            contextlib.closing(sqlite3.connect(file)) as source,
            contextlib.closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
        yield copy


def noted_in(files: Sequence[Path]) -> dict[str, str]:
    """Return the ``custom_data`` that finished storage files hold themselves.

    Raises:
        Exception: Any, where a file is damaged.
    """
    found: dict[str, str] = {}
    for each in files:
        with decompressed(each) as file:
            path = Path(str(file))
            found |= provenance_in(_noted_mcap(path) if path.suffix == ".mcap" else _noted(path))
    return found


def _noted_mcap(file: Path) -> str:
    with file.open("rb") as stream:
        records = list(SeekingReader(stream).iter_metadata())
    texts = [each.metadata[METADATA_FIELD] for each in records if METADATA_FIELD in each.metadata]
    return texts[-1] if texts else ""


def _noted(file: Path) -> str:
    query = "SELECT metadata FROM metadata ORDER BY id DESC"
    with contextlib.closing(
        sqlite3.connect(f"file:{quote(str(file))}?mode=ro&immutable=1", uri=True)
    ) as connection:
        try:
            row = connection.execute(query).fetchone()
        except sqlite3.OperationalError:  # of an older rosbag2, which has no such table
            return ""
    return "" if row is None else str(row[0])


def is_finished(bag: Path) -> bool:
    """Whether a bag, or a storage file alone, was closed by its recorder."""
    if bag.is_dir():
        return (bag / METADATA).exists()
    if bag.suffix == ".mcap":
        return has_end(bag)
    return not any(bag.with_name(bag.name + log).exists() for log in ("-wal", "-journal"))


def mend(file: Path) -> str:
    """Make a storage file whole, in place: it keeps every whole message.

    Returns:
        Content of metadata.yaml as last noted in it; empty where it was not.

    Raises:
        OSError: There is no room for it.
        ValueError: It does not begin as an mcap file.
        sqlite3.Error: There is no room for it, it is no SQLite file, or it is in use.
    """
    if file.suffix != ".mcap":
        with contextlib.closing(sqlite3.connect(file)) as connection:
            connection.execute("PRAGMA journal_mode=DELETE")
        return _noted(file)
    ending = mcap_ending(file)
    with file.open("r+b") as stream:
        stream.seek(ending.begin)
        stream.write(ending.content)
        stream.truncate()
        stream.flush()
        os.fsync(stream.fileno())
    return ending.metadata


def provenance_in(metadata: str) -> dict[str, str]:
    """Return the ``custom_data`` of what was noted in a storage file.

    Raises:
        ValueError: It is damaged.
    """
    try:
        information = yaml.safe_load(metadata) or {}
        inside = information.get("rosbag2_bagfile_information") or information
        return dict(inside.get("custom_data") or {})
    except (yaml.YAMLError, AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"what is noted of the recording is damaged: {error}") from None


def provenance_beside(bag: Path) -> dict[str, str]:
    """Return the ``custom_data`` of a bag's metadata.yaml; empty where there is none."""
    if not (bag / METADATA).exists():
        return {}
    return dict(metadata_of(bag).get("custom_data") or {})
