"""An mcap file without its end: read, and finished, with every message that is whole in it.

A reader finds its way by the summary at the end. Where that is missing, the records are looked
through, and what has to follow the last whole one is made: the whole messages of a torn chunk,
its index, and a summary.
"""

import io
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Self

import zstandard
from mcap.data_stream import ReadDataStream, RecordBuilder
from mcap.exceptions import EndOfFile
from mcap.opcode import Opcode
from mcap.records import (
    Channel,
    Chunk,
    ChunkIndex,
    DataEnd,
    Footer,
    MessageIndex,
    Metadata,
    MetadataIndex,
    Schema,
    Statistics,
)
from mcap.stream_reader import get_chunk_data_stream

MAGIC = b"\x89MCAP0\r\n"
METADATA_FIELD = "serialized_metadata"
"""Where rosbag2 keeps the content of metadata.yaml in a record of metadata."""
_HEAD = struct.Struct("<BQ")
"""Kind and length of a record."""
_MESSAGE = struct.Struct("<HIQQ")
"""Channel, sequence number, time in the bag and time of publishing of a message."""
_INDEX_ENTRY_BYTES = 16


@dataclass(frozen=True)
class Ending:
    """What makes a finished file of an unfinished mcap file.

    Attributes:
        begin: Size of what is kept of the file, bytes.
        content: What follows there.
        metadata: Content of metadata.yaml as last noted in the file; empty where it was not.
    """

    begin: int
    content: bytes
    metadata: str


def mcap_ending(path: Path) -> Ending:
    """Look through an mcap file up to its last whole record.

    Raises:
        ValueError: It does not begin as an mcap file.
    """
    with path.open("rb") as file:
        size = path.stat().st_size
        first = next(_records(file, len(MAGIC), size), None)
        file.seek(0)
        if file.read(len(MAGIC)) != MAGIC or first is None or first.end > size:
            raise ValueError(f"{path} does not begin as an mcap file")
        return _Unfinished(file, size).ending()


