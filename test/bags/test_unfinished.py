"""Bags whose recorder was killed, or is at work: every whole message is read, and recovered."""

import os
import random
import signal
import subprocess
import sys

import pytest
from mcap.writer import CompressionType, Writer
from rosbags.highlevel import AnyReader
from small_bags import MS, START_NS, TOPICS, mark, run_messages, serialized, small_robot

from ddpm_controller.bags.episodes import read_episodes
from ddpm_controller.bags.files import BagError, OpenBag
from ddpm_controller.bags.message_types import definition
from ddpm_controller.bags.reading.unfinished import MARK
from ddpm_controller.bags.storages import BagTopic
from ddpm_controller.bags.writer import BagWriter, recover

pytestmark = pytest.mark.filterwarnings("ignore:bag .* was not finished")
STORAGES = pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
ALL = [BagTopic(name, kind) for name, kind in TOPICS.items()]


def rows(messages):
    """What is compared: topic, time and content."""
    return [(each.topic, each.log_ns, each.serialized) for each in messages]


def content(bag):
    with OpenBag(bag) as source:
        return rows(source.messages(source.topics))


def raw(messages):
    return [(topic, log_ns, serialized(topic, message)) for topic, log_ns, message in messages]


def unfinished_bag(folder, storage="mcap", flush_every=20):
    """Write a bag and let go of it, as a kill does.

    Returns:
        The messages in it, and (size of the file, number of messages) after each flush.
    """
    messages, flushes = raw(run_messages(2000)), []
    writer = BagWriter(folder, ALL, {"robot": "small"}, storage)
    for number, message in enumerate(messages, start=1):
        writer.write(*message)
        if number % flush_every == 0:
            writer.flush()
            (file,) = [f for f in folder.iterdir() if f.suffix in (".mcap", ".db3")]
            flushes.append((file.stat().st_size, number))
    writer.flush()
    writer._let_go()
    return messages, flushes


@STORAGES
def test_a_killed_bag_is_read_and_recovered_whole(tmp_path, storage):
    bag = tmp_path / "bag"
    messages, _ = unfinished_bag(bag, storage)
    with pytest.warns(UserWarning, match=r"not finished.*253 whole messages.*--recover"):
        assert content(bag) == messages
    counts = recover(bag)
    assert counts == {topic: sum(m[0] == topic for m in messages) for topic in TOPICS}
    assert content(bag) == messages
    assert not (bag / MARK).exists()
    with OpenBag(bag) as source:
        assert source.provenance["robot"] == "small"
        assert not source.is_whole
    with AnyReader([bag]) as plain:  # nothing of ours is needed to read it
        assert plain.message_count == len(messages)
    with pytest.raises(BagError, match="finished already"):
        recover(bag)


@pytest.mark.parametrize("seed", range(12))
def test_an_mcap_file_that_is_cut_anywhere_keeps_what_is_whole(tmp_path, seed):
    """At a random byte: whatever was flushed before it, and whole messages of a torn chunk."""
    bag = tmp_path / "bag"
    messages, flushes = unfinished_bag(bag)
    (file,) = bag.glob("*.mcap")
    begin = 6000  # before the first messages lie their types
    size = random.Random(seed).randrange(begin, file.stat().st_size)
    file.write_bytes(file.read_bytes()[:size])
    least = max((number for end, number in flushes if end <= size), default=0)
    found = content(bag)
    assert len(found) >= least
    assert found == messages[: len(found)]
    recover(bag)
    assert content(bag) == found


@pytest.mark.parametrize("cut", [0, 3, 8, 100])
def test_a_bag_that_was_cut_before_its_first_message_is_no_crash(tmp_path, cut):
    bag = tmp_path / "bag"
    unfinished_bag(bag)
    (file,) = bag.glob("*.mcap")
    file.write_bytes(file.read_bytes()[:cut])
    if cut < 20:
        with pytest.raises(BagError, match="does not begin as an mcap file"):
            content(bag)
        with pytest.raises(BagError, match="cannot be finished"):
            recover(bag)
    else:
        assert content(bag) == []
        recover(bag)


def test_a_torn_chunk_without_compression_gives_every_whole_message(tmp_path):
    """As other recorders write it; here the oracle is a count of bytes."""
    file = tmp_path / "torn.mcap"
    messages = raw(m for m in run_messages(400) if m[0] == "/joint_states")
    with file.open("wb") as stream:
        writer = Writer(stream, compression=CompressionType.NONE)
        writer.start(profile="ros2")
        kind = TOPICS["/joint_states"]
        schema = writer.register_schema(kind, "ros2msg", definition(kind)[0].encode())
        channel = writer.register_channel("/joint_states", "cdr", schema)
        for _, log_ns, cdr in messages:
            writer.add_message(channel, log_ns, cdr, log_ns)
        writer.finish()
    whole = file.read_bytes()
    begins = [whole.index(cdr) for _, _, cdr in messages]
    file.write_bytes(whole[: begins[7] + 5])
    assert content(file) == messages[:7]


