"""The thread that a recording is written in, and the order in which messages get into a bag."""

import heapq
import itertools
import queue
import struct
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ddpm_controller.bags.message_types import TRANSFORMS
from ddpm_controller.bags.storages import BagTopic, Storage
from ddpm_controller.bags.writer import BagWriteError, BagWriter
from ddpm_controller.given_files import one_line

FOREVER_NS = 2**63 - 1
REORDERING_NS = 200_000_000  # messages on one machine overtake each other by less
FLUSH_NS = 400_000_000
"""So long after a flush the next message brings another one, or none comes for so long.

A message is then never in memory for a second, unless the disk is slow."""
FLUSH_BYTES = 8 * 2**20
"""After so many the bag is flushed earlier, so that little has to be moved when it is closed."""


@dataclass(frozen=True)
class Arrival:
    """One serialized message that has come.

    Attributes:
        topic: Where.
        received_ns: When, on the recording machine's clock.
        source_ns: When it was published, on the clock of the publisher's machine.
        serialized: CDR with its 4-byte header.
    """

    topic: BagTopic
    received_ns: int
    source_ns: int
    serialized: bytes

    @property
    def fact(self) -> tuple[str, bytes]:
        """Key of what holds: the newest of a latched topic, but each message of static frames."""
        each = self.serialized if self.topic.type == TRANSFORMS else b""
        return self.topic.name, each


@dataclass(frozen=True)
class Recording:
    """What became of a recording.

    Attributes:
        folder: The finished bag; None when it was not kept.
        counts: Topic -> messages written.
        lost: Topic -> messages that were published but are not in the bag, where any.
        unseen: Requested topics that were never published.
        missed: Topic -> messages that a publisher which came while recording had sent before it
            was found, where any and where it was the only one.
    """

    folder: Path | None
    counts: Mapping[str, int]
    lost: Mapping[str, int]
    unseen: tuple[str, ...]
    missed: Mapping[str, int] = field(default_factory=dict)


Stamped = tuple[int, Arrival]
"""Time in the bag, ns, and the message."""


class Order(Protocol):
    """Gives every message its time in the bag."""

    def add(self, arrival: Arrival) -> Iterable[Stamped]:
        """Take a message; return those that can be written now."""
        ...

    def rest(self) -> Iterable[Stamped]:
        """Return those that were held back."""
        ...


class ReceivedOrder:
    """As ``ros2 bag record``: in the order and at the time of arrival."""

    def add(self, arrival: Arrival) -> Iterable[Stamped]:
        """Return the message itself."""
        return [(arrival.received_ns, arrival)]

    def rest(self) -> Iterable[Stamped]:
        """Return nothing: nothing is held back."""
        return []


class HeaderOrder:
    """By the messages' own stamps, in the order of publishing, repetitions left out.

    For a lockstep graph: its time stands still while messages travel, so arrival means nothing,
    and it publishes the present tick again while it waits. A message without a stamp gets that
    of the message published before it.

    Args:
        stamped_types: Message types that begin with a stamp.
        hold: Keep everything back until the end, when ``cut`` has chosen what is kept.
    """

    def __init__(self, stamped_types: Collection[str], *, hold: bool = False) -> None:
        self._hold = hold
        self._begin_ns, self._end_ns = 0, FOREVER_NS
        self._stamped_types = stamped_types
        self._held: list[tuple[int, int, Arrival]] = []
        self._number = itertools.count()  # keeps messages of the same time in their order
        self._newest_source_ns = 0
        self._stamp_ns = 0
        self._last: dict[str, tuple[int, bytes]] = {}
        self._early_facts: dict[tuple[str, bytes], Arrival] = {}

    def cut(self, begin_ns: int, end_ns: int) -> None:
        """Leave out what is stamped before ``begin_ns`` or after ``end_ns``."""
        self._begin_ns, self._end_ns = begin_ns, end_ns

    def add(self, arrival: Arrival) -> Iterable[Stamped]:
        """Hold the message back until no earlier one can come any more."""
        heapq.heappush(self._held, (arrival.source_ns, next(self._number), arrival))
        self._newest_source_ns = max(self._newest_source_ns, arrival.source_ns)
        if self._hold:
            return []
        return self._until(self._newest_source_ns - REORDERING_NS)

    def rest(self) -> Iterable[Stamped]:
        """Return all that is held back."""
        return self._until(self._newest_source_ns)

    def _until(self, source_ns: int) -> Iterator[Stamped]:
        while self._held and self._held[0][0] <= source_ns:
            arrival = heapq.heappop(self._held)[2]
            own_ns = self._own_stamp_ns(arrival)
            self._stamp_ns = own_ns or self._stamp_ns
            repetition = (self._stamp_ns, arrival.serialized)
            if own_ns and self._last.get(arrival.topic.name) == repetition:
                continue
            self._last[arrival.topic.name] = repetition
            if self._begin_ns <= self._stamp_ns <= self._end_ns and self._stamp_ns:
                for fact in self._early_facts.values():
                    yield self._stamp_ns, fact
                self._early_facts.clear()
                yield self._stamp_ns, arrival
            elif arrival.topic.transient_local and not own_ns and self._stamp_ns <= self._end_ns:
                self._early_facts[arrival.fact] = arrival  # still holds at the beginning

    def _own_stamp_ns(self, arrival: Arrival) -> int:
        if arrival.topic.type not in self._stamped_types:
            return 0
        little_endian = arrival.serialized[1] & 1
        sec, nanosec = struct.unpack_from("<iI" if little_endian else ">iI", arrival.serialized, 4)
        return int(sec * 1_000_000_000 + nanosec)