def has_end(path: Path) -> bool:
    """Whether a file ends as a finished mcap file does; nothing else of it is looked at."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - len(MAGIC)))
        return file.read() == MAGIC and file.tell() > len(MAGIC)


class _Record(NamedTuple):
    """Where a record of an mcap file lies, and its kind."""

    begin: int
    kind: int
    end: int


def _records(file: BinaryIO, begin: int, size: int) -> Iterator[_Record]:
    """Yield every record, the file at its content; the last one may end behind ``size``."""
    while begin + _HEAD.size <= size:
        file.seek(begin)
        kind, length = _HEAD.unpack(file.read(_HEAD.size))
        if not kind:  # zeros, which a power cut leaves
            return
        end = begin + _HEAD.size + length
        yield _Record(begin, kind, end)
        begin = end


@dataclass
class _Messages:
    """What is whole in a chunk.

    Attributes:
        raw: Its records, not compressed.
        schemas: By number.
        channels: By number.
        index: Channel -> time and position of each message.
    """

    raw: bytes
    schemas: dict[int, Schema] = field(default_factory=dict)
    channels: dict[int, Channel] = field(default_factory=dict)
    index: dict[int, list[tuple[int, int]]] = field(default_factory=dict)

    @classmethod
    def among(cls, raw: bytes) -> Self:
        """Look through the records of a chunk, which may be cut."""
        file, found, whole = io.BytesIO(raw), cls(raw), 0
        for record in _records(file, 0, len(raw)):
            if record.end > len(raw):
                break
            whole = record.end
            if record.kind == Opcode.MESSAGE:
                number, _, log_ns, _ = _MESSAGE.unpack(file.read(_MESSAGE.size))
                found.index.setdefault(number, []).append((log_ns, record.begin))
            elif record.kind == Opcode.SCHEMA:
                schema = Schema.read(ReadDataStream(file))
                found.schemas[schema.id] = schema
            elif record.kind == Opcode.CHANNEL:
                channel = Channel.read(ReadDataStream(file))
                found.channels[channel.id] = channel
        found.raw = raw[:whole]
        return found

    def chunk(self) -> Chunk:
        """Return a chunk of these records."""
        times_ns = [log_ns for rows in self.index.values() for log_ns, _ in rows]
        return Chunk(
            compression="zstd",
            data=zstandard.compress(self.raw),
            message_start_time=min(times_ns),
            message_end_time=max(times_ns),
            uncompressed_crc=0,
            uncompressed_size=len(self.raw),
        )


class _Unfinished:
    """An mcap file up to its last whole record, and what makes it a finished one.

    Args:
        file: An mcap file.
        size: Size of the file, bytes; what is appended later is left alone.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._size = file, size
        self._schemas: dict[int, Schema] = {}
        self._channels: dict[int, Channel] = {}
        self._chunks: list[ChunkIndex] = []
        self._counts: Counter[int] = Counter()
        self._notes: list[MetadataIndex] = []
        self._metadata = ""

    def ending(self) -> Ending:
        """Look through the file, and make what is missing."""
        records, last = self._split()
        for record in records:
            self._take(self._file, record)
        self._name_channels()
        begin = records[-1].end if last is None else last.begin
        again = b"" if last is None else self._written_again(last)
        for record in _records(io.BytesIO(again), 0, len(again)):
            self._take(io.BytesIO(again), record, begin)
        content = RecordBuilder()
        content.write(again)
        DataEnd(0).write(content)
        self._write_summary(begin + content.count, content)
        content.write(MAGIC)
        return Ending(begin, content.end(), self._metadata)

    def _split(self) -> tuple[list[_Record], _Record | None]:
        """Return the records that stay, and a last chunk that may be torn or lack its index."""
        records = [_Record(0, 0, len(MAGIC))]
        for record in _records(self._file, len(MAGIC), self._size):
            if record.kind in (Opcode.DATA_END, Opcode.FOOTER):
                break
            if record.end <= self._size or record.kind == Opcode.CHUNK:
                records.append(record)
        before = [each for each in records if each.kind != Opcode.MESSAGE_INDEX]
        if before[-1].kind != Opcode.CHUNK:
            return records, None
        return records[: records.index(before[-1])], before[-1]

    def _take(self, file: BinaryIO, record: _Record, shift: int = 0) -> None:
        """Note what a summary needs of a record, which will lie ``shift`` further behind."""
        begin, length = record.begin + shift, record.end - record.begin
        stream = _content(file, record)
        if record.kind == Opcode.CHUNK:
            self._chunks.append(_chunk_index(stream, begin, length))
        elif record.kind == Opcode.MESSAGE_INDEX and self._chunks:
            channel, size = stream.read2(), stream.read4()
            self._chunks[-1].message_index_offsets[channel] = begin
            self._chunks[-1].message_index_length += length
            self._counts[channel] += size // _INDEX_ENTRY_BYTES
        elif record.kind == Opcode.METADATA:
            note = Metadata.read(stream)
            self._notes.append(MetadataIndex(begin, length, note.name))
            self._metadata = note.metadata.get(METADATA_FIELD, self._metadata)

    def _written_again(self, record: _Record) -> bytes:
        """Return a chunk and its index; of a torn one, what is whole in it."""
        is_whole = record.end <= self._size
        present = record._replace(end=min(record.end, self._size))
        chunk = _chunk(self._file, present)
        messages = _Messages.among(_decompressed(chunk, is_whole=is_whole))
        self._learn(messages)
        content = RecordBuilder()
        if messages.index:
            # A whole one comes out byte by byte as it is: writing it over itself is safe.
            (chunk if is_whole else messages.chunk()).write(content)
        for channel, rows in messages.index.items():
            MessageIndex(channel, rows).write(content)
        return content.end()

    def _name_channels(self) -> None:
        """Find the names of all channels, which lie in the chunks, as a rule with a first message.

        Only such chunks are decompressed, unless that is not enough.
        """
        for is_enough in (True, False):
            for chunk in self._chunks:
                if chunk.message_index_offsets.keys() <= self._channels.keys() and is_enough:
                    continue
                begin = chunk.chunk_start_offset
                record = _Record(begin, Opcode.CHUNK, begin + chunk.chunk_length)
                whole = _decompressed(_chunk(self._file, record), is_whole=True)
                self._learn(_Messages.among(whole))
            if self._counts.keys() <= self._channels.keys():
                return

    def _learn(self, messages: _Messages) -> None:
        self._schemas |= messages.schemas
        self._channels |= messages.channels

    def _write_summary(self, begin: int, content: RecordBuilder) -> None:
        """Write what lets a reader find everything; without chunks it has to look anyway."""
        if not self._chunks:
            Footer(0, 0, 0).write(content)
            return
        statistics = Statistics(
            attachment_count=0,
            channel_count=len(self._channels),
            channel_message_counts=dict(self._counts),
            chunk_count=len(self._chunks),
            message_count=self._counts.total(),
            message_end_time=max(chunk.message_end_time for chunk in self._chunks),
            message_start_time=min(chunk.message_start_time for chunk in self._chunks),
            metadata_count=len(self._notes),
            schema_count=len(self._schemas),
        )
        names = [*self._schemas.values(), *self._channels.values()]
        for record in [*names, statistics, *self._chunks, *self._notes]:
            record.write(content)
        Footer(begin, 0, 0).write(content)


