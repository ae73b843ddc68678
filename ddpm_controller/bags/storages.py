"""What a rosbag2 bag is made of: one of two storages, and metadata.yaml beside it. No rclpy."""

import contextlib
import os
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import yaml
from mcap.writer import Writer

from ddpm_controller.bags.message_types import definition
from ddpm_controller.bags.reading.metadata import METADATA
from ddpm_controller.bags.reading.torn_mcap import METADATA_FIELD

Storage = Literal["mcap", "sqlite3"]
SUFFIXES: Mapping[Storage, str] = {"mcap": ".mcap", "sqlite3": ".db3"}
NEVER_NS = 2**63 - 1
"""Beginning of a bag without messages, as rosbag2 has it."""
SQLITE3_SCHEMA = """
BEGIN;
CREATE TABLE schema(schema_version INTEGER PRIMARY KEY, ros_distro TEXT NOT NULL);
CREATE TABLE metadata(id INTEGER PRIMARY KEY, metadata_version INTEGER NOT NULL,
    metadata TEXT NOT NULL);
CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT NOT NULL, type TEXT NOT NULL,
    serialization_format TEXT NOT NULL, offered_qos_profiles TEXT NOT NULL,
    type_description_hash TEXT NOT NULL);
CREATE TABLE message_definitions(id INTEGER PRIMARY KEY, topic_type TEXT NOT NULL,
    encoding TEXT NOT NULL, encoded_message_definition TEXT NOT NULL,
    type_description_hash TEXT NOT NULL);
CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER NOT NULL,
    timestamp INTEGER NOT NULL, data BLOB NOT NULL);
CREATE INDEX timestamp_idx ON messages (timestamp ASC);
INSERT INTO schema(schema_version, ros_distro) VALUES (4, 'jazzy');
COMMIT;
"""


@dataclass(frozen=True)
class BagTopic:
    """One recorded topic.

    Attributes:
        name: Absolute name, ``/joint_states``.
        type: Message type, ``sensor_msgs/msg/JointState``.
        reliable: Reliability offered by its publishers.
        transient_local: Durability offered by its publishers.
        depth: Depth of the keep-last history.
    """

    name: str
    type: str
    reliable: bool = True
    transient_local: bool = False
    depth: int = 100

    def __post_init__(self) -> None:
        if not self.name.startswith("/"):
            raise ValueError(f"topic {self.name!r}: a bag holds absolute names; begin it with '/'")
        if self.type.count("/") != 2:
            raise ValueError(f"topic {self.name!r}: {self.type!r} is not package/msg/Type")

    @property
    def type_hash(self) -> str:
        """RIHS01 hash of the type, which ``message_types`` must have."""
        return definition(self.type)[1]

    def metadata(self) -> dict[str, Any]:
        """Return what metadata.yaml has of the topic."""
        return topic_metadata(self.name, self.type, self.qos_profiles(), self.type_hash)

    def qos_profiles(self) -> list[dict[str, Any]]:
        """Return the quality of service that is offered, as metadata.yaml has it."""
        forever = {"sec": 9223372036, "nsec": 854775807}  # how rosbag2 writes "no deadline"
        return [
            {
                "history": "keep_last",
                "depth": self.depth,
                "reliability": "reliable" if self.reliable else "best_effort",
                "durability": "transient_local" if self.transient_local else "volatile",
                # Copies: YAML would write a second mention of one object as a reference.
                "deadline": {**forever},
                "lifespan": {**forever},
                "liveliness": "automatic",
                "liveliness_lease_duration": {**forever},
                "avoid_ros_namespace_conventions": False,
            }
        ]


def topic_metadata(
    name: str, message_type: str, qos_profiles: list[Any], type_hash: str
) -> dict[str, Any]:
    """Return what metadata.yaml has of a topic."""
    return {
        "name": name,
        "type": message_type,
        "serialization_format": "cdr",
        "offered_qos_profiles": qos_profiles,
        "type_description_hash": type_hash,
    }


@dataclass(frozen=True)
class StorageFile:
    """What one file of a bag holds.

    Attributes:
        name: File name, without its folder.
        counts: Topic -> messages.
        first_ns: Earliest time of a message; ``NEVER_NS`` where there is none.
        last_ns: Latest time of a message.
    """

    name: str
    counts: Mapping[str, int]
    first_ns: int = NEVER_NS
    last_ns: int = 0

    def times(self) -> dict[str, Any]:
        """Return when it begins and how long it lasts, as metadata.yaml has it."""
        return {
            "starting_time": {"nanoseconds_since_epoch": self.first_ns},
            "duration": {"nanoseconds": max(0, self.last_ns - self.first_ns)},
            "message_count": sum(self.counts.values()),
        }


def bag_information(
    storage: Storage,
    files: Sequence[StorageFile],
    topics: Sequence[Mapping[str, Any]],
    provenance: Mapping[str, str],
) -> dict[str, Any]:
    """Return what metadata.yaml holds, in version 9 as Jazzy's rosbag2 writes it.

    Args:
        storage: Storage of all files.
        files: In order; at least one.
        topics: ``topic_metadata`` of all topics, those without messages too.
        provenance: Goes to ``custom_data``.
    """
    counts = {
        topic["name"]: sum(file.counts.get(topic["name"], 0) for file in files) for topic in topics
    }
    first_ns, last_ns = min(f.first_ns for f in files), max(f.last_ns for f in files)
    return {
        "version": 9,
        "storage_identifier": storage,
        "relative_file_paths": [file.name for file in files],
        **StorageFile("", counts, first_ns, last_ns).times(),
        "topics_with_message_count": [
            {"topic_metadata": dict(topic), "message_count": counts[topic["name"]]}
            for topic in topics
        ],
        "compression_format": "",
        "compression_mode": "",
        "files": [{"path": file.name, **file.times()} for file in files],
        "custom_data": dict(provenance) or None,
        "ros_distro": "jazzy",
    }


