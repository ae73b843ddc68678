"""Bags as they are written: what is in them, and what stays of them."""

import shutil
import subprocess

import numpy as np
import pytest
from small_bags import (
    START_NS,
    TOPICS,
    T,
    header,
    mark,
    run_messages,
    serialized,
    small_robot,
    write_bag,
)

from ddpm_controller.bags.episodes import read_episodes
from ddpm_controller.bags.files import OpenBag, digest
from ddpm_controller.bags.message_types import message_types
from ddpm_controller.bags.storages import BagTopic
from ddpm_controller.bags.writer import BagWriteError, BagWriter


@pytest.fixture
def robot(tmp_path):
    """Two joints listed by the driver in the other order, and one tiny camera."""
    return small_robot(tmp_path)


def test_the_writer_keeps_provenance_and_types(tmp_path):
    """What `ros2 bag info` shows: storage, topics with types, custom data."""
    with BagWriter(
        tmp_path / "bag", [BagTopic("/episode", TOPICS["/episode"])], {"seed": "7"}
    ) as w:
        w.write(
            "/episode", 5, bytes(message_types().serialize_cdr(mark(5, 0), TOPICS["/episode"]))
        )
    with OpenBag(tmp_path / "bag") as bag:
        assert bag.provenance == {"seed": "7"}
        assert bag.topics == {"/episode": "ddpm_msgs/msg/EpisodeMark"}
        (message,) = bag.messages(bag.topics)
    assert message.log_ns == 5
    assert message.message.world == "small"
    assert [path.name for path in tmp_path.iterdir()] == ["bag"]  # no unfinished folder stays


def test_the_same_messages_give_the_same_bytes(tmp_path):
    """So that the hash of a bag says whether the data are the same."""
    digests = {digest(write_bag(tmp_path / name / "bag", run_messages())) for name in "ab"}
    assert len(digests) == 1


def test_an_existing_bag_is_never_overwritten(tmp_path):
    """The error comes before anything is touched."""
    bag = write_bag(tmp_path / "bag", run_messages())
    before = digest(bag)
    with pytest.raises(BagWriteError, match="exists already"):
        BagWriter(bag, [], {})
    assert digest(bag) == before


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_an_error_while_recording_keeps_what_was_written(tmp_path, storage):
    """Whatever raises inside the block."""
    topics = [BagTopic("/episode", TOPICS["/episode"])]
    writer = BagWriter(tmp_path / "bag", topics, {}, storage)
    writer.write("/episode", 5, serialized("/episode", mark(5, 0)))
    with pytest.raises(RuntimeError), writer:
        raise RuntimeError
    with OpenBag(tmp_path / "bag") as bag:
        assert bag.is_whole
        assert [message.log_ns for message in bag.messages(bag.topics)] == [5]


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_hidden_bag_is_there_whole_or_not_at_all(tmp_path, storage):
    """A demonstration can be made again: half of one would be learned as a whole one."""
    (tmp_path / ".bag.partial").mkdir()  # left by a killed process
    writer = BagWriter(tmp_path / "bag", [], {}, storage, hidden=True)
    assert not (tmp_path / "bag").exists()
    with pytest.raises(RuntimeError), writer:
        raise RuntimeError
    assert not list(tmp_path.iterdir())
    with BagWriter(tmp_path / "bag", [], {}, storage, hidden=True):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["bag"]


def test_a_bag_that_was_not_finished_is_not_overwritten(tmp_path):
    """Whoever records again gets the command that saves it."""
    topics = [BagTopic("/episode", TOPICS["/episode"])]
    writer = BagWriter(tmp_path / "bag", topics, {})
    writer.write("/episode", 5, serialized("/episode", mark(5, 0)))
    writer.flush()
    with pytest.raises(BagWriteError, match=r"was not finished: `ddpm record --recover .*bag`"):
        BagWriter(tmp_path / "bag", [], {})
    writer.close()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 48 MB; skipped where mounting is not allowed."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a tmpfs is not allowed here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def fill(writer, topic):
    """Write images that cannot be compressed, 300 kB each, and flush every fourth time.

    Args:
        writer: Of the bag.
        topic: Of the images.
    """
    random, kind = np.random.default_rng(0), T["sensor_msgs/msg/Image"]
    for k in range(200):
        pixels = random.integers(0, 255, 300_000, dtype=np.uint8)
        image = kind(header(START_NS + k), 100, 1000, "rgb8", 0, 3000, pixels)
        writer.write(topic, k, serialized(topic, image))
        if k % 4 == 3:
            writer.flush()


IMAGES = BagTopic("/camera/image_raw", TOPICS["/camera/image_raw"])


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_full_disk_closes_a_readable_bag_and_says_so(small_disk, robot, storage):
    """The real thing; what was flushed before is there, and bags from before stay."""
    finished = write_bag(small_disk / "finished", run_messages(200), storage)
    writer = BagWriter(small_disk / "bag", [IMAGES], {"seed": "7"}, storage)
    with pytest.raises(BagWriteError, match=r"[0-9]+ of its [0-9]+ messages are in it, and it is"):
        fill(writer, IMAGES.name)
    flushed = writer.counts[IMAGES.name] // 4 * 4 - 4
    assert flushed > 20
    with OpenBag(small_disk / "bag") as bag:
        assert bag.provenance["seed"] == "7"
        assert not bag.is_whole
        assert len(list(bag.messages(bag.topics))) >= flushed
    assert len(read_episodes([finished], robot)) == 1


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_full_disk_takes_a_hidden_bag_and_says_so(small_disk, storage):
    writer = BagWriter(small_disk / "bag", [IMAGES], {}, storage, hidden=True)
    with pytest.raises(BagWriteError, match=r"Its [0-9]+ messages are not kept"):
        fill(writer, IMAGES.name)
    assert not list(small_disk.iterdir())


def test_a_disk_without_room_to_close_a_bag_is_refused_at_once(small_disk):
    """Before the first message is lost."""
    (small_disk / "other").write_bytes(bytes(20 * 2**20))
    with pytest.raises(BagWriteError, match=r"cannot write bag .*No space left.*Free space"):
        BagWriter(small_disk / "bag", [], {})
    assert [path.name for path in small_disk.iterdir()] == ["other"]
