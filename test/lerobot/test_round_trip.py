"""Bags to a LeRobot data set and back: the same windows, exactly but for the codec of pictures."""

import json

import numpy as np
import pytest
from small_bags import (
    MS,
    ROBOT,
    START_NS,
    TOPICS,
    T,
    image,
    mark,
    run_messages,
    small_robot,
    write_bag,
)

from ddpm_controller.bags.episodes import read_episodes
from ddpm_controller.cli.lerobot.export_lerobot import main as export_lerobot
from ddpm_controller.cli.lerobot.import_lerobot import main as import_lerobot
from ddpm_controller.data.windows import WindowDataset
from ddpm_controller.lerobot.libraries import LeRobotError, library

CODEC_ERROR = 6
"""Levels of 255, of pictures of one colour: conversion to YUV and back, and quantization."""
SECOND = "  again: {topic: joint_states, type: sensor_msgs/msg/JointState, names: [grip],\n"
SECOND += "          units: [m], rate_hz: 50.0, max_age_s: 0.3}\naction:"
TEXT = "  words: {topic: instruction, type: std_msgs/msg/String, text_features: 64}\naction:"
CROPPED = "width: 6, crop: [0, 2, 4, 4], resize: [2, 2],"


def exported(tmp_path, bags, *words):
    out = tmp_path / "data"
    robot = str(tmp_path / "robot.yaml")
    assert export_lerobot([*map(str, bags), "--robot", robot, "--output", str(out), *words]) == 0
    return out


def again(tmp_path, data, *words):
    out = tmp_path / "again"
    robot = str(tmp_path / "robot.yaml")
    assert import_lerobot([str(data), "--robot", robot, "--output", str(out), *words]) == 0
    return out


def flashing(duration_ms, level):
    """A run in which every picture is another one than those before and behind, and in b."""
    for topic, stamp_ns, message in run_messages(duration_ms):
        if topic == "/camera/image_raw":
            number = (stamp_ns - START_NS) // (40 * MS)
            message = image(stamp_ns, level + 13 * (number % 8))
        yield topic, stamp_ns, message


def windows(episodes):
    dataset = WindowDataset(episodes, 2, 4)
    return dataset.gather(np.arange(len(dataset)))


def refuse_difference(first, second, image_error):
    one, other = windows(first), windows(second)
    np.testing.assert_array_equal(one.actions, other.actions)
    np.testing.assert_array_equal(one.mask, other.mask)
    for name, values in one.values.items():
        if values.dtype == np.uint8:
            difference = np.abs(values.astype(int) - other.values[name].astype(int))
            assert difference.max() <= image_error, name
        else:
            np.testing.assert_array_equal(values, other.values[name], name)


@pytest.mark.parametrize(("pictures", "image_error"), [("png", 0), ("video", CODEC_ERROR)])
def test_the_windows_are_the_same_again(tmp_path, pictures, image_error):
    """Two bags, two streams of one topic, pictures that are cropped and resized at reading."""
    text = ROBOT.replace("action:", SECOND).replace("width: 6,", CROPPED)
    robot = small_robot(tmp_path, text)
    bags = [
        write_bag(tmp_path / "a", flashing(900, 5)),
        write_bag(tmp_path / "b", flashing(500, 150)),
    ]
    data = exported(tmp_path, bags, "--pictures", pictures)
    found = again(tmp_path, data)
    refuse_difference(read_episodes(bags, robot), read_episodes([found], robot), image_error)


def test_units_of_messages_that_are_not_si_come_back(tmp_path):
    robot = small_robot(tmp_path, ROBOT.replace("units: [rad, m], rate", "units: [deg, mm], rate"))
    bag = write_bag(tmp_path / "bag", run_messages(600))
    data = exported(tmp_path, [bag], "--pictures", "png")
    state = json.loads((data / "meta/info.json").read_text())["features"]["observation.state"]
    assert state["units"] == ["rad", "m"]
    found = again(tmp_path, data, "--feature", "camera=observation.images.camera")
    refuse_difference(read_episodes([bag], robot), read_episodes([found], robot), 0)


def test_a_slower_data_set_holds_each_command_until_the_next(tmp_path):
    small_robot(tmp_path, ROBOT.replace("period_s: 0.1", "period_s: 0.2"))
    data = exported(tmp_path, [write_bag(tmp_path / "bag", run_messages(800))])
    robot = small_robot(tmp_path)
    (episode,) = read_episodes([again(tmp_path, data)], robot)
    np.testing.assert_allclose(episode.actions[:, 0], [1, 1, 1.2, 1.2, 1.4, 1.4, 1.6, 1.6, 1.8])


def test_sentences_become_tasks_frame_by_frame_and_sentences_again(tmp_path):
    robot = small_robot(tmp_path, ROBOT.replace("action:", TEXT))
    said = T["std_msgs/msg/String"]
    messages = [
        ("/instruction", START_NS - MS, said("push the red block")),
        *run_messages(800),
        ("/instruction", START_NS + 410 * MS, said("push the blue block")),
    ]
    messages.sort(key=lambda message: message[1])
    topics = {**TOPICS, "/instruction": "std_msgs/msg/String"}
    bag = write_bag(tmp_path / "bag", messages, topics=topics)
    data = exported(tmp_path, [bag], "--pictures", "png")
    assert json.loads((data / "meta/info.json").read_text())["total_tasks"] == 2
    refuse_difference(
        read_episodes([bag], robot), read_episodes([again(tmp_path, data)], robot), 0
    )


def test_failed_episodes_are_not_exported(tmp_path, capsys):
    small_robot(tmp_path)
    end_ns = START_NS + 600 * MS
    messages = [("/episode", START_NS, mark(START_NS, 0)), *run_messages(600)]
    failed = [*messages, ("/episode", end_ns, mark(end_ns, 1, success=False))]
    good = [*messages, ("/episode", end_ns, mark(end_ns, 1, success=True))]
    bags = [write_bag(tmp_path / "a", failed), write_bag(tmp_path / "b", good)]
    data = exported(tmp_path, bags)
    assert "1 episodes, 7 frames" in capsys.readouterr().out
    assert json.loads((data / "meta/info.json").read_text())["total_episodes"] == 1


def test_nothing_is_left_where_nothing_can_be_exported(tmp_path, capsys):
    small_robot(tmp_path)
    bag = write_bag(tmp_path / "bag", [])
    words = [str(bag), "--robot", str(tmp_path / "robot.yaml"), "--output", str(tmp_path / "data")]
    assert export_lerobot(words) == 1
    assert "no episode is left to export" in capsys.readouterr().out
    assert sorted(each.name for each in tmp_path.iterdir()) == ["bag", "robot.yaml"]


def test_without_the_extra_the_error_names_it():
    with pytest.raises(LeRobotError, match=r'pip install "ddpm_controller\[lerobot\]"'):
        library("no_such_library")
