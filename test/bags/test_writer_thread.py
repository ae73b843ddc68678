"""The order of messages in a bag, and the thread that writes it."""

import errno
import struct
import time

import pytest

from ddpm_controller.bags.files import OpenBag
from ddpm_controller.bags.message_types import TRANSFORMS, message_types
from ddpm_controller.bags.storages import BagTopic
from ddpm_controller.bags.writer_thread import Arrival, BagThread, HeaderOrder, ReceivedOrder

MS = 1_000_000
STATE = BagTopic("/joint_states", "sensor_msgs/msg/JointState")
ARRAY = BagTopic("/commands", "std_msgs/msg/Float64MultiArray")
FACT = BagTopic("/robot_description", "std_msgs/msg/String", transient_local=True)


def arrival(topic, source_ms, stamp_ms=0, content=b"", received_ms=0):
    """A message as it comes from DDS: header, stamp, rest."""
    stamp = struct.pack("<iI", *divmod(stamp_ms * MS, 10**9))
    body = content if topic is ARRAY else stamp + content
    return Arrival(topic, received_ms * MS, source_ms * MS, b"\0\1\0\0" + body)


def ordered(order, arrivals):
    written = [pair for one in arrivals for pair in order.add(one)] + list(order.rest())
    return [(stamp_ns / MS, one.topic.name, one.source_ns / MS) for stamp_ns, one in written]


def header_order(**settings):
    return HeaderOrder({STATE.type}, **settings)


def test_received_messages_are_written_as_they_come():
    """Like ros2 bag record."""
    arrivals = [arrival(STATE, 5, 1, received_ms=9), arrival(STATE, 3, 1, received_ms=10)]
    assert ordered(ReceivedOrder(), arrivals) == [
        (9, "/joint_states", 5),
        (10, "/joint_states", 3),
    ]


def test_header_order_puts_messages_in_the_order_of_publishing():
    """However they overtook each other; they are stamped as they say themselves."""
    arrivals = [arrival(STATE, 20, 102), arrival(STATE, 10, 101), arrival(STATE, 500, 103)]
    assert ordered(header_order(), arrivals) == [
        (101, "/joint_states", 10),
        (102, "/joint_states", 20),
        (103, "/joint_states", 500),
    ]


def test_a_repetition_is_written_once():
    """Lockstep tells a tick again while it waits; another content at the same time is kept."""
    arrivals = [
        arrival(STATE, 1, 100, b"a"),
        arrival(STATE, 501, 100, b"a"),
        arrival(STATE, 502, 100, b"b"),
    ]
    assert [source for _, _, source in ordered(header_order(), arrivals)] == [1, 502]


def test_a_message_without_stamp_belongs_to_the_tick_before_it():
    """A Float64MultiArray that answers the tick of 100 ms."""
    arrivals = [
        arrival(STATE, 30, 120),
        arrival(ARRAY, 20, content=b"12345678"),
        arrival(STATE, 10, 100),
    ]
    assert (100, "/commands", 20) in ordered(header_order(), arrivals)


def test_a_cut_keeps_what_is_inside_and_the_facts_that_hold():
    """Of two facts from before, only the newer one holds at the beginning."""
    order = header_order(hold=True)
    arrivals = [
        Arrival(FACT, 0, 1 * MS, b"\0\1\0\0old"),
        Arrival(FACT, 0, 2 * MS, b"\0\1\0\0new"),
        *(arrival(STATE, 10 * k, 20 * k) for k in range(1, 8)),
    ]
    for one in arrivals:
        assert not list(order.add(one))
    order.cut(60 * MS, 100 * MS)
    kept = ordered(order, [])
    assert kept == [
        (60, "/robot_description", 2),
        (60, "/joint_states", 30),
        (80, "/joint_states", 40),
        (100, "/joint_states", 50),
    ]


def test_static_frames_of_several_nodes_all_hold_and_each_is_kept_once():
    order, frames = (
        header_order(hold=True),
        BagTopic("/tf_static", TRANSFORMS, transient_local=True),
    )
    messages = [(1, b"\0\1\0\0arm"), (2, b"\0\1\0\0camera"), (3, b"\0\1\0\0arm")]
    arrivals = [Arrival(frames, 0, ms * MS, content) for ms, content in messages]
    arrivals.append(arrival(STATE, 20, 120))
    order.cut(110 * MS, 130 * MS)
    for each in arrivals:
        assert not list(order.add(each))
    written = [each.serialized[4:] for _, each in order.rest()]
    assert written[:2] == [b"arm", b"camera"]
    assert len(written) == 3