@pytest.mark.parametrize("chunked", [True, False])
def test_what_other_recorders_leave_is_read_too(tmp_path, chunked):
    """Without metadata.yaml, without chunks, with a topic that is declared long before."""
    bag = tmp_path / "bag"
    bag.mkdir()
    messages = raw(run_messages(400))
    with (bag / "bag_0.mcap").open("wb") as stream:
        writer = Writer(stream, chunk_size=500, use_chunking=chunked)
        writer.start(profile="ros2")
        channels = {}
        for name, kind in TOPICS.items():
            schema = writer.register_schema(kind, "ros2msg", definition(kind)[0].encode())
            channels[name] = writer.register_channel(name, "cdr", schema)
        for topic, log_ns, cdr in messages:
            writer.add_message(channels[topic], log_ns, cdr, log_ns)
        writer.flush()  # and no end
    assert content(bag) == messages
    recover(bag)
    assert content(bag) == messages


@STORAGES
def test_a_bag_can_be_read_while_it_is_written(tmp_path, storage):
    """What was flushed; and nothing can finish it under the recorder's hands."""
    bag = tmp_path / "bag"
    messages = raw(run_messages(200))
    writer = BagWriter(bag, ALL, {}, storage)
    for part in (messages[:10], messages[10:]):
        for message in part:
            writer.write(*message)
        writer.flush()
        found = content(bag)
        assert found == messages[: len(found)]
        assert found[-1] == part[-1]
    with pytest.raises(BagError, match="is being recorded; end the recorder first"):
        recover(bag)
    writer.close()
    assert content(bag) == messages


KILLED = """
import sys
from pathlib import Path
from small_bags import START_NS, TOPICS, joint_state
from ddpm_controller.bags.message_types import message_types
from ddpm_controller.bags.storages import BagTopic
from ddpm_controller.bags.writer_thread import FLUSH_NS, Arrival, BagThread, ReceivedOrder
topic = BagTopic("/joint_states", TOPICS["/joint_states"])
taken = []
thread = BagThread(Path(sys.argv[1]), [topic], {}, sys.argv[2], ReceivedOrder(), taken.append)
number = 0
while True:
    stamp_ns = START_NS + number * FLUSH_NS // 10
    raw = bytes(message_types().serialize_cdr(joint_state(stamp_ns, number, 0.0), topic.type))
    thread.put(Arrival(topic, stamp_ns, stamp_ns, raw))
    number += 1
    while len(taken) < number:
        pass
    print(number, flush=True)
"""


@STORAGES
def test_a_killed_recorder_loses_less_than_a_second(tmp_path, storage):
    """A real process, killed while it writes; its messages are FLUSH_NS / 10 apart."""
    bag = tmp_path / "bag"
    command = [sys.executable, "-c", KILLED, str(bag), storage]
    recorder = subprocess.Popen(
        command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": ":".join(sys.path)}
    )
    taken = [int(recorder.stdout.readline()) for _ in range(100)][-1]
    recorder.send_signal(signal.SIGKILL)
    recorder.wait()
    recorder.stdout.close()
    assert len(content(bag)) >= taken - 11  # one is taken, but may not be written yet
    found = content(bag)
    recover(bag)
    assert content(bag) == found


def test_an_episode_without_its_end_is_left_out_of_a_bag_that_was_not_finished(tmp_path):
    """It may have lasted longer; a finished bag may end in an episode."""
    robot, begin_ns = small_robot(tmp_path), START_NS + 1000 * MS
    messages = [*run_messages(2000)]
    marks = [("/episode", START_NS, mark(START_NS, 0)), ("/episode", begin_ns, mark(begin_ns, 1))]
    marks.append(("/episode", begin_ns + MS, mark(begin_ns + MS, 0)))
    messages = sorted([*messages, *marks], key=lambda each: each[1])
    bag = tmp_path / "bag"
    with BagWriter(bag, ALL, {}) as writer:
        for topic, log_ns, message in messages:
            writer.write(topic, log_ns, serialized(topic, message))
    assert len(read_episodes([bag], robot)) == 2
    (bag / "metadata.yaml").unlink()
    assert len(read_episodes([bag], robot)) == 1
    recover(bag)
    assert len(read_episodes([bag], robot)) == 1
