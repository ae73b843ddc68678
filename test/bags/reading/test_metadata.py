"""metadata.yaml that is missing, damaged, edited or of files that were renamed."""

import re

import pytest
from small_bags import run_messages, write_bag

from ddpm_controller.bags.files import BagError, OpenBag, storage_files
from ddpm_controller.bags.reading.metadata import METADATA

COUNTS = r"message_count: [1-9][0-9]*"


def written(folder, name="bag", storage="mcap"):
    return write_bag(folder / name, run_messages(400), storage)


def edit(bag, pattern, text):
    path = bag / METADATA
    changed = re.sub(pattern, text, path.read_text(), flags=re.DOTALL)
    assert changed != path.read_text()
    path.write_text(changed)


def rows(bag):
    with OpenBag(bag) as source:
        return [
            (each.topic, each.log_ns, each.serialized) for each in source.messages(source.topics)
        ]


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize(
    "text", ["", "- 1\n", "rosbag2_bagfile_information: {relative_file_paths: [a", "[" * 5000]
)
def test_storage_files_are_read_without_a_metadata_file_that_is_none(tmp_path, text, storage):
    bag = written(tmp_path, storage=storage)
    expected = rows(bag)
    (bag / METADATA).write_text(text)
    with pytest.warns(UserWarning, match=r"metadata\.yaml .* files are read without it"):
        assert rows(bag) == expected


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_what_was_noted_of_a_recording_is_in_its_storage_file_too(tmp_path, storage):
    """So ``replay BAG/bag.mcap`` finds the parameters of the controller."""
    bag = tmp_path / "bag"
    noted = {"controller_parameters": "{}"}
    write_bag(bag, run_messages(400), storage, provenance=noted)
    (file,) = storage_files(bag)
    with OpenBag(file) as source:
        assert source.provenance == noted
    (bag / METADATA).write_text("")
    with pytest.warns(UserWarning, match="without it"), OpenBag(bag) as source:
        assert source.provenance == noted


def test_an_edited_quality_of_service_changes_nothing(tmp_path):
    bag = written(tmp_path)
    expected = rows(bag)
    edit(bag, r"offered_qos_profiles:.*?(?=type_desc)", "offered_qos_profiles: [reliable]\n      ")
    assert rows(bag) == expected


def test_files_that_were_renamed_are_read_in_their_places(tmp_path):
    bag = written(tmp_path)
    expected = rows(bag)
    (bag / "bag.mcap").rename(bag / "kitchen.mcap")
    assert rows(bag) == expected
    (bag / "kitchen.mcap").unlink()
    with pytest.raises(BagError, match=r"files are missing: \['bag.mcap'\]"):
        rows(bag)


def test_more_messages_than_promised_are_read_and_fewer_refused(tmp_path):
    bag = written(tmp_path)
    expected = rows(bag)
    edit(bag, COUNTS, "message_count: 1")
    with pytest.warns(UserWarning, match="more messages of .*/joint_states.* than its metadata"):
        assert rows(bag) == expected
    edit(bag, COUNTS, "message_count: 1000")
    with pytest.raises(BagError, match="messages where its index promises"):
        rows(bag)


def test_a_type_that_metadata_has_wrong_is_that_of_the_file(tmp_path):
    bag = written(tmp_path)
    edit(bag, "sensor_msgs/msg/JointState", "sensor_msgs/msg/Imu")
    with OpenBag(bag) as source:
        assert source.topics["/joint_states"] == "sensor_msgs/msg/JointState"


def test_the_tenth_file_of_a_split_bag_is_behind_the_second(tmp_path):
    for number in (0, 1, 2, 10, 11):
        (tmp_path / f"run_1_{number}.db3").touch()
    names = [file.stem for file in storage_files(tmp_path)]
    assert names == ["run_1_0", "run_1_1", "run_1_2", "run_1_10", "run_1_11"]


def test_a_pointer_of_git_lfs_is_named(tmp_path):
    bag = written(tmp_path)
    (bag / "bag.mcap").write_text("version https://git-lfs.github.com/spec/v1\nsize 7\n")
    with pytest.raises(BagError, match=r"\['bag.mcap'\] are only pointers of Git LFS"):
        OpenBag(bag)
