"""A bag as it is stored: what its metadata.yaml promises, and the files with the messages."""

import tempfile
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path, PurePath
from typing import Any

import yaml
import zstandard

from ddpm_controller.bags.reading.definitions import Definition
from ddpm_controller.bags.reading.mcap_file import McapFile
from ddpm_controller.bags.reading.sqlite3_file import Sqlite3File
from ddpm_controller.bags.reading.storage_file import StorageReader, StoredMessage, StoredTopic
from ddpm_controller.bags.reading.torn_mcap import MendedFile

METADATA = "metadata.yaml"
NEWEST_VERSION = 9
"""Version of metadata.yaml that Jazzy's and Kilted's rosbag2 write."""
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # fifty times as fast


class StoredBag:
    """The files of a bag, one after the other.

    Args:
        files: Storage files in order.
        metadata: What metadata.yaml holds; empty: there is none.

    Attributes:
        topics: Recorded topic -> message type.
        counts: Recorded topic -> number of messages, as promised.

    Raises:
        Exception: Any, where a file is damaged.
    """

    def __init__(
        self, files: Sequence[Path | MendedFile], metadata: Mapping[str, Any] | None = None
    ) -> None:
        self._stack = ExitStack()
        try:
            self._open(files, metadata or {})
        except BaseException:
            self._stack.close()
            raise

    def _open(self, files: Sequence[Path | MendedFile], metadata: Mapping[str, Any]) -> None:
        mode = _compression(metadata)
        self._is_compressed = mode == "message"
        if mode == "file":
            folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
            files = [_decompressed(Path(str(each)), folder) for each in files]
        self._files: list[StorageReader] = []
        for file in files:
            self._files.append(_opened(file))
            self._stack.callback(self._files[-1].close)
        stored = [topic for file in self._files for topic in file.topics]
        self.definitions = _definitions(stored)
        promised = metadata.get("topics_with_message_count")
        rows = _rows(stored) if promised is None else _promised(promised)
        self.topics = {name: kind for name, kind, _, _ in rows}
        self.counts: Counter[str] = Counter()
        for name, _, _, count in rows:
            self.counts[name] += count
        self._formats = {name: format_ for name, _, format_, _ in rows}

    def definition(self, message_type: str) -> Definition:
        """Return what the bag has of a type."""
        return self.definitions.get(message_type, Definition(message_type))

    def messages(self, topics: Collection[str]) -> Iterator[StoredMessage]:
        """Yield the messages of some topics in the order of recording.

        Raises:
            ValueError: They are not in CDR.
        """
        others = {self._formats[topic] for topic in topics if topic in self._formats} - {"cdr"}
        if others:
            raise ValueError(f"messages are in {sorted(others)}, and only cdr is read")
        for file in self._files:
            for message in file.messages(topics):
                if self._is_compressed:
                    raw = zstandard.ZstdDecompressor().decompressobj().decompress(message.raw)
                    message = message._replace(raw=raw)
                yield message

    def close(self) -> None:
        """Close the files."""
        self._stack.close()


def metadata_of(folder: Path) -> dict[str, Any]:
    """Return what the metadata.yaml of a bag holds.

    Raises:
        ValueError: It is none.
        OSError: It cannot be read.
    """
    content = yaml.load((folder / METADATA).read_text("utf8"), Loader=_LOADER)
    found = content.get("rosbag2_bagfile_information") if isinstance(content, dict) else None
    if not isinstance(found, dict) or not isinstance(found.get("relative_file_paths"), list):
        raise ValueError(f"{METADATA} has no rosbag2_bagfile_information with its files")
    if found.get("version", 0) > NEWEST_VERSION:
        raise ValueError(
            f"{METADATA} is of version {found['version']}, the newest known is {NEWEST_VERSION}"
        )
    return found


def files_of(folder: Path, metadata: Mapping[str, Any]) -> list[Path]:
    """Return the storage files that metadata.yaml names.

    Raises:
        FileNotFoundError: One is missing.
    """
    files = [folder / PurePath(str(name)).name for name in metadata["relative_file_paths"]]
    if missing := [file.name for file in files if not file.exists()]:
        raise FileNotFoundError(f"files are missing: {missing}")
    return files


def _opened(file: Path | MendedFile) -> StorageReader:
    if file.suffix == ".mcap":
        return McapFile(file)
    if file.suffix == ".db3":
        return Sqlite3File(Path(str(file)))
    raise ValueError(f"{file} is neither an mcap nor a db3 file")


def _definitions(topics: Sequence[StoredTopic]) -> dict[str, Definition]:
    """Return type -> the first definition with a text."""
    return {
        topic.definition.type: topic.definition
        for topic in reversed(topics)
        if topic.definition.text
    }


_Row = tuple[str, str, str, int]
"""Name, type, serialization and count of a topic."""


def _rows(topics: Sequence[StoredTopic]) -> list[_Row]:
    return [(each.name, each.definition.type, each.serialization, each.count) for each in topics]


def _promised(topics: Sequence[Mapping[str, Any]]) -> list[_Row]:
    found = []
    for each in topics:
        topic = each["topic_metadata"]
        row = (topic["name"], topic["type"], topic["serialization_format"], each["message_count"])
        found.append(row)
    return found


def _compression(metadata: Mapping[str, Any]) -> str:
    """Return what is compressed beside chunks: ``file``, ``message`` or nothing."""
    mode = str(metadata.get("compression_mode") or "").lower()
    if mode in ("", "none"):
        return ""
    if metadata.get("compression_format") != "zstd":
        raise ValueError(f"compression {metadata.get('compression_format')!r} is not known")
    return mode


def _decompressed(file: Path, folder: Path) -> Path:
    target = folder / file.stem
    with file.open("rb") as source, target.open("wb") as stream:
        zstandard.ZstdDecompressor().copy_stream(source, stream)
    return target
