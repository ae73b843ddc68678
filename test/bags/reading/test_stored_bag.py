"""Storage files as recorders of all kinds leave them; rosbags is the oracle for those it reads."""

import sqlite3

import pytest
import yaml
import zstandard
from mcap.writer import CompressionType, IndexType, Writer
from rosbags.highlevel import AnyReader
from small_bags import TOPICS, run_messages, serialized, write_bag

from ddpm_controller.bags.files import BagError, OpenBag, digest, find_bags, storage_files
from ddpm_controller.bags.message_types import definition
from ddpm_controller.bags.reading import stored_bag

JOINTS = ["/joint_states"]


def rows(bag, topics=None):
    with OpenBag(bag) as source:
        messages = source.messages(source.topics if topics is None else topics)
        return [(each.topic, each.log_ns, each.serialized) for each in messages]


def raw_messages(duration_ms=400):
    return [(t, ns, serialized(t, m)) for t, ns, m in run_messages(duration_ms)]


def mcap_file(path, messages, **words):
    """Write an mcap file alone, as other recorders do."""
    with path.open("wb") as stream:
        writer = Writer(stream, **words)
        writer.start(profile="ros2")
        channels = {}
        for name, kind in TOPICS.items():
            schema = writer.register_schema(kind, "ros2msg", definition(kind)[0].encode())
            channels[name] = writer.register_channel(name, "cdr", schema)
        for topic, log_ns, cdr in messages:
            writer.add_message(channels[topic], log_ns, cdr, log_ns)
        writer.finish()
    return path


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_messages_are_those_that_rosbags_reads(tmp_path, storage):
    bag = write_bag(tmp_path / "bag", run_messages(), storage)
    with AnyReader([bag]) as oracle:
        expected = [(c.topic, ns, raw) for c, ns, raw in oracle.messages()]
        values = [oracle.deserialize(raw, c.msgtype) for c, _, raw in oracle.messages()]
    assert rows(bag) == expected
    assert rows(bag, JOINTS) == [each for each in expected if each[0] in JOINTS]
    with OpenBag(bag) as source:
        for found, value in zip(source.messages(source.topics), values, strict=True):
            assert repr(found.message) == repr(value)


@pytest.mark.parametrize("compression", list(CompressionType))
@pytest.mark.parametrize("words", [{}, {"use_chunking": False}, {"use_summary_offsets": False}])
def test_every_form_of_an_mcap_file_is_read(tmp_path, compression, words):
    messages = raw_messages()
    words = {"compression": compression, "chunk_size": 600, **words}
    file = mcap_file(tmp_path / "alone.mcap", messages, **words)
    assert rows(file) == messages


def test_an_mcap_file_without_an_index_of_messages_is_read(tmp_path):
    messages = raw_messages()
    file = mcap_file(tmp_path / "alone.mcap", messages, index_types=IndexType.CHUNK)
    assert rows(file, JOINTS) == [each for each in messages if each[0] in JOINTS]


def test_messages_out_of_order_come_in_the_order_of_their_times(tmp_path):
    """Also where the times of chunks overlap."""
    messages = raw_messages(1000)
    mixed = [messages[(7 * i) % len(messages)] for i in range(len(messages))]
    file = mcap_file(tmp_path / "alone.mcap", mixed, chunk_size=900)
    found = rows(file)
    assert sorted(found) == sorted(messages)
    assert [each[1] for each in found] == sorted(each[1] for each in messages)


def test_a_checksum_that_does_not_fit_is_damage(tmp_path):
    file = mcap_file(tmp_path / "a.mcap", raw_messages(), compression=CompressionType.NONE)
    content = bytearray(file.read_bytes())
    content[content.index(raw_messages()[9][2]) + 30] ^= 1
    file.write_bytes(content)
    with pytest.raises(BagError, match=r"damaged.*(CRC|crc)"):
        rows(file)


def compressed(bag, mode):
    """Compress a bag as rosbag2 does, beside its chunks or rows."""
    (file,) = [each for each in bag.iterdir() if each.suffix in (".mcap", ".db3")]
    path = bag / "metadata.yaml"
    content = yaml.safe_load(path.read_text())
    facts = content["rosbag2_bagfile_information"]
    facts |= {"compression_format": "zstd", "compression_mode": mode}
    if mode == "FILE":
        packed = file.with_name(f"{file.name}.zstd")
        packed.write_bytes(zstandard.compress(file.read_bytes()))
        file.unlink()
        facts["relative_file_paths"] = [packed.name]
    else:
        with sqlite3.connect(file) as connection:
            for number, raw in connection.execute("SELECT id, data FROM messages").fetchall():
                words = (zstandard.compress(raw), number)
                connection.execute("UPDATE messages SET data = ? WHERE id = ?", words)
    path.write_text(yaml.safe_dump(content))
    return bag


