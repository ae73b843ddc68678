"""Bags written whole or not at all."""

import errno
import shutil
import subprocess

import numpy as np
import pytest
from small_bags import START_NS, TOPICS, T, header, mark, run_messages, small_robot, write_bag

from ddpm_controller.bags.episodes import read_episodes
from ddpm_controller.bags.files import OpenBag, digest
from ddpm_controller.bags.message_types import message_types
from ddpm_controller.bags.writer import BagTopic, BagWriteError, BagWriter


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
def test_an_error_while_recording_leaves_no_half_bag(tmp_path, storage):
    """Whatever raises inside the block."""
    with pytest.raises(RuntimeError), BagWriter(tmp_path / "bag", [], {}, storage):
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_a_write_error_is_told_and_finished_bags_stay(tmp_path, monkeypatch):
    """An injected "no space left on device", at the first chunk that goes to the disk."""
    finished = write_bag(tmp_path / "finished", run_messages())
    before = digest(finished)

    def refuse(self):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("rosbags.rosbag2.storage_mcap.McapWriter.close_chunk", refuse)
    with pytest.raises(BagWriteError, match=r"No space left.*messages are not kept.*Free space"):
        write_bag(tmp_path / "bag", run_messages())
    assert [path.name for path in tmp_path.iterdir()] == ["finished"]
    assert digest(finished) == before


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MB; skipped where mounting is not allowed."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a tmpfs is not allowed here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_full_disk_is_told_and_finished_bags_stay(small_disk, robot, storage):
    """The real thing: a file system of 1 MB and incompressible images."""
    finished = write_bag(small_disk / "finished", run_messages(200), storage)
    random = np.random.default_rng(0)
    kind = T["sensor_msgs/msg/Image"]
    noise = [random.integers(0, 255, 30_000, dtype=np.uint8) for _ in range(100)]
    images = [kind(header(START_NS), 100, 100, "rgb8", 0, 300, pixels) for pixels in noise]
    with pytest.raises(BagWriteError, match=r"Its [0-9]+ messages are not kept"):
        write_bag(
            small_disk / "bag", [("/camera/image_raw", START_NS, m) for m in images], storage
        )
    assert [path.name for path in small_disk.iterdir()] == ["finished"]
    assert len(read_episodes([finished], robot)) == 1
