"""Demonstrations, in process and over the ROS graph."""

import sys

import numpy as np
import pytest
from random_checkpoint import SIM_ARM
from robot_files import SIM_ARM_GRIPPER

from ddpm_controller.bags.episodes import read_episodes
from ddpm_controller.bags.files import BagError, OpenBag, digest
from ddpm_controller.cli.demonstrate import DemonstrateOptions, demonstrate, main
from ddpm_controller.robots.robot import load_robot
from ddpm_controller.share import share_path
from ddpm_controller.simulation.worlds import WORLDS


def run_command(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["demonstrate", *map(str, words)])
    return main()


@pytest.fixture(scope="module")
def in_process(tmp_path_factory):
    """Two demonstrations of reach."""
    folder = tmp_path_factory.mktemp("in_process")
    with pytest.MonkeyPatch.context() as monkeypatch:
        words = ("--world", "reach", "-n", 2, "--output", folder, "--in-process")
        assert run_command(monkeypatch, *words) == 0
    return folder


def test_bags_in_process_are_episodes_with_success(in_process):
    """They have all streams, the command in force, marks and provenance."""
    episodes = read_episodes([in_process], load_robot(SIM_ARM))
    assert [episode.success for episode in episodes] == [True, True]
    for episode in episodes:
        assert 10 < len(episode) < 60
        np.testing.assert_allclose(np.diff(episode.stamps_s), 0.1)
        # The arm follows its commands, so a command of the wrong moment would be far off.
        lag = np.abs(episode.actions[:-1, :6] - episode.values["joint_state"][1:, :6])
        assert np.median(lag) < 0.1
        assert len(np.unique(episode.values["camera_fixed"], axis=0)) > len(episode) / 2
    with OpenBag(in_process / "reach_00001") as bag:
        assert bag.provenance["world"] == "reach"
        assert bag.provenance["seed"] == "1"


def test_a_demonstration_depends_on_its_seed_alone(in_process, tmp_path, monkeypatch):
    """Bit for bit, also when it is recorded alone; sqlite3 holds the same episode."""
    words = ("--world", "reach", "-n", 1, "--seed", 1, "--in-process", "--output")
    assert run_command(monkeypatch, *words, tmp_path / "mcap") == 0
    assert digest(tmp_path / "mcap" / "reach_00001") == digest(in_process / "reach_00001")
    assert run_command(monkeypatch, *words, tmp_path / "db", "--storage", "sqlite3") == 0
    robot = load_robot(SIM_ARM)
    first, second = (read_episodes([tmp_path / name], robot)[0] for name in ("mcap", "db"))
    np.testing.assert_array_equal(first.actions, second.actions)
    np.testing.assert_array_equal(first.values["camera_wrist"], second.values["camera_wrist"])


def test_an_arm_and_a_gripper_with_topics_of_their_own_are_learned_as_one(
    in_process, tmp_path, monkeypatch
):
    words = ("--world", "reach", "-n", 1, "--in-process", "--robot", SIM_ARM_GRIPPER)
    assert run_command(monkeypatch, *words, "--output", tmp_path) == 0
    (apart,) = read_episodes([tmp_path], load_robot(SIM_ARM_GRIPPER))
    together, _ = read_episodes([in_process], load_robot(SIM_ARM))
    np.testing.assert_array_equal(apart.actions, together.actions)
    with OpenBag(tmp_path / "reach_00000") as bag:
        assert "/joint_trajectory" not in bag.topics


def test_the_ros_graph_gives_the_same_bags(in_process, tmp_path, monkeypatch):
    """Every message of the observations and of the command, bit for bit but for the time."""
    words = ("--world", "reach", "-n", 2, "--output", tmp_path)
    assert run_command(monkeypatch, *words) == 0
    for name in ("reach_00000", "reach_00001"):
        here, there = contents(in_process / name), contents(tmp_path / name)
        assert set(here) == set(there)
        for topic in ("/joint_states", "/joint_trajectory", "/camera_wrist/image_raw", "/clock"):
            assert len(here[topic]) > 40
            assert here[topic] == there[topic]
    robot = load_robot(SIM_ARM)
    pairs = zip(read_episodes([in_process], robot), read_episodes([tmp_path], robot), strict=True)
    for first, second in pairs:
        np.testing.assert_array_equal(first.actions, second.actions)
        np.testing.assert_array_equal(first.values["camera_fixed"], second.values["camera_fixed"])


def contents(bag):
    """Topic -> its messages: both times since the beginning, and the bytes after the stamp."""
    with OpenBag(bag) as source:
        messages = list(source.messages(source.topics))
    begin_ns = next(m.log_ns for m in messages if m.topic == "/joint_states")
    found = {}
    for message in messages:
        stamp_ns = message.header_ns and message.header_ns - begin_ns
        entry = (message.log_ns - begin_ns, stamp_ns, message.serialized[12:])
        found.setdefault(message.topic, []).append(entry)
    return found


def test_an_interrupted_recording_goes_on_where_it_stopped(tmp_path):
    """Seeds that are there are not recorded again; failures are left out and replaced."""
    options = DemonstrateOptions(tmp_path, "reach", episodes=4, seed=10)
    (tmp_path / "reach_00011").mkdir()
    seeds = []

    def record(seed, folder):
        seeds.append(seed)
        return seed != 12

    told = []
    done, failures = demonstrate(options, record, lambda *numbers: told.append(numbers))
    assert seeds == [10, 12, 13, 14]
    assert (done, failures) == (4, 1)
    assert told == [(1, 0), (2, 0), (2, 1), (3, 1), (4, 1)]


def test_an_expert_that_always_fails_is_given_up(tmp_path):
    """Instead of recording for ever."""
    with pytest.raises(BagError, match="the expert failed 23 times in reach"):
        demonstrate(DemonstrateOptions(tmp_path, "reach", episodes=2), lambda seed, folder: False)


def test_a_write_error_ends_the_command_with_its_text(tmp_path, monkeypatch, capsys):
    """And keeps the bags that were finished."""

    def refuse(self, *_):
        raise OSError(28, "No space left on device")

    words = ("--world", "reach", "--in-process", "--output", tmp_path, "-n")
    assert run_command(monkeypatch, *words, 1) == 0
    monkeypatch.setattr("ddpm_controller.bags.storages.McapStorage.write", refuse)
    assert run_command(monkeypatch, *words, 2) == 1
    assert "No space left on device" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["reach_00000"]


def test_vectors_are_recorded_and_cameras_only_where_wanted(tmp_path, monkeypatch):
    words = ("--world", "drum", "-n", 1, "--in-process", "--no-pictures", "--output", tmp_path)
    assert run_command(monkeypatch, *words) == 0
    (episode,) = read_episodes([tmp_path], load_robot(share_path(WORLDS["drum"].robot)))
    assert set(episode.values) == {"joint_state", "joint_velocity", "goal"}
    assert 2 <= episode.values["goal"][0, 0] <= 5
    speed = np.diff(episode.values["joint_state"], axis=0) / 0.1
    told = episode.values["joint_velocity"]
    assert np.corrcoef(speed.ravel(), (told[1:] + told[:-1]).ravel())[0, 1] > 0.7
    with OpenBag(tmp_path / "drum_00000") as bag:
        assert not [topic for topic in bag.topics if "camera" in topic]
    with pytest.raises(ValueError, match="add --in-process"):
        DemonstrateOptions(tmp_path, "drum", pictures=False)
