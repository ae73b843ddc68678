"""Records topics of a running graph: raw subscriptions -> queue -> writer thread.

Messages are taken many at a time and not by a callback each: on a busy machine an executor falls
behind, and what waits in the queues at the end would be missing.
"""

import json
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from ddpm_controller.bags.storages import BagTopic, Storage
from ddpm_controller.bags.writer import BagWriteError
from ddpm_controller.bags.writer_thread import (
    FOREVER_NS,
    Arrival,
    BagThread,
    HeaderOrder,
    Order,
    ReceivedOrder,
    Recording,
)
from ddpm_controller.messages.message_classes import message_class
from ddpm_controller.replay.recorded_run import LOST_KEY
from ddpm_controller.robots.streams import COMPRESSED_IMAGE, IMAGE
from ddpm_controller.ros.polled_topic import PolledTopic, Unattended
from ddpm_controller.share import share_path

DEPTH = 2000
IMAGE_DEPTH = 100
"""The same of images, of which 2000 would be gigabytes."""
MAX_PENDING_BYTES = 256 * 2**20
_SETTLED_S = 1.0
"""So long without another topic, and those that are published have been found: on both sides."""
PROFILES = "FASTRTPS_DEFAULT_PROFILES_FILE"
_COLLECT_PERIOD_S = 0.01
_REPORT_PERIOD_S = 1.0
IMAGE_TYPES = (IMAGE, COMPRESSED_IMAGE)
STAMP_FIELDS = ("std_msgs/Header", "builtin_interfaces/Time")

Stamps = Literal["received", "header"]