def test_the_thread_writes_what_it_is_given(tmp_path):
    """Topics that come later too, and provenance that is known only at the end."""
    taken = []
    thread = BagThread(
        tmp_path / "bag", [STATE], {"a": "1"}, "sqlite3", ReceivedOrder(), taken.append
    )
    text = message_types().types["std_msgs/msg/String"]("hello")
    raw = bytes(message_types().serialize_cdr(text, FACT.type))
    thread.put(Arrival(FACT, 7, 0, raw))
    thread.finish(keep=True, provenance={"b": "2"})
    assert thread.error is None
    assert taken == [len(raw)]
    assert thread.counts == {"/joint_states": 0, "/robot_description": 1}
    with OpenBag(tmp_path / "bag") as bag:
        assert bag.provenance == {"a": "1", "b": "2"}
        assert [m.message.data for m in bag.messages(bag.topics)] == ["hello"]


def test_a_bag_that_is_not_kept_leaves_nothing(tmp_path):
    """A failed demonstration."""
    thread = BagThread(tmp_path / "bag", [STATE], {}, "mcap", ReceivedOrder(), lambda size: None)
    thread.finish(keep=False, provenance={})
    assert thread.error is None
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_known_at_the_end(tmp_path, monkeypatch):
    """The thread ends; whoever records asks for its error."""

    def refuse(self, *_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("ddpm_controller.bags.storages.McapStorage.write", refuse)
    thread = BagThread(tmp_path / "bag", [STATE], {}, "mcap", ReceivedOrder(), lambda size: None)
    thread.put(arrival(STATE, 1, 1))
    thread.finish(keep=True, provenance={})
    assert "No space left on device" in str(thread.error)
    assert not list(tmp_path.iterdir())  # nothing was written, so there is nothing to keep


def test_whatever_ends_the_thread_is_known_and_what_came_before_is_in_the_bag(tmp_path):
    """Else a recording would seem to continue while nothing is written any more."""

    class Faulty(ReceivedOrder):
        def add(self, arrival):
            if arrival.received_ns == 3 * MS:
                raise RuntimeError("on purpose\nand more")
            return super().add(arrival)

    bag = tmp_path / "bag"
    thread = BagThread(bag, [FACT], {"a": "1"}, "mcap", Faulty(), lambda size: None)
    for k in (1, 2, 3, 4):
        thread.put(hello(k * MS))
    thread.finish(keep=True, provenance={})
    assert "RuntimeError: on purpose" in str(thread.error)
    assert "\n" not in str(thread.error)
    assert "2 messages are in it, and it is closed" in str(thread.error)
    with OpenBag(bag) as source:
        assert len(list(source.messages(source.topics))) == 2


def hello(received_ns):
    text = message_types().types[FACT.type]("hello")
    raw = bytes(message_types().serialize_cdr(text, FACT.type))
    return Arrival(FACT, received_ns, 0, raw)


def wait_for_messages(bag, count, patience_s=60.0):
    end_s, found = time.monotonic() + patience_s, -1
    while found != count:
        assert time.monotonic() < end_s, f"{found} messages can be read"
        with OpenBag(bag) as source:
            found = len(list(source.messages(source.topics)))


@pytest.mark.filterwarnings("ignore:bag .* was not finished")
@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_what_has_come_can_soon_be_read(tmp_path, storage):
    """Where nothing more comes too, and what was noted meanwhile."""
    bag = tmp_path / "bag"
    thread = BagThread(bag, [FACT], {"a": "1"}, storage, ReceivedOrder(), lambda size: None)
    thread.put(hello(1))
    wait_for_messages(bag, 1)
    thread.note({"b": "2"})
    thread.put(hello(2))
    wait_for_messages(bag, 2)
    with OpenBag(bag) as source:
        assert source.provenance == {"a": "1", "b": "2"}
    thread.finish(keep=True, provenance={})


@pytest.mark.filterwarnings("ignore:bag .* was not finished")
def test_messages_that_come_without_a_pause_are_flushed_too(tmp_path, monkeypatch):
    """By the times at which they came; the pause of the queue never comes."""
    monkeypatch.setattr("ddpm_controller.bags.writer_thread.FLUSH_NS", 10**12)
    bag = tmp_path / "bag"
    thread = BagThread(bag, [FACT], {}, "mcap", ReceivedOrder(), lambda size: None)
    for k in range(4):
        thread.put(hello(10**15 + k * 10**12 // 2))
    wait_for_messages(bag, 3)  # the first one, and the first that is FLUSH_NS behind it
    thread.finish(keep=True, provenance={})


@pytest.mark.parametrize("name", ["exists already", "neither of ROS 2 Jazzy nor"])
def test_a_bag_that_cannot_be_begun_is_known_at_once(tmp_path, name):
    """Before the first message is lost."""
    topics = [STATE]
    if name == "exists already":
        (tmp_path / "bag").mkdir()
    else:
        topics = [BagTopic("/odd", "odd_msgs/msg/Odd")]
    thread = BagThread(tmp_path / "bag", topics, {}, "mcap", ReceivedOrder(), lambda size: None)
    assert name in str(thread.error)
    thread.finish(keep=True, provenance={})