def _content(file: BinaryIO, record: _Record) -> ReadDataStream:
    file.seek(record.begin + _HEAD.size)
    return ReadDataStream(file)


def _chunk_index(stream: ReadDataStream, begin: int, length: int) -> ChunkIndex:
    """Return the entry of a chunk in a summary, from the beginning of the chunk."""
    begin_ns, end_ns, size = stream.read8(), stream.read8(), stream.read8()
    stream.read4()  # checksum
    return ChunkIndex(
        chunk_length=length,
        chunk_start_offset=begin,
        compression=stream.read_prefixed_string(),
        compressed_size=stream.read8(),
        message_end_time=end_ns,
        message_index_length=0,
        message_index_offsets={},
        message_start_time=begin_ns,
        uncompressed_size=size,
    )


def _chunk(file: BinaryIO, record: _Record) -> Chunk:
    """Return a chunk of a file; of a torn one, its content as far as it is there."""
    file.seek(record.begin + _HEAD.size)
    present = io.BytesIO(file.read(record.end - record.begin - _HEAD.size))
    try:
        return Chunk.read(ReadDataStream(present))
    except (EndOfFile, struct.error, UnicodeDecodeError):  # not even its head is there
        return Chunk("", b"", 0, 0, 0, 0)


def _decompressed(chunk: Chunk, *, is_whole: bool) -> bytes:
    """Return the records of a chunk; of a torn one, as far as they can be decompressed."""
    try:
        if is_whole:
            stream, size = get_chunk_data_stream(chunk)
            return stream.read(size)
        if chunk.compression == "zstd":
            return zstandard.ZstdDecompressor().decompressobj().decompress(chunk.data)
    except (zstandard.ZstdError, RuntimeError):  # never written, though there is room for it
        return b""
    return chunk.data if not chunk.compression else b""


class MendedFile:
    """An unfinished mcap file that is read as a finished one; the file stays as it is.

    Has what ``rosbags`` needs of a path.

    Args:
        path: The file.

    Attributes:
        suffix: As of a path.
        metadata: As in ``Ending``.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._ending = path, mcap_ending(path)
        self.suffix, self.metadata = path.suffix, self._ending.metadata

    def exists(self) -> bool:
        """Return True."""
        return True

    def is_dir(self) -> bool:
        """Return False."""
        return False

    def open(self, mode: str) -> BinaryIO:
        """Open it for reading."""
        kept = self._path.open(mode, buffering=0)
        return io.BufferedReader(_Joined(kept, self._ending))

    def __str__(self) -> str:
        return str(self._path)


class _Joined(io.RawIOBase):
    """What is kept of a file, and what follows, as one stream."""

    def __init__(self, file: Any, ending: Ending) -> None:
        self._file, self._ending, self._position = file, ending, 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer as far as one of both parts goes; return the number of bytes."""
        begin, size = self._ending.begin, len(buffer)
        if self._position < begin:
            self._file.seek(self._position)
            found = self._file.read(min(size, begin - self._position))
        else:
            found = self._ending.content[self._position - begin :][:size]
        buffer[: len(found)] = found
        self._position += len(found)
        return len(found)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position."""
        size = self._ending.begin + len(self._ending.content)
        self._position = (
            offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: size}[whence]
        )
        return self._position

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()