class Recorder:
    """Writes what is published on some topics into one bag after the other.

    A topic is subscribed as soon as it is published, with the reliability and durability
    that is offered, as ``ros2 bag record`` does. What has come is only put into a queue. Where a
    topic has one publisher, the numbers of its messages show which were lost.

    Args:
        node: Its executor is spun by the caller.
        topics: Relative or absolute name -> message type.
        stamps: What orders the bag. ``received``: arrival, as ``ros2 bag record`` does.
            ``header``: the messages' own stamps, for a lockstep graph; see ``HeaderOrder``.
        storage: Storage format of the bags.

    Attributes:
        arrivals: Messages that have come since construction, recorded or not.
    """

    def __init__(
        self,
        node: Node,
        topics: Mapping[str, str],
        stamps: Stamps = "received",
        storage: Storage = "mcap",
    ) -> None:
        self._node = node
        self._storage = storage
        self._stamps = stamps
        self._topics = {node.resolve_topic_name(name): kind for name, kind in topics.items()}
        self._offered: dict[str, BagTopic] = {}
        self._lock = threading.Lock()  # of _pending_bytes
        self._pending_bytes = 0
        self.arrivals = 0
        self._lost: Counter[str] = Counter()
        self._reported_lost = self._refused = 0
        self._polled: dict[str, PolledTopic] = {}
        self._numbers: dict[str, int] = {}  # of the newest message of each topic
        self._missed: dict[str, int] = {}
        self._new: set[str] = set()  # found after the others, with nothing received yet
        self._ignored_after_ns = FOREVER_NS
        self._found_s = time.monotonic()
        self._thread: BagThread | None = None
        self._order: Order = ReceivedOrder()
        self._facts: dict[tuple[str, bytes], Arrival] = {}  # newest of each transient-local topic
        self._unattended = Unattended()
        self.subscribe_published()
        node.create_timer(0.1, self.subscribe_published)
        node.create_timer(_COLLECT_PERIOD_S, self.collect)
        node.create_timer(_REPORT_PERIOD_S, self._report_losses)

    @property
    def unseen(self) -> tuple[str, ...]:
        """Topics that were not published yet."""
        return tuple(topic for topic in self._topics if topic not in self._offered)

    @property
    def has_settled(self) -> bool:
        """Whether no topic has been found for a while: another one begins only now."""
        return time.monotonic() - self._found_s > _SETTLED_S

    @property
    def error(self) -> BagWriteError | None:
        """Why the bag that is being written has failed, as soon as it has."""
        return None if self._thread is None else self._thread.error

    def subscribe_published(self) -> None:
        """Subscribe to the topics that have got a publisher."""
        for name in self.unseen:
            offers = self._node.get_publishers_info_by_topic(name)
            if not offers:
                continue
            profiles = [offer.qos_profile for offer in offers]
            reliable = all(p.reliability != ReliabilityPolicy.BEST_EFFORT for p in profiles)
            durable = all(p.durability == DurabilityPolicy.TRANSIENT_LOCAL for p in profiles)
            self._offered[name] = BagTopic(name, self._topics[name], reliable, durable)
            if self.has_settled and len(offers) == 1 and not durable:
                self._new.add(name)
            self._found_s = time.monotonic()
            self._subscribe(self._offered[name])

    def collect(self) -> None:
        """Take what has come since the last call, in the order of arrival."""
        arrivals = [
            (info["received_timestamp"], self._offered[name], serialized, info)
            for name, topic in self._polled.items()
            for serialized, info in topic.waiting()
        ]
        for _, topic, serialized, info in sorted(arrivals, key=lambda each: each[0]):
            self._on_message(topic, serialized, info)

    def begin(self, folder: Path, provenance: Mapping[str, str], *, hold: bool = False) -> None:
        """Write what comes from now on, and the facts that hold now, to a bag at ``folder``.

        Args:
            folder: Must not exist.
            provenance: For the bag's metadata.
            hold: With header stamps: keep everything in memory until ``finish``, so that
                ``cut`` can still choose. The bag is then there whole or not at all.

        Raises:
            BagWriteError: The bag cannot be made, or another recording is in progress.
        """
        if self._thread is not None:
            raise BagWriteError(f"{folder}: finish the recording of {self._thread.folder} first")
        self._lost.clear()
        self._reported_lost = self._refused = 0
        self._missed.clear()
        self._ignored_after_ns = FOREVER_NS
        self._order = ReceivedOrder() if self._stamps == "received" else self._header_order(hold)
        topics = list(self._offered.values())
        thread = BagThread(
            *(folder, topics, provenance, self._storage, self._order, self._on_taken), hidden=hold
        )
        if thread.error is not None:
            raise thread.error
        self._thread = thread
        now_ns = time.time_ns()
        for fact in self._facts.values():
            self._put(replace(fact, received_ns=now_ns))

    def cut(self, begin_ns: int, end_ns: int) -> None:
        """Of what is held back, write only what is stamped within these times."""
        if isinstance(self._order, HeaderOrder):
            self._order.cut(begin_ns, end_ns)

    def ignore_after(self, source_ns: int) -> None:
        """Leave out of this bag what is published after a time on the clock of its machine."""
        self._ignored_after_ns = source_ns

    def note(self, provenance: Mapping[str, str]) -> None:
        """Add to the metadata of the bag that is being written."""
        if self._thread is not None:
            self._thread.note(provenance)

    def finish(
        self, *, keep: bool = True, provenance: Mapping[str, str] | None = None
    ) -> Recording:
        """Write what has come so far and close the bag, or throw it away.

        Args:
            keep: Whether the bag stays.
            provenance: To be added to the bag's metadata.

        Raises:
            BagWriteError: The disk refuses, or no recording has been begun.
        """
        if self._thread is None:
            raise BagWriteError("nothing is being recorded; call begin first")
        self.collect()
        self._report_losses()
        thread, self._thread = self._thread, None
        thread.finish(keep=keep, provenance=provenance or {})
        if thread.error is not None:
            raise thread.error
        folder = thread.folder if keep else None
        counts, lost = dict(thread.counts), dict(self._lost)
        return Recording(folder, counts, lost, self.unseen, dict(self._missed))

    def _header_order(self, hold: bool) -> HeaderOrder:
        kinds = set(self._topics.values())
        return HeaderOrder({kind for kind in kinds if _begins_with_stamp(kind)}, hold=hold)

    def _subscribe(self, topic: BagTopic) -> None:
        reliable, best_effort = ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT
        durable, volatile = DurabilityPolicy.TRANSIENT_LOCAL, DurabilityPolicy.VOLATILE
        subscription = self._node.create_subscription(
            message_class(topic.type),
            topic.name,
            _never_called,
            QoSProfile(
                depth=IMAGE_DEPTH if topic.type in IMAGE_TYPES else DEPTH,
                reliability=reliable if topic.reliable else best_effort,
                durability=durable if topic.transient_local else volatile,
            ),
            raw=True,
            callback_group=self._unattended,
            event_callbacks=SubscriptionEventCallbacks(
                message_lost=partial(self._on_lost, topic.name)
            ),
        )
        self._polled[topic.name] = PolledTopic(subscription, _never_called)

    def _on_message(self, topic: BagTopic, serialized: bytes, info: Mapping[str, Any]) -> None:
        received_ns, source_ns = info["received_timestamp"], info["source_timestamp"]
        if source_ns > self._ignored_after_ns:
            return
        self.arrivals += 1
        self._note_gap(topic.name, info)
        if topic.name in self._new:
            self._note_missed(topic.name, info)
        arrival = Arrival(topic, received_ns, source_ns, serialized)
        if topic.transient_local:
            self._facts[arrival.fact] = arrival
        if self._thread is not None:
            self._put(arrival)

    def _note_missed(self, topic: str, info: Mapping[str, Any]) -> None:
        """Note what a publisher had sent before its first message came: it counts from 1."""
        self._new.remove(topic)
        number = info["publication_sequence_number"]  # None where the middleware has none
        if number is not None and number > 1:
            self._missed[topic] = number - 1

    def _note_gap(self, topic: str, info: Mapping[str, Any]) -> None:
        """Count the messages between the last one and this one, of a topic's only publisher."""
        number = info["publication_sequence_number"]  # None where the middleware has none
        before, self._numbers[topic] = self._numbers.get(topic), number
        if number is None or before is None or number <= before + 1 or self._thread is None:
            return
        if self._node.count_publishers(topic) == 1:
            self._lost[topic] += number - before - 1

    def _put(self, arrival: Arrival) -> None:
        assert self._thread is not None  # both callers have looked
        size = len(arrival.serialized)
        with self._lock:
            if self._pending_bytes + size > MAX_PENDING_BYTES:
                self._lost[arrival.topic.name] += 1
                self._refused += 1
                return
            self._pending_bytes += size
        self._thread.put(arrival)

    def _on_taken(self, size: int) -> None:
        with self._lock:
            self._pending_bytes -= size

    def _on_lost(self, topic: str, event: Any) -> None:
        """Count what the middleware has lost, where the numbers of several publishers mix."""
        if self._thread is not None and self._node.count_publishers(topic) > 1:
            self._lost[topic] += event.total_count_change

    def _report_losses(self) -> None:
        """Log what has been lost since the last report and where, and note it in the bag."""
        for topic in self._polled.values():
            topic.take_events()
        if self._lost.total() == self._reported_lost:
            return
        self._reported_lost = self._lost.total()
        counts = ", ".join(f"{topic}: {count}" for topic, count in sorted(self._lost.items()))
        where = f"they did not get here: publishers of images need {PROFILES} set to "
        where += share_path("config/fastdds.xml")
        if self._refused:
            where = f"{self._pending_bytes / 1e6:.0f} MB wait: the disk or processor is too slow"
        self._node.get_logger().warning(f"messages lost so far: {counts}; {where}")
        self.note({LOST_KEY: json.dumps(dict(self._lost))})


def _never_called(message: Any) -> None:
    """Stand for the callback that a subscription must have."""


def _begins_with_stamp(message_type: str) -> bool:
    fields = list(message_class(message_type).get_fields_and_field_types().values())
    return bool(fields) and fields[0] in STAMP_FIELDS
