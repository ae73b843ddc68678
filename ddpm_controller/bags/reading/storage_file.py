"""What every storage file of a bag offers to a reader."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from ddpm_controller.bags.reading.definitions import Definition


class StoredMessage(NamedTuple):
    """One message as it lies in a file.

    Attributes:
        topic: Absolute name.
        type: Message type.
        log_ns: When it was recorded, ns.
        raw: As it was recorded.
    """

    topic: str
    type: str
    log_ns: int
    raw: bytes


@dataclass(frozen=True)
class StoredTopic:
    """One topic of a file.

    Attributes:
        name: Absolute name.
        definition: Its message type.
        serialization: Format of its messages; ``cdr`` is the one that is read.
        count: Number of its messages in the file.
    """

    name: str
    definition: Definition
    serialization: str
    count: int


class StorageReader(Protocol):
    """A storage file open for reading."""

    topics: tuple[StoredTopic, ...]

    def messages(self, topics: Collection[str]) -> Iterator[StoredMessage]:
        """Yield the messages of some topics in the order of recording."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...
