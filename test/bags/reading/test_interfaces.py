"""Types that a bag has no definition of."""

import sqlite3

import numpy as np
import pytest
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from small_bags import START_NS, header, mark, run_messages, write_bag

from ddpm_controller.bags.files import BagError, OpenBag
from ddpm_controller.bags.reading.definitions import Definition, deserializer
from ddpm_controller.bags.reading.interfaces import definition_from

GRIP = "std_msgs/Header header\nFinger[] fingers\nsensor_msgs/Range range\n"
FINGER = "float64 width  # m\n"


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """Where a package lies as its authors keep it, and nothing is installed."""
    monkeypatch.setenv("AMENT_PREFIX_PATH", "")
    folder = tmp_path / "bags" / "interfaces" / "vendor" / "hand_msgs" / "msg"
    folder.mkdir(parents=True)
    (folder / "Grip.msg").write_text(GRIP)
    (folder / "Finger.msg").write_text(FINGER)
    return tmp_path / "bags"


def old_bag(path, topic_type="ddpm_msgs/msg/EpisodeMark", raw=None):
    """As recorders up to Humble write it; one topic has another type and other content."""
    write_bag(path, [*run_messages(100), ("/episode", START_NS, mark(START_NS, 0))], "sqlite3")
    with sqlite3.connect(path / f"{path.name}.db3") as connection:
        connection.execute("DROP TABLE message_definitions")
        connection.execute("UPDATE topics SET type = ? WHERE name = '/episode'", (topic_type,))
        if raw is not None:
            number = "(SELECT id FROM topics WHERE name = '/episode')"
            connection.execute(f"UPDATE messages SET data = ? WHERE topic_id = {number}", (raw,))
    return path


def messages(bag, topic):
    with OpenBag(bag) as source:
        return [each.message for each in source.messages([topic])]


def grip(release):
    """A message of the type of the files, as it is written with the types of a release."""
    store = get_typestore(release)
    store.register(get_types_from_msg(FINGER, "hand_msgs/msg/Finger"))
    store.register(get_types_from_msg(GRIP, "hand_msgs/msg/Grip"))
    types = store.types
    newer = {"variance": 0.5} if release == Stores.ROS2_JAZZY else {}
    seen = types["sensor_msgs/msg/Range"](header(0), 1, 0.1, 0.2, 0.3, 0.25, **newer)
    fingers = [types["hand_msgs/msg/Finger"](width) for width in (0.02, 0.04)]
    message = types["hand_msgs/msg/Grip"](header(START_NS), fingers, seen)
    return bytes(store.serialize_cdr(message, "hand_msgs/msg/Grip"))


def test_a_type_is_read_by_files_beside_the_bag(packages):
    bag = old_bag(packages / "bag", "hand_msgs/msg/Grip", grip(Stores.ROS2_JAZZY))
    (found,) = messages(bag, "/episode")
    np.testing.assert_allclose([each.width for each in found.fingers], [0.02, 0.04])
    assert found.range.variance == 0.5


def test_a_file_of_another_version_is_named(packages):
    bag = old_bag(packages / "bag", "hand_msgs/msg/Grip", grip(Stores.ROS2_JAZZY))
    file = packages / "interfaces" / "vendor" / "hand_msgs" / "msg" / "Finger.msg"
    file.write_text("string name\nfloat64 width\n")
    with pytest.raises(BagError, match="does not fit its definition in interfaces"):
        messages(bag, "/episode")


def test_what_files_contain_is_of_the_release_that_recorded(packages):
    """``Range`` has had a variance only since Iron."""
    text = definition_from("hand_msgs/msg/Grip", [packages / "interfaces"])
    for release in (Stores.ROS2_HUMBLE, Stores.ROS2_JAZZY):
        name = release.value.removeprefix("ros2_")
        read = deserializer(Definition("hand_msgs/msg/Grip", text, release=name))
        found = read(grip(release))
        assert found.range.range == pytest.approx(0.25)
        assert hasattr(found.range, "variance") == (release == Stores.ROS2_JAZZY)


def test_a_type_of_an_installed_package_is_read(tmp_path, monkeypatch, packages):
    installed = tmp_path / "opt" / "share"
    (packages / "interfaces" / "vendor").rename(tmp_path / "elsewhere")
    installed.mkdir(parents=True)
    (tmp_path / "elsewhere" / "hand_msgs").rename(installed / "hand_msgs")
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"/nowhere:{installed.parent}")
    bag = old_bag(packages / "bag", "hand_msgs/msg/Grip", grip(Stores.ROS2_JAZZY))
    assert len(messages(bag, "/episode")) == 1


@pytest.mark.parametrize(
    "name", ["hand_msgs/msg/Nothing", "hand_msgs/srv/Open_Event", "x", "a//b"]
)
def test_a_type_that_nothing_knows_refuses_only_its_own_topic(packages, name):
    bag = old_bag(packages / "bag", name)
    assert messages(bag, "/joint_states")
    with pytest.raises(BagError, match="has no definition in the bag, in ROS 2 or in an inst"):
        messages(bag, "/episode")
    assert "interfaces/hand_msgs/msg/Nothing.msg" in _reason(bag) or "Nothing" not in name


def _reason(bag):
    with pytest.raises(BagError) as caught:
        messages(bag, "/episode")
    return str(caught.value)
