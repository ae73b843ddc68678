"""Bad bags: each is named with what is wrong and what to do, and the others are used."""

import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from small_bags import (
    MS,
    START_NS,
    TOPICS,
    image,
    joint_state,
    run_messages,
    small_robot,
    trajectory,
    write_bag,
)

from ddpm_controller.bags.episodes import read_episodes
from ddpm_controller.bags.files import BagError, find_bags


@pytest.fixture
def robot(tmp_path):
    """Two joints listed by the driver in the other order, and one tiny camera."""
    return small_robot(tmp_path)


def cut(bag, share):
    (file,) = [f for f in bag.iterdir() if f.suffix in (".mcap", ".db3")]
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.95])
def test_a_cut_bag_is_named_and_the_others_are_used(tmp_path, robot, storage, share):
    """Wherever it is cut; alone it is an error, beside good bags a warning."""
    write_bag(tmp_path / "bags" / "a", run_messages())
    bag = write_bag(tmp_path / "bags" / "b", run_messages(8000), storage)
    cut(bag, share)
    with pytest.raises(BagError, match=r"bags/b is cut or damaged.*What to do"):
        read_episodes([bag], robot)
    with pytest.warns(UserWarning, match=r"1 of 2 bags left out:\n.*bags/b"):
        episodes = read_episodes([tmp_path / "bags"], robot)
    assert [Path(episode.source).name for episode in episodes] == ["a#0"]


def test_a_bag_with_fewer_messages_than_promised_is_refused(tmp_path, robot):
    """Silently short data would be learned as it is."""
    bag = write_bag(tmp_path / "bag", run_messages(), "sqlite3")
    short = write_bag(tmp_path / "short", run_messages(500), "sqlite3")
    shutil.copy(short / "short.db3", bag / "bag.db3")
    with pytest.raises(BagError, match="65 messages where its index promises 128"):
        read_episodes([bag], robot)


def test_a_missing_action_topic_is_named_with_the_topics_that_are_there(tmp_path, robot):
    """The reader sees at once what to write into the robot file."""
    topics = {n: k for n, k in TOPICS.items() if n != "/joint_trajectory"}
    bag = write_bag(tmp_path / "bag", run_messages(), topics=topics)
    with pytest.raises(
        BagError, match=r"no topic joint_trajectory \(traj.*it has .*/commands \("
    ) as e:
        read_episodes([bag], robot)
    assert "/joint_states (sensor_msgs/msg/JointState)" in str(e.value)


def test_a_topic_without_a_message_is_named(tmp_path, robot):
    """Declared, but nobody published."""
    messages = [m for m in run_messages() if m[0] != "/camera/image_raw"]
    bag = write_bag(tmp_path / "bag", messages)
    with pytest.raises(BagError, match=r"no message on \['camera/image_raw'\]"):
        read_episodes([bag], robot)


def test_a_camera_of_another_size_is_refused_with_both_sizes(tmp_path, robot):
    """The images would not fit the network."""
    messages = [*run_messages(), ("/camera/image_raw", START_NS, image(START_NS, 0, 8, 8))]
    bag = write_bag(tmp_path / "bag", messages)
    with pytest.raises(BagError, match=r"/camera/image_raw: camera: .*8 x 8.*4 x 6"):
        read_episodes([bag], robot)


def test_joints_that_never_come_are_named_with_those_that_do(tmp_path, robot):
    """Names decide, never the order."""
    messages = [
        (topic, ns, joint_state(ns, 0.0, 0.0, names=("lift", "claw")) if "joint_s" in topic else m)
        for topic, ns, m in run_messages()
    ]
    text = r"joints \['grip'\] of stream joint_state.*: these have \['claw', 'lift'\]"
    with pytest.raises(BagError, match=text):
        read_episodes([write_bag(tmp_path / "bag", messages)], robot)


def test_values_that_are_never_finite_are_named(tmp_path, robot):
    messages = [
        (topic, ns, joint_state(ns, math.nan, 0.0) if "joint_s" in topic else m)
        for topic, ns, m in run_messages()
    ]
    with pytest.raises(BagError, match="no usable observation.*joint_state: not finite: lift"):
        read_episodes([write_bag(tmp_path / "bag", messages)], robot)


def test_a_command_that_is_not_finite_is_refused(tmp_path, robot):
    """It would be learned."""
    bad_ns = START_NS + 500 * MS
    bad = ("/joint_trajectory", bad_ns, trajectory(bad_ns, np.nan, 0.0))
    bag = write_bag(tmp_path / "bag", [*run_messages(), bad])
    with pytest.raises(BagError, match="a command is not finite"):
        read_episodes([bag], robot)


def test_a_stream_that_stood_still_is_refused(tmp_path, robot):
    """A camera that froze for longer than its maximum age shows what was not there."""
    gap = range(START_NS + 300 * MS, START_NS + 900 * MS)
    messages = [m for m in run_messages(2000) if m[0] != "/camera/image_raw" or m[1] not in gap]
    bag = write_bag(tmp_path / "bag", messages)
    with pytest.raises(BagError, match=r"camera stood still for 0\.52 s.*max_age_s 0\.5"):
        read_episodes([bag], robot)


def test_no_bag_at_all_is_an_error(tmp_path):
    """A wrong path must not end as training on nothing."""
    with pytest.raises(BagError, match="no such file or folder"):
        find_bags([tmp_path / "nowhere"])
    with pytest.raises(BagError, match=r"expected folders with metadata\.yaml"):
        find_bags([tmp_path])
    (tmp_path / "run.bag").write_bytes(b"#ROSBAG V2.0\n")
    with pytest.raises(
        BagError, match=r"bag of ROS 1: rosbags-convert --src .*run\.bag --dst run"
    ):
        find_bags([tmp_path / "run.bag"])
