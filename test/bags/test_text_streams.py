"""Sentences in bags, in recorded runs, and in worlds in one process."""

import dataclasses

import numpy as np
import pytest
from small_bags import (
    MS,
    ROBOT,
    START_NS,
    TOPICS,
    T,
    mark,
    run_messages,
    small_robot,
    write_bag,
)

from ddpm_controller.bags.conversions import ConversionError, observation_from
from ddpm_controller.bags.episodes import read_episodes
from ddpm_controller.bags.files import BagError, RecordedMessage
from ddpm_controller.bags.stream_reader import StreamReader
from ddpm_controller.data.text_features import text_features
from ddpm_controller.evaluation.stream_values import vector_value
from ddpm_controller.replay.recorded_run import RecordedRun, _keep
from ddpm_controller.robots.robot import load_robot
from ddpm_controller.ros.simulation.demonstrations import record_in_process
from ddpm_controller.share import share_path
from ddpm_controller.simulation.session import Session
from ddpm_controller.simulation.stick.drum_world import DrumWorld

SPOKEN = ROBOT.replace(
    "  camera:",
    "  wish: {topic: instruction, type: std_msgs/msg/String, text_features: 32}\n  camera:",
)
WITH_WISH = {**TOPICS, "/instruction": "std_msgs/msg/String"}
OTHER_CLOCK_NS = 1_790_000_000 * 10**9


def said(sentence, log_ns):
    return "/instruction", log_ns, T["std_msgs/msg/String"](sentence)


def features(*sentences):
    return np.stack([text_features(sentence, 32) for sentence in sentences])


@pytest.fixture
def robot(tmp_path):
    return small_robot(tmp_path, SPOKEN)


def episodes_of(tmp_path, robot, messages):
    return read_episodes([write_bag(tmp_path / "bag", messages, topics=WITH_WISH)], robot)


def test_a_sentence_said_once_before_anything_else_holds_for_the_whole_bag(tmp_path, robot):
    messages = [said("lift it twice", START_NS - 3000 * MS), *run_messages(1000)]
    (episode,) = episodes_of(tmp_path, robot, messages)
    assert len(episode) == 11
    np.testing.assert_array_equal(episode.values["wish"], features(*["lift it twice"] * 11))


def test_a_sentence_counts_from_the_newest_stamp_before_it(tmp_path, robot):
    """It has none of its own, and the recorder's clock may be another one than the robot's."""
    rows = list(run_messages(1000))
    ends = [number for number, (_, ns, _) in enumerate(rows) if ns <= START_NS + 460 * MS]
    middle = ends[-1] + 1
    messages = [
        said("lift it twice", START_NS),
        *rows[:middle],
        said("grip it", START_NS + 460 * MS),
        *rows[middle:],
    ]
    messages = [(topic, ns + OTHER_CLOCK_NS, message) for topic, ns, message in messages]
    (episode,) = episodes_of(tmp_path, robot, messages)
    expected = features(*["lift it twice"] * 5, *["grip it"] * 6)
    np.testing.assert_array_equal(episode.values["wish"], expected)


def test_an_episode_begins_when_it_was_said_what_is_wanted(tmp_path, robot):
    rows = list(run_messages(1000))
    late = next(number for number, (_, ns, _) in enumerate(rows) if ns > START_NS + 500 * MS)
    messages = [
        ("/episode", START_NS, mark(START_NS, 0)),
        *rows[:late],
        said("grip it", START_NS + 510 * MS),
        *rows[late:],
    ]
    (episode,) = episodes_of(tmp_path, robot, messages)
    assert episode.stamps_s[0] == pytest.approx(5.5)


def test_a_bag_in_which_nothing_was_said_is_refused(tmp_path, robot):
    with pytest.raises(BagError, match=r"no message on \['instruction'\]"):
        episodes_of(tmp_path, robot, run_messages(200))


def test_an_empty_sentence_is_refused_with_the_stream(robot):
    message = T["std_msgs/msg/String"](" ... ")
    with pytest.raises(ConversionError, match=r"wish: a text needs 1 to 64 words, ' ... ' has 0"):
        observation_from(message, robot.streams[1], 1.0)


def chunk_seen_at(*stamps_s):
    window = tuple((stamp_s, {"wish": stamp_s}) for stamp_s in stamps_s)
    return dataclasses.make_dataclass("Chunk", ["window", "masked", "elements"])(window, (), ())


def test_a_replay_plans_with_the_sentence_that_had_come_to_the_controller(robot, tmp_path):
    """By its own clock, a little before or after the recorder; or long before the recording."""
    run = RecordedRun(tmp_path, robot, {"wish": {}, "joint_state": {}, "camera": {}})
    messages = [said("lift it twice", 0), *run_messages(100), said("grip it", 0)]
    reader, sources = StreamReader(robot.streams), robot.sources_of_topics
    for topic, log_ns, message in messages:
        for source in sources.get(topic[1:], ()):
            if source.stream.spec.name in ("wish", "joint_state"):
                _keep(run, reader, source, RecordedMessage(topic, "", log_ns, message, b""))
    window = run.window(chunk_seen_at(1.0, 5.0, 5.03, 5.08, 5.11, 9.0))
    expected = features(*["lift it twice"] * 3, *["grip it"] * 3)
    np.testing.assert_array_equal([each.values["wish"] for each in window], expected)


def test_a_demonstration_of_the_drum_says_what_was_wanted(tmp_path):
    """The same numbers from its bag as from the world in one process."""
    world = DrumWorld()
    assert record_in_process(world, 5, tmp_path / "bag", pictures=False)
    robot = load_robot(share_path("config/robots/drum_words.yaml"))
    (episode,) = read_episodes([tmp_path / "bag"], robot)
    tick = Session(world, 25.0, expert=False, pictures=False).reset(5)
    row = vector_value(robot.stream_specs[-1], tick, world)
    np.testing.assert_array_equal(row, text_features(world.instruction, 128))
    np.testing.assert_array_equal(episode.values["instruction"], np.tile(row, (len(episode), 1)))
    world.close()


def test_a_world_that_says_nothing_is_refused_with_what_it_tells():
    world = DrumWorld()
    tick = Session(world, 25.0, expert=False, pictures=False).reset(5)
    robot = load_robot(share_path("config/robots/drum_words.yaml"))
    with pytest.raises(ValueError, match="the world 'drum' has"):
        vector_value(robot.stream_specs[-1], dataclasses.replace(tick, instruction=""), world)
    world.close()
