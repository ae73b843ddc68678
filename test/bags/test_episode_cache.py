"""Kept episodes: equal to read ones, made again whenever what they depend on changes."""

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_bags import MS, ROBOT, START_NS, image, run_messages, small_robot, write_bag

from ddpm_controller.bags import episode_cache
from ddpm_controller.bags.episode_cache import SUFFIX, EpisodeCache
from ddpm_controller.bags.episodes import read_demonstrations, read_episodes
from ddpm_controller.bags.files import BagError
from ddpm_controller.data.statistics import episodes_digest
from ddpm_controller.data.windows import WindowDataset


@pytest.fixture
def robot(tmp_path):
    """Two joints and one tiny camera."""
    return small_robot(tmp_path)


@pytest.fixture
def bags(tmp_path):
    """Two bags."""
    for number, length in enumerate((1000, 1400)):
        write_bag(tmp_path / "bags" / f"bag_{number}", run_messages(length))
    return tmp_path / "bags"


def kept(tmp_path):
    return sorted((tmp_path / "kept").glob(f"*{SUFFIX}"))


def read(bags, robot, folder, **words):
    return read_demonstrations([bags], robot, cache=EpisodeCache(robot, folder, **words))


def assert_equal(found, expected):
    assert found.provenance == expected.provenance
    assert [e.source for e in found.episodes] == [e.source for e in expected.episodes]
    for one, other in zip(found.episodes, expected.episodes, strict=True):
        assert one.success == other.success
        for name in other.values:
            assert one.values[name].dtype == other.values[name].dtype
            assert np.array_equal(one.values[name], other.values[name])
        assert np.array_equal(one.actions, other.actions)
        assert np.array_equal(one.stamps_s, other.stamps_s)


def test_what_is_kept_is_what_was_read(tmp_path, bags, robot):
    expected = read_demonstrations([bags], robot)
    first = read(bags, robot, tmp_path / "kept")
    second = read(bags, robot, tmp_path / "kept")
    assert (first.num_kept, second.num_kept) == (0, 2)
    assert_equal(first, expected)
    assert_equal(second, expected)
    assert episodes_digest(second.episodes) == episodes_digest(expected.episodes)


def test_the_second_start_opens_no_bag(tmp_path, bags, robot, monkeypatch):
    read(bags, robot, tmp_path / "kept")
    monkeypatch.setattr("ddpm_controller.bags.episodes.OpenBag", None)
    assert read(bags, robot, tmp_path / "kept").num_kept == 2


def test_a_bag_that_is_added_or_changed_is_read_by_itself(tmp_path, bags, robot):
    read(bags, robot, tmp_path / "kept")
    write_bag(bags / "bag_2", run_messages(600))
    assert read(bags, robot, tmp_path / "kept").num_kept == 2
    write_bag(bags / "other", run_messages(1000, START_NS + 7 * MS))
    for file in (bags / "other").iterdir():
        file.replace(bags / "bag_0" / file.name.replace("other", "bag_0"))
    (bags / "other").rmdir()
    text = (bags / "bag_0" / "metadata.yaml").read_text().replace("other", "bag_0")
    (bags / "bag_0" / "metadata.yaml").write_text(text)
    found = read(bags, robot, tmp_path / "kept")
    assert found.num_kept == 2
    assert_equal(found, read_demonstrations([bags], robot))


def test_a_robot_that_reads_otherwise_has_episodes_of_its_own(tmp_path, bags, robot):
    read(bags, robot, tmp_path / "kept")
    slower = replace(robot, period_s=0.2)
    found = read(bags, slower, tmp_path / "kept")
    assert found.num_kept == 0
    assert_equal(found, read_demonstrations([bags], slower))
    streams = (replace(robot.streams[0], latency_s=0.01), *robot.streams[1:])
    assert read(bags, replace(robot, streams=streams), tmp_path / "kept").num_kept == 2


def test_a_bag_that_was_moved_is_known_by_its_new_place(tmp_path, bags, robot):
    read(bags, robot, tmp_path / "kept")
    bags = bags.rename(tmp_path / "elsewhere")
    found = read(bags, robot, tmp_path / "kept")
    assert found.num_kept == 2
    assert_equal(found, read_demonstrations([bags], robot))


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9, 0.999])
def test_a_torn_file_is_made_again(tmp_path, bags, robot, share):
    """As a disk may leave it behind; our own writing replaces whole files."""
    read(bags, robot, tmp_path / "kept")
    for file in kept(tmp_path):
        content = file.read_bytes()
        file.write_bytes(content[: int(share * len(content))])
    found = read(bags, robot, tmp_path / "kept")
    assert found.num_kept == 0
    assert_equal(found, read_demonstrations([bags], robot))
    assert read(bags, robot, tmp_path / "kept").num_kept == 2