def write_metadata(folder: Path, information: Mapping[str, Any]) -> None:
    """Write metadata.yaml, whole or not at all: with it a bag is finished."""
    beside = folder / f"{METADATA}.tmp"
    beside.write_text(yaml_text({"rosbag2_bagfile_information": information}), "utf8")
    sync(beside)
    beside.replace(folder / METADATA)
    sync(folder)


def yaml_text(content: Any) -> str:
    """Return YAML with the keys in their order."""
    return str(yaml.safe_dump(content, sort_keys=False)).strip()


def sync(path: Path) -> None:
    """Bring a file or the names in a folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class BagStorage(Protocol):
    """A storage file being written, from one thread; every call may raise what its disk does."""

    def add(self, topic: BagTopic) -> None:
        """Declare a topic of a type that ``message_types`` has."""
        ...

    def write(self, topic: str, stamp_ns: int, serialized: bytes) -> None:
        """Append one message of a declared topic."""
        ...

    def note(self, metadata: str) -> None:
        """Keep what metadata.yaml would hold now; the last one counts."""
        ...

    def flush(self) -> None:
        """Hand everything over to the kernel: from now on it survives the end of the process."""
        ...

    def close(self) -> None:
        """Finish the file and bring it to the disk."""
        ...

    def let_go(self) -> None:
        """Close the file as it is, also where the disk refuses."""
        ...


class McapStorage:
    """An mcap file in chunks, compressed with zstd; a flush ends the chunk.

    Args:
        path: The file; must not exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("xb")
        self._writer = Writer(self._file)
        self._writer.start(profile="ros2")
        self._schemas: dict[str, int] = {}
        self._channels: dict[str, int] = {}

    def add(self, topic: BagTopic) -> None:
        """Declare a topic."""
        if topic.type not in self._schemas:
            text, _ = definition(topic.type)
            self._schemas[topic.type] = self._writer.register_schema(
                topic.type, "ros2msg", text.encode()
            )
        metadata = {
            "offered_qos_profiles": yaml_text(topic.qos_profiles()),
            "topic_type_hash": topic.type_hash,
        }
        schema = self._schemas[topic.type]
        self._channels[topic.name] = self._writer.register_channel(
            topic.name, "cdr", schema, metadata
        )

    def write(self, topic: str, stamp_ns: int, serialized: bytes) -> None:
        """Append one message."""
        self._writer.add_message(self._channels[topic], stamp_ns, serialized, stamp_ns)

    def note(self, metadata: str) -> None:
        """Append a record of metadata."""
        self._writer.add_metadata("rosbag2", {METADATA_FIELD: metadata})

    def flush(self) -> None:
        """End the chunk and write it."""
        self._writer.flush()

    def close(self) -> None:
        """Write the summary, which lets a reader find everything."""
        self._writer.finish()
        self._file.close()
        sync(self._path)

    def let_go(self) -> None:
        """Close the file as it is."""
        with contextlib.suppress(OSError):
            self._file.close()


class Sqlite3Storage:
    """An SQLite file with the tables of rosbag2, version 4; a flush commits.

    New pages go to a log beside the file, where others can read them while it is written.

    Args:
        path: The file; must not exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = sqlite3.connect(path)
        # Images of a megabyte in pages of 4 kB cost twice the processor time.
        self._connection.execute("PRAGMA page_size=16384")
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._connection.executescript(SQLITE3_SCHEMA)
        self._types: set[str] = set()
        self._topics: dict[str, int] = {}

    def add(self, topic: BagTopic) -> None:
        """Declare a topic."""
        if topic.type not in self._types:
            self._types.add(topic.type)
            columns = "(topic_type, encoding, encoded_message_definition, type_description_hash)"
            self._connection.execute(
                f"INSERT INTO message_definitions {columns} VALUES (?, 'ros2msg', ?, ?)",
                (topic.type, *definition(topic.type)),
            )
        self._topics[topic.name] = len(self._topics) + 1
        qos = yaml_text(topic.qos_profiles())
        self._connection.execute(
            "INSERT INTO topics VALUES (?, ?, ?, 'cdr', ?, ?)",
            (self._topics[topic.name], topic.name, topic.type, qos, topic.type_hash),
        )

    def write(self, topic: str, stamp_ns: int, serialized: bytes) -> None:
        """Append one message."""
        self._connection.execute(
            "INSERT INTO messages (topic_id, timestamp, data) VALUES (?, ?, ?)",
            (self._topics[topic], stamp_ns, serialized),
        )

    def note(self, metadata: str) -> None:
        """Replace the row of metadata."""
        self._connection.execute("INSERT OR REPLACE INTO metadata VALUES (1, 9, ?)", (metadata,))

    def flush(self) -> None:
        """Commit."""
        self._connection.commit()

    def close(self) -> None:
        """Commit, and move what is in the log into the file."""
        self._connection.commit()
        self._connection.execute("PRAGMA journal_mode=DELETE")
        self._connection.close()
        sync(self._path)

    def let_go(self) -> None:
        """Close the file as it is."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()


STORAGES: Mapping[Storage, type[McapStorage] | type[Sqlite3Storage]] = {
    "mcap": McapStorage,
    "sqlite3": Sqlite3Storage,
}
