"""A bag as it is stored: the files with the messages, and what its metadata.yaml promises."""

import tempfile
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import zstandard

from ddpm_controller.bags.reading.definitions import Definition, is_of_release
from ddpm_controller.bags.reading.interfaces import definition_from
from ddpm_controller.bags.reading.mcap_file import McapFile
from ddpm_controller.bags.reading.metadata import COMPRESSED, promised_in, release_of
from ddpm_controller.bags.reading.sqlite3_file import Sqlite3File
from ddpm_controller.bags.reading.storage_file import StorageReader, StoredMessage, StoredTopic
from ddpm_controller.bags.reading.torn_mcap import MendedFile

MOST_MESSAGE_BYTES = 1 << 28
"""Size beyond which a compressed message is taken for damage; 8192 x 8192 pixels are 200 MB."""
_ZSTD = b"\x28\xb5\x2f\xfd"
"""How a compressed message begins; no message in CDR does."""


class StoredBag:
    """The files of a bag, one after the other.

    Args:
        files: Storage files in order; those that are compressed are decompressed beside.
        metadata: What metadata.yaml holds; empty: there is none.
        folders: Where definitions of types may be, besides in the files.

    Attributes:
        topics: Recorded topic -> message type.
        counts: Recorded topic -> number of messages, by the files.
        promised: The same by metadata.yaml; empty where there is none.

    Raises:
        Exception: Any, where a file is damaged.
    """

    def __init__(
        self,
        files: Sequence[Path | MendedFile],
        metadata: Mapping[str, Any] | None = None,
        folders: Sequence[Path] = (),
    ) -> None:
        self._stack, self._folders = ExitStack(), folders
        try:
            self._open(files, metadata or {})
        except BaseException:
            self._stack.close()
            raise

    def _open(self, files: Sequence[Path | MendedFile], metadata: Mapping[str, Any]) -> None:
        other = str(metadata.get("compression_format") or "zstd")
        mode = str(metadata.get("compression_mode") or "none").lower()
        if mode != "none" and other != "zstd":
            raise ValueError(f"compression {other!r} is not known")
        self._files: list[StorageReader] = []
        for file in files:
            self._files.append(_opened(self._stack.enter_context(decompressed(file))))
            self._stack.callback(self._files[-1].close)
        stored = [topic for file in self._files for topic in file.topics]
        self._release = release_of(metadata)
        self._definitions = _definitions(stored)
        promised = promised_in(metadata)
        self.topics = {name: kind for name, (kind, _) in promised.items()}
        self.topics |= {each.name: each.definition.type for each in stored}
        self.promised = {name: count for name, (_, count) in promised.items()}
        self.counts: Counter[str] = Counter()
        for each in stored:
            self.counts[each.name] += each.count
        self._formats = {each.name: each.serialization for each in stored}

    def definition(self, message_type: str) -> Definition:
        """Return what is known of a type: by the bag, a release of ROS 2, or a file beside it."""
        if message_type not in self._definitions:
            found = Definition(message_type, release=self._release)
            if not is_of_release(found):
                found = found._replace(text=definition_from(message_type, self._folders))
            self._definitions[message_type] = found
        return self._definitions[message_type]

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
                if message.raw[:4] == _ZSTD:
                    message = message._replace(raw=_unpacked(message.raw))
                yield message

    def close(self) -> None:
        """Close the files."""
        self._stack.close()


@contextmanager
def decompressed(file: Path | MendedFile) -> Iterator[Path | MendedFile]:
    """Have the content of a file that is compressed as a whole, in a folder for temporary files.

    Raises:
        zstandard.ZstdError: It is damaged.
    """
    if file.suffix != COMPRESSED:
        yield file
        return
    path = Path(str(file))
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / path.stem
        with path.open("rb") as source, target.open("wb") as stream:
            zstandard.ZstdDecompressor().copy_stream(source, stream)
        yield target


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


def _unpacked(raw: bytes) -> bytes:
    """Return the content of a compressed message.

    Raises:
        ValueError: It is larger than any message.
    """
    with zstandard.ZstdDecompressor().stream_reader(raw) as stream:
        content = stream.read(MOST_MESSAGE_BYTES + 1)
    if len(content) > MOST_MESSAGE_BYTES:
        raise ValueError(f"a message of more than {MOST_MESSAGE_BYTES} bytes")
    return content