@pytest.mark.parametrize(
    ("storage", "mode"), [("mcap", "FILE"), ("sqlite3", "FILE"), ("sqlite3", "MESSAGE")]
)
def test_compressed_files_and_messages_are_read(tmp_path, storage, mode):
    bag = write_bag(tmp_path / "bag", run_messages(), storage)
    expected = rows(bag)
    assert rows(compressed(bag, mode)) == expected


def test_a_split_bag_is_read_file_after_file(tmp_path):
    bag = write_bag(tmp_path / "bag", run_messages(400))
    messages = rows(bag)
    halves = messages[:15], messages[15:]
    (bag / "bag.mcap").unlink()
    for number, half in enumerate(halves):
        mcap_file(bag / f"bag_{number}.mcap", half)
    path = bag / "metadata.yaml"
    path.write_text(path.read_text().replace("- bag.mcap", "- bag_0.mcap\n  - bag_1.mcap", 1))
    assert rows(bag) == messages
    (bag / "bag_1.mcap").unlink()
    with pytest.raises(BagError, match=r"files are missing: \['bag_1\.mcap'\]"):
        rows(bag)


def test_sqlite_without_definitions_has_the_types_of_ros(tmp_path):
    """As recorders up to Humble write it."""
    bag = write_bag(tmp_path / "bag", run_messages(), "sqlite3")
    expected = rows(bag, JOINTS)
    with sqlite3.connect(bag / "bag.db3") as connection:
        connection.execute("DROP TABLE message_definitions")
        connection.execute("DROP TABLE schema")
    assert rows(bag, JOINTS) == expected
    (bag / "metadata.yaml").unlink()
    with pytest.warns(UserWarning, match="not finished"):
        assert rows(bag, JOINTS) == expected


def test_a_topic_in_another_encoding_refuses_nothing_else(tmp_path):
    """Its schema is no text: a recorder of several kinds of messages writes both into one file."""
    messages = raw_messages()
    path = tmp_path / "both.mcap"
    with path.open("wb") as stream:
        writer = Writer(stream)
        writer.start(profile="ros2")
        schema = writer.register_schema("some.Cloud", "protobuf", b"\x0a\xff\xfe\x80")
        cloud = writer.register_channel("/cloud", "protobuf", schema)
        text = definition(TOPICS["/joint_states"])[0].encode()
        joints = writer.register_schema(TOPICS["/joint_states"], "ros2msg", text)
        joints = writer.register_channel("/joint_states", "cdr", joints)
        for topic, log_ns, cdr in messages:
            channel = joints if topic in JOINTS else cloud
            writer.add_message(channel, log_ns, cdr, log_ns)
        writer.finish()
    assert rows(path, JOINTS) == [each for each in messages if each[0] in JOINTS]
    with pytest.raises(BagError, match=r"in \['protobuf'\], and only cdr is read"):
        rows(path, ["/cloud"])


def test_a_compressed_message_that_grows_beyond_any_is_damage(tmp_path, monkeypatch):
    monkeypatch.setattr(stored_bag, "MOST_MESSAGE_BYTES", 1 << 16)
    bag = write_bag(tmp_path / "bag", run_messages(100), "sqlite3")
    with sqlite3.connect(bag / "bag.db3") as connection:
        connection.execute("UPDATE messages SET data = ?", (zstandard.compress(bytes(1 << 17)),))
    with pytest.raises(BagError, match="a message of more than 65536 bytes"):
        rows(bag)


@pytest.mark.parametrize("mode", ["FILE", "MESSAGE"])
def test_what_is_compressed_is_read_without_its_metadata_too(tmp_path, mode):
    bag = compressed(write_bag(tmp_path / "bag", run_messages(), "sqlite3"), mode)
    expected = rows(bag)
    (file,) = storage_files(bag)
    assert rows(file) == expected
    before = digest(bag)
    (bag / "metadata.yaml").unlink()
    assert find_bags([bag.parent]) == [bag]
    with pytest.warns(UserWarning, match="not finished"):
        assert rows(bag) == expected
    file.write_bytes(file.read_bytes()[:-1])
    assert digest(bag) != before
