"""Compressed pictures of bags are decoded when they are looked at; the outcome is the same."""

import cv2
import numpy as np
import pytest
from small_bags import MS, ROBOT, START_NS, TOPICS, T, header, run_messages, small_robot, write_bag

from ddpm_controller.bags import tape
from ddpm_controller.bags.episodes import read_episodes
from ddpm_controller.bags.files import BagError

KIND = "sensor_msgs/msg/CompressedImage"
NAME = "/camera/image_raw"
COMPRESSED = {**TOPICS, NAME: KIND}


def picture(stamp_ns, level, height=4, width=6):
    content = cv2.imencode(".png", np.full((height, width, 3), level, np.uint8))[1]
    return T[KIND](header(stamp_ns), "png", content.ravel())


def messages(orders_ms):
    """A run whose pictures have their time in 10 ms as brightness; they come in this order."""
    found = [each for each in run_messages(1000) if each[0] != NAME]
    for number, ms in enumerate(orders_ms):
        came_ns = START_NS + number * 10 * MS
        found.append((NAME, came_ns, picture(START_NS + ms * MS, ms // 10)))
    return sorted(found, key=lambda each: each[1])


@pytest.fixture
def robot(tmp_path):
    """With a camera that compresses."""
    return small_robot(tmp_path, ROBOT.replace("msgs/msg/Image", "msgs/msg/CompressedImage"))


@pytest.fixture
def decoded(monkeypatch):
    """Count what is decoded."""
    counts = []
    original = tape.Tape._decoded
    monkeypatch.setattr(tape.Tape, "_decoded", lambda *each: counts.append(1) or original(*each))
    return counts


def test_only_the_pictures_that_a_policy_would_see_are_decoded(tmp_path, robot, decoded):
    bag = write_bag(tmp_path / "bag", messages(range(0, 1001, 10)), topics=COMPRESSED)
    (episode,) = read_episodes([bag], robot)
    assert episode.values["camera"][:, 0, 0, 0].tolist() == [*range(0, 101, 10)]
    assert len(decoded) == len(episode) == 11


@pytest.mark.filterwarnings("ignore:bag")
@pytest.mark.parametrize("seed", range(4))
def test_pictures_out_of_order_end_as_if_all_were_decoded(tmp_path, robot, monkeypatch, seed):
    """Late ones are refused and counted, as the robot does."""
    random = np.random.default_rng(seed)
    times_ms = np.arange(0, 1001, 10)
    order = np.argsort(times_ms + random.uniform(0, 60, len(times_ms)) * (times_ms > 0))
    bag = write_bag(tmp_path / "bag", messages(times_ms[order].tolist()), topics=COMPRESSED)
    with pytest.warns(UserWarning, match="messages of camera were not used") as lazily:
        (episode,) = read_episodes([bag], robot)
    monkeypatch.setattr(tape.Seen, "is_compressed", False)
    with pytest.warns(UserWarning, match="messages of camera were not used") as at_once:
        (expected,) = read_episodes([bag], robot)
    assert np.array_equal(episode.values["camera"], expected.values["camera"])
    assert [str(each.message) for each in lazily] == [str(each.message) for each in at_once]


def test_a_picture_of_another_size_is_refused_though_nothing_looks_at_it(tmp_path, robot):
    other = (NAME, START_NS + 5 * MS, picture(START_NS + 5 * MS, 0, 8, 8))
    found = sorted([*messages(range(0, 1001, 10)), other], key=lambda each: each[1])
    bag = write_bag(tmp_path / "bag", found, topics=COMPRESSED)
    with pytest.raises(BagError, match=r"/camera/image_raw: camera: .*8 x 8.*4 x 6"):
        read_episodes([bag], robot)


def test_a_picture_that_is_looked_at_and_cannot_be_decoded_is_named(tmp_path, robot):
    broken = picture(START_NS + 500 * MS, 0)
    broken.data = broken.data[:40]
    found = messages([ms for ms in range(0, 1001, 10) if ms != 500])
    found = sorted([*found, (NAME, START_NS + 495 * MS, broken)], key=lambda each: each[1])
    bag = write_bag(tmp_path / "bag", found, topics=COMPRESSED)
    with pytest.raises(BagError, match=r"topic /camera/image_raw: camera: PNG of 40 bytes"):
        read_episodes([bag], robot)
