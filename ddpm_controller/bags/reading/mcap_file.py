"""One mcap file: found through its summary, and looked through where it has none."""

import struct
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from mcap.data_stream import ReadDataStream
from mcap.opcode import Opcode
from mcap.reader import NonSeekingReader, SeekingReader
from mcap.records import Channel, Chunk, ChunkIndex, Message, Schema
from mcap.stream_reader import StreamReader, get_chunk_data_stream

from ddpm_controller.bags.reading.definitions import Definition
from ddpm_controller.bags.reading.storage_file import StoredMessage, StoredTopic
from ddpm_controller.bags.reading.torn_mcap import MendedFile

_HEAD = struct.Struct("<BQ")
"""Kind and length of a record."""
_MESSAGE = struct.Struct("<HIQQ")
"""Channel, sequence number, time in the bag and time of publishing of a message."""


class McapFile:
    """An mcap file open for reading.

    Args:
        path: The file.

    Attributes:
        topics: In the order of their channels; a topic of two types is there twice.

    Raises:
        Exception: Any, where it is damaged.
    """

    def __init__(self, path: Path | MendedFile) -> None:
        self._file = path.open("rb")
        try:
            self._chunks: list[ChunkIndex] = []
            self._channels, counts = self._indexed() or self._scanned()
        except BaseException:
            self._file.close()
            raise
        self.topics = tuple(
            StoredTopic(topic, definition, encoding, counts[number])
            for number, (topic, definition, encoding) in self._channels.items()
        )

    def _indexed(self) -> tuple[dict[int, tuple[str, Definition, str]], Mapping[int, int]] | None:
        """Return the channels and their counts by the summary; None: it does not have them."""
        summary = SeekingReader(self._file).get_summary()
        if summary is None or summary.statistics is None or not summary.chunk_indexes:
            return None
        if any(each.schema_id not in summary.schemas for each in summary.channels.values()):
            return None
        self._chunks = sorted(summary.chunk_indexes, key=lambda each: each.message_start_time)
        counts = Counter(summary.statistics.channel_message_counts)
        return _named(summary.channels, summary.schemas), counts

    def _scanned(self) -> tuple[dict[int, tuple[str, Definition, str]], Mapping[int, int]]:
        schemas: dict[int, Schema] = {}
        channels: dict[int, Channel] = {}
        counts: Counter[int] = Counter()
        self._file.seek(0)
        for record in StreamReader(self._file, validate_crcs=True).records:
            if isinstance(record, Schema):
                schemas[record.id] = record
            elif isinstance(record, Channel):
                channels[record.id] = record
            elif isinstance(record, Message):
                counts[record.channel_id] += 1
        return _named(channels, schemas), counts

    def messages(self, topics: Collection[str]) -> Iterator[StoredMessage]:
        """Yield the messages of some topics in the order of recording."""
        wanted = {
            number: (topic, definition.type)
            for number, (topic, definition, _) in self._channels.items()
            if topic in topics
        }
        if not self._chunks:
            yield from self._unindexed(topics)
            return
        waiting: list[StoredMessage] = []
        for chunk in self._chunks:
            if chunk.message_index_offsets and not wanted.keys() & chunk.message_index_offsets:
                continue
            # What is earlier than this and every later chunk, whose times may overlap.
            done = bisect_left(waiting, chunk.message_start_time, key=_log_ns)
            yield from waiting[:done]
            waiting = sorted([*waiting[done:], *self._of_chunk(chunk, wanted)], key=_log_ns)
        yield from waiting

    def _unindexed(self, topics: Collection[str]) -> Iterator[StoredMessage]:
        self._file.seek(0)
        for schema, channel, message in NonSeekingReader(self._file).iter_messages(list(topics)):
            kind = schema.name if schema is not None else ""
            yield StoredMessage(channel.topic, kind, message.log_time, message.data)

    def _of_chunk(
        self, index: ChunkIndex, wanted: Mapping[int, tuple[str, str]]
    ) -> Iterator[StoredMessage]:
        self._file.seek(index.chunk_start_offset + _HEAD.size)
        chunk = Chunk.read(ReadDataStream(self._file))
        stream, size = get_chunk_data_stream(chunk, validate_crc=True)
        raw, position = stream.read(size), 0
        while position < size:
            kind, length = _HEAD.unpack_from(raw, position)
            begin, position = position + _HEAD.size, position + _HEAD.size + length
            if position > size:
                raise ValueError(f"a record of {length} bytes goes beyond its chunk")
            if kind == Opcode.MESSAGE:
                number, _, log_ns, _ = _MESSAGE.unpack_from(raw, begin)
                if number in wanted:
                    content = raw[begin + _MESSAGE.size : position]
                    yield StoredMessage(*wanted[number], log_ns, content)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _log_ns(message: StoredMessage) -> int:
    return message.log_ns


def _named(
    channels: Mapping[int, Channel], schemas: Mapping[int, Schema]
) -> dict[int, tuple[str, Definition, str]]:
    """Return channel -> topic, type and serialization."""
    named = {}
    for number, channel in channels.items():
        schema = schemas.get(channel.schema_id)
        definition = Definition("")
        if schema is not None:
            text = schema.data.decode(errors="replace")  # of other encodings it is no text
            definition = Definition(schema.name, text, schema.encoding)
        named[number] = (channel.topic, definition, channel.message_encoding)
    return named