class BagThread:
    """Writes one bag in a thread of its own, so that a slow disk delays nothing else.

    What has come is flushed within a second, and can then be read.

    Args:
        folder: The bag; must not exist.
        topics: Declared from the beginning; others when their first message comes.
        provenance: For the bag's metadata.
        storage: Storage format of the bag.
        order: Gives the messages their times.
        on_taken: Called with the size of each message that has left the queue.
        hidden: As of ``BagWriter``.
    """

    def __init__(
        self,
        folder: Path,
        topics: Collection[BagTopic],
        provenance: Mapping[str, str],
        storage: Storage,
        order: Order,
        on_taken: Callable[[int], None],
        *,
        hidden: bool = False,
    ) -> None:
        self.folder = folder
        self.error: BagWriteError | None = None
        self.counts: dict[str, int] = {}
        self._topics = list(topics)
        self._provenance = self._noted = dict(provenance)
        self._storage: Storage = storage
        self._order = order
        self._on_taken = on_taken
        self._hidden = hidden
        self._queue: queue.SimpleQueue[Arrival | None] = queue.SimpleQueue()
        self._keep = True
        self._is_open = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bag writer", daemon=True)
        self._thread.start()
        self._is_open.wait()

    def put(self, arrival: Arrival) -> None:
        """Hand a message over; never blocks."""
        self._queue.put(arrival)

    def note(self, provenance: Mapping[str, str]) -> None:
        """Add to the bag's metadata, at the next flush."""
        self._provenance = {**self._provenance, **provenance}

    def finish(self, *, keep: bool, provenance: Mapping[str, str]) -> None:
        """Write what has been handed over and close the bag, or remove it.

        Args:
            keep: Whether the bag stays.
            provenance: What has been learned since the beginning.
        """
        self._keep = keep
        self.note(provenance)
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        # sqlite3 insists on one thread from opening to closing.
        writer: BagWriter | None = None
        try:
            writer = BagWriter(
                *(self.folder, self._topics, self._provenance, self._storage), hidden=self._hidden
            )
            self.counts = writer.counts
            self._is_open.set()
            for arrival in self._arrivals(writer):
                self._on_taken(len(arrival.serialized))
                _write(writer, self._order.add(arrival))
            if self._keep:
                _write(writer, self._order.rest())
                writer.note(self._provenance)
                writer.close()
            else:
                writer.abort()
        except BagWriteError as error:
            self.error = error
        except Exception as error:  # else the recorder would continue, and nothing be written
            saved = "" if writer is None else f" {self._closed(writer)}"
            what = f"{type(error).__name__}: {one_line(error)}"
            self.error = BagWriteError(f"cannot write bag {self.folder}: {what}.{saved}")
        finally:
            self._is_open.set()

    def _closed(self, writer: BagWriter) -> str:
        """Close the bag after a failure that is not the disk's; return what became of it."""
        try:
            if not self._hidden:
                writer.close()
                return f"{sum(writer.counts.values())} messages are in it, and it is closed."
        except BagWriteError as error:
            return str(error)
        except Exception:  # the storage has failed, and does again
            pass
        return writer.save()

    def _arrivals(self, writer: BagWriter) -> Iterator[Arrival]:
        """Yield what comes until the end; flush the bag in between."""
        flushed_ns, num_bytes = 0, 0
        while True:
            try:
                arrival = self._queue.get(timeout=FLUSH_NS * 1e-9)
            except queue.Empty:
                self._flush(writer)
                continue
            if arrival is None:
                return
            yield arrival
            num_bytes += len(arrival.serialized)
            # The clock may be set back.
            if abs(arrival.received_ns - flushed_ns) >= FLUSH_NS or num_bytes >= FLUSH_BYTES:
                self._flush(writer)
                flushed_ns, num_bytes = arrival.received_ns, 0

    def _flush(self, writer: BagWriter) -> None:
        if self._noted is not self._provenance:
            self._noted = self._provenance
            writer.note(self._noted)
        writer.flush()


def _write(writer: BagWriter, messages: Iterable[Stamped]) -> None:
    for stamp_ns, arrival in messages:
        if arrival.topic.name not in writer.counts:
            writer.add(arrival.topic)
        writer.write(arrival.topic.name, stamp_ns, arrival.serialized)
