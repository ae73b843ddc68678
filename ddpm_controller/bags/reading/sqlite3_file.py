"""One SQLite file of a bag, of any release of rosbag2."""

import sqlite3
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ddpm_controller.bags.reading.definitions import Definition
from ddpm_controller.bags.reading.storage_file import StoredMessage, StoredTopic


class Sqlite3File:
    """A SQLite file open for reading; nothing beside it is looked at.

    Args:
        path: The file.

    Attributes:
        topics: In the order of their numbers.

    Raises:
        sqlite3.Error: It is none, or damaged.
    """

    def __init__(self, path: Path) -> None:
        address = f"file:{quote(str(path))}?mode=ro&immutable=1"
        self._connection = sqlite3.connect(address, uri=True, check_same_thread=False)
        try:
            self._numbers = self._read_topics()
        except BaseException:
            self._connection.close()
            raise
        self.topics = tuple(self._numbers.values())

    def _read_topics(self) -> dict[int, StoredTopic]:
        definitions = {}
        if self._rows("SELECT 1 FROM sqlite_master WHERE name = 'message_definitions'"):
            query = "SELECT topic_type, encoded_message_definition, encoding"
            found = self._rows(f"{query} FROM message_definitions ORDER BY id")
            definitions = {each[0]: Definition(*each) for each in reversed(found)}
        counts = dict(self._rows("SELECT topic_id, COUNT(*) FROM messages GROUP BY topic_id"))
        query = "SELECT id, name, type, serialization_format FROM topics ORDER BY id"
        return {
            number: StoredTopic(
                name, definitions.get(kind, Definition(kind)), serialization, counts.get(number, 0)
            )
            for number, name, kind, serialization in self._rows(query)
        }

    def _rows(self, query: str) -> list[Any]:
        return self._connection.execute(query).fetchall()

    def messages(self, topics: Collection[str]) -> Iterator[StoredMessage]:
        """Yield the messages of some topics in the order of recording."""
        wanted = {n: each for n, each in self._numbers.items() if each.name in topics}
        marks = ", ".join("?" for _ in wanted)
        query = f"SELECT topic_id, timestamp, data FROM messages WHERE topic_id IN ({marks})"
        for number, log_ns, raw in self._connection.execute(
            f"{query} ORDER BY timestamp, id", list(wanted)
        ):
            topic = wanted[number]
            yield StoredMessage(topic.name, topic.definition.type, log_ns, raw)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
