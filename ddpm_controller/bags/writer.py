"""Writes rosbag2 bags: complete, or not there at all. No rclpy."""

import os
import shutil
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from rosbags.interfaces import (
    Connection,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.rosbag2.errors import WriterError

from ddpm_controller.bags.files import BagError
from ddpm_controller.bags.message_types import OWN_PACKAGE, definition, message_types, plain

Storage = Literal["mcap", "sqlite3"]
FOREVER = QosTime(sec=9223372036, nsec=854775807)  # how rosbag2 writes "no deadline"


class BagWriteError(BagError):
    """A bag could not be written; the text names what is lost and what is not."""


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


class BagWriter:
    """One bag being written; ``close`` makes it appear, a failure leaves no half bag behind.

    The files grow in a hidden sibling folder and are renamed at the end, so that a reader
    never meets an unfinished bag. Everything must be called from ONE thread: the sqlite3
    storage is silently empty otherwise.

    Args:
        folder: The bag, must not exist.
        topics: What will be written.
        provenance: Goes to ``custom_data`` of metadata.yaml.
        storage: ``mcap`` (chunks compressed with zstd) or ``sqlite3``.

    Raises:
        BagWriteError: The bag exists already, a type is unknown, or the disk refuses.
    """

    def __init__(
        self,
        folder: Path,
        topics: Sequence[BagTopic],
        provenance: Mapping[str, str],
        storage: Storage = "mcap",
    ) -> None:
        self.folder = folder
        self.counts: dict[str, int] = {}
        self._partial = folder.parent / f".{folder.name}.partial"
        if folder.exists():
            raise BagWriteError(f"{folder} exists already; choose another place or remove it")
        shutil.rmtree(self._partial, ignore_errors=True)  # left by a killed process
        try:
            self._writer = _opened(self._partial / folder.name, storage)
            self._connections: dict[str, Connection] = {}
            self.note(provenance)
        except (OSError, sqlite3.Error, WriterError) as error:
            raise self._failure(error) from error
        for topic in topics:
            self.add(topic)

    def note(self, provenance: Mapping[str, str]) -> None:
        """Add to the provenance; may be called until ``close``."""
        for key, value in provenance.items():
            self._writer.set_custom_data(key, value)

    def add(self, topic: BagTopic) -> None:
        """Declare one more topic.

        Raises:
            BagWriteError: Its type is unknown, or the disk refuses.
        """
        try:
            self._connections[topic.name] = self._connection(topic)
        except (OSError, sqlite3.Error, WriterError) as error:
            raise self._failure(error) from error
        self.counts[topic.name] = 0

    def write(self, topic: str, stamp_ns: int, serialized: bytes) -> None:
        """Append one serialized message (CDR with its 4-byte header).

        Raises:
            BagWriteError: The disk refuses; the unfinished bag is removed.
        """
        try:
            self._writer.write(self._connections[topic], stamp_ns, serialized)
        except (OSError, sqlite3.Error) as error:
            raise self._failure(error) from error
        self.counts[topic] += 1

    def write_message(self, topic: str, stamp_ns: int, message: Any) -> None:
        """Append one message of any kind with the fields of its ROS type.

        The same message always gives the same bytes, those that DDS carries; rclpy's
        ``serialize_message`` leaves random ones in the gaps.

        Raises:
            BagWriteError: The disk refuses; the unfinished bag is removed.
        """
        kind = self._connections[topic].msgtype
        self.write(topic, stamp_ns, bytes(message_types().serialize_cdr(plain(message), kind)))

    def close(self) -> Path:
        """Finish the bag, bring it to the disk and give it its name.

        Raises:
            BagWriteError: The disk refuses; the unfinished bag is removed.
        """
        try:
            self._writer.close()
            for file in sorted((self._partial / self.folder.name).iterdir()):
                _sync(file)
            (self._partial / self.folder.name).rename(self.folder)
            _sync(self.folder.parent)
        except (OSError, sqlite3.Error) as error:
            raise self._failure(error) from error
        self._partial.rmdir()
        return self.folder

    def abort(self) -> None:
        """Remove what was written."""
        try:
            self._writer.abort()
        except (OSError, sqlite3.Error):
            pass  # the disk is full: closing fails too, and the files go anyway
        finally:
            shutil.rmtree(self._partial, ignore_errors=True)

    def __enter__(self) -> Self:
        """Return the open bag."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the bag, or remove it when there was an error."""
        if kind is None:
            self.close()
        elif not isinstance(error, BagWriteError):
            self.abort()

    def _connection(self, topic: BagTopic) -> Connection:
        typestore = message_types()
        if topic.type not in typestore.types:
            raise BagWriteError(
                f"topic {topic.name}: type {topic.type} is neither of ROS 2 Jazzy nor of "
                f"{OWN_PACKAGE}; leave the topic out"
            )
        text, digest = definition(topic.type)
        return self._writer.add_connection(
            topic.name,
            topic.type,
            msgdef=text,
            rihs01=digest,
            offered_qos_profiles=[_qos(topic)],
        )

    def _failure(self, error: Exception) -> BagWriteError:
        written = sum(self.counts.values())
        if hasattr(self, "_writer"):
            self.abort()
        return BagWriteError(
            f"cannot write bag {self.folder}: {error}. Its {written} messages are not kept and "
            "the unfinished files are removed; bags finished before are untouched. "
            "Free space on the disk, or choose another place"
        )


def _opened(folder: Path, storage: Storage) -> Writer:
    plugin = StoragePlugin.MCAP if storage == "mcap" else StoragePlugin.SQLITE3
    writer = Writer(folder, version=9, storage_plugin=plugin)
    if plugin == StoragePlugin.MCAP:
        writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
    writer.open()
    return writer


def _qos(topic: BagTopic) -> Qos:
    durable, volatile = QosDurability.TRANSIENT_LOCAL, QosDurability.VOLATILE
    reliable, best_effort = QosReliability.RELIABLE, QosReliability.BEST_EFFORT
    return Qos(
        history=QosHistory.KEEP_LAST,
        depth=topic.depth,
        reliability=reliable if topic.reliable else best_effort,
        durability=durable if topic.transient_local else volatile,
        deadline=FOREVER,
        lifespan=FOREVER,
        liveliness=QosLiveliness.AUTOMATIC,
        liveliness_lease_duration=FOREVER,
        avoid_ros_namespace_conventions=False,
    )


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