@pytest.mark.parametrize("place", [3, 9, 40, 400])
def test_a_file_with_another_byte_is_never_believed(tmp_path, bags, robot, place):
    """In the head or in a number; images are compared by nobody."""
    expected = read(bags, robot, tmp_path / "kept")
    for file in kept(tmp_path):
        content = bytearray(file.read_bytes())
        content[place] ^= 0x11
        file.write_bytes(content)
    assert_equal(read(bags, robot, tmp_path / "kept"), expected)


def test_a_process_that_is_killed_while_it_writes_leaves_nothing_false(
    tmp_path, bags, robot, monkeypatch
):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", killed)
        with pytest.raises(KeyboardInterrupt):
            read(bags, robot, tmp_path / "kept")
    assert kept(tmp_path) == []
    assert read(bags, robot, tmp_path / "kept").num_kept == 0


def test_a_bag_that_may_still_grow_is_not_kept(tmp_path, bags, robot):
    for bag in bags.iterdir():
        (bag / "metadata.yaml").unlink()
    with pytest.warns(UserWarning, match="not finished"):
        read(bags, robot, tmp_path / "kept")
    assert kept(tmp_path) == []


def test_a_bad_bag_is_named_at_every_start(tmp_path, bags, robot):
    messages = [m for m in run_messages() if m[0] != "/camera/image_raw"]
    write_bag(bags / "bad", messages)
    for _ in range(2):
        with pytest.warns(UserWarning, match=r"1 of 3 bags left out:\n.*bags/bad"):
            found = read(bags, robot, tmp_path / "kept")
    assert found.num_kept == 2
    with pytest.raises(BagError, match="no message on"):
        read(bags / "bad", robot, tmp_path / "kept")


def test_what_was_warned_of_is_warned_of_again(tmp_path, robot):
    """Here of a picture that came out of order and was not used."""
    late = ("/camera/image_raw", START_NS + 500 * MS, image(START_NS + 100 * MS, 3))
    messages = sorted([*run_messages(), late], key=lambda each: each[1])
    bag = write_bag(tmp_path / "bags" / "bag", messages)
    with pytest.warns(UserWarning, match="out of order"):
        read_episodes([bag], robot)
    for _ in range(2):
        with pytest.warns(UserWarning, match="out of order"):
            read(bag, robot, tmp_path / "kept")


def test_beside_the_bags_it_is_not_taken_for_one(bags, robot):
    read(bags, robot, None)
    assert len(list((bags / ".episodes").glob(f"*{SUFFIX}"))) == 2
    assert read(bags, robot, None).num_kept == 2


def test_where_nothing_can_be_written_bags_are_read(tmp_path, bags, robot):
    (tmp_path / "file").write_text("")
    with pytest.warns(UserWarning, match=r"cannot be kept in .*file.*stay in memory"):
        found = read(bags, robot, tmp_path / "file")
    assert_equal(found, read_demonstrations([bags], robot))


def test_what_was_used_least_recently_makes_room_and_stays_readable(tmp_path, bags, robot):
    first = read(bags / "bag_0", robot, tmp_path / "kept")
    size = kept(tmp_path)[0].stat().st_size
    read(bags / "bag_1", robot, tmp_path / "kept", most_bytes=size)
    assert len(kept(tmp_path)) == 1  # and not 0: what is in use stays, however large
    assert_equal(first, read_demonstrations([bags / "bag_0"], robot))
    assert read(bags / "bag_1", robot, tmp_path / "kept").num_kept == 1


def test_another_version_reads_again(tmp_path, bags, robot, monkeypatch):
    read(bags, robot, tmp_path / "kept")
    monkeypatch.setattr(episode_cache, "VERSION", episode_cache.VERSION + 1)
    assert read(bags, robot, tmp_path / "kept").num_kept == 0


def test_a_batch_needs_a_batch_of_memory_however_many_images_there_are(tmp_path):
    """Of kept episodes; here the images are forty times what may be in memory at once."""
    text = ROBOT.replace("height: 4, width: 6", "height: 96, width: 128")
    robot = small_robot(tmp_path, text)
    for number in range(4):
        messages = [
            (topic, ns, image(ns, number, 96, 128) if "camera" in topic else message)
            for topic, ns, message in run_messages(2000)
        ]
        write_bag(tmp_path / "bags" / f"bag_{number}", messages)
    read(tmp_path / "bags", robot, tmp_path / "kept")
    tracemalloc.start()
    found = read(tmp_path / "bags", robot, tmp_path / "kept")
    windows = WindowDataset(found.episodes, 1, 2)
    for begin in range(0, len(windows) - 1, 2):
        windows.gather(np.array([begin, begin + 1]))
    digest = episodes_digest(found.episodes)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    size = sum(episode.values["camera"].nbytes for episode in found.episodes)
    assert peak < size / 8
    assert digest == episodes_digest(read_demonstrations([tmp_path / "bags"], robot).episodes)
    assert Path(found.episodes[0].source).name == "bag_0#0"
