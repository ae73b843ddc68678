"""Latencies in the text of a robot file."""

import shutil

import pytest
import yaml
from random_checkpoint import SIM_ARM

from ddpm_controller.robots.robot import RobotError, load_robot
from ddpm_controller.robots.robot_file_latencies import with_latencies, write_latencies

STREAMS = {"joint_state": 0.0041, "camera_wrist": 0.0339}


@pytest.fixture
def robot_file(tmp_path):
    shutil.copytree(SIM_ARM.parent / "limits", tmp_path / "limits")
    return shutil.copy(SIM_ARM, tmp_path / "robot.yaml")


def test_lines_are_added_and_all_others_stay_as_they_were(robot_file):
    before = robot_file.read_text().splitlines()
    write_latencies(robot_file, STREAMS, {"action": 0.052345})
    after = robot_file.read_text().splitlines()
    added = [line for line in after if "latency_s" in line]
    assert added == ["    latency_s: 0.0041", "    latency_s: 0.0339", "  latency_s: 0.0523"]
    assert [line for line in after if "latency_s" not in line] == before
    robot = load_robot(robot_file)
    assert [each.latency_s for each in robot.streams] == [0.0041, 0.0, 0.0339]
    assert robot.latency_s == 0.0523


def test_a_second_calibration_replaces_the_first(robot_file):
    write_latencies(robot_file, STREAMS, {"action": 0.05})
    text = robot_file.read_text()
    robot_file.write_text(text.replace("latency_s: 0.05\n", "latency_s: 0.05   # by hand\n"))
    write_latencies(robot_file, {"joint_state": 0.25}, {"action": 0.1})
    robot = load_robot(robot_file)
    assert [each.latency_s for each in robot.streams] == [0.25, 0.0, 0.0339]
    assert "latency_s: 0.1   # by hand" in robot_file.read_text()
    assert robot_file.read_text().count("latency_s") == 3


def test_without_an_action_it_stays(robot_file):
    write_latencies(robot_file, STREAMS)
    assert "latency_s" not in yaml.safe_load(robot_file.read_text())["action"]


def test_flow_style_and_a_file_without_a_last_newline_are_edited():
    text = "streams: {a: {topic: x}}\naction:\n  names: [j,\n    k]   # two"
    edited = with_latencies(text, {"a": 0.01}, {"action": 0.02})
    assert edited == (
        "streams: {a: {latency_s: 0.01, topic: x}}\n"
        "action:\n  names: [j,\n    k]   # two\n  latency_s: 0.02"
    )


def test_each_of_several_actions_gets_its_own():
    text = "actions:\n  - name: arm\n    names: [a]\n  - {name: gripper, names: [b]}\n"
    edited = with_latencies(text, {}, {"gripper": 0.2, "arm": 0.05})
    assert edited == (
        "actions:\n  - name: arm\n    names: [a]\n    latency_s: 0.05\n"
        "  - {latency_s: 0.2, name: gripper, names: [b]}\n"
    )


def test_what_cannot_be_edited_alone_is_refused_with_the_lines_to_add(robot_file):
    text = "streams: {a: &same {topic: x}, b: *same}\naction: {names: [j]}\n"
    with pytest.raises(ValueError, match=r"add streams.b.latency_s: 0.01"):
        with_latencies(text, {"b": 0.01})


def test_a_latency_that_the_robot_file_refuses_changes_nothing(robot_file):
    before = robot_file.read_text()
    with pytest.raises(RobotError, match=r"was not changed: .*max_age_s 0.3 must be above"):
        write_latencies(robot_file, {"joint_state": 0.3})
    assert robot_file.read_text() == before
    assert sorted(p.name for p in robot_file.parent.iterdir()) == ["limits", "robot.yaml"]


def test_a_folder_that_cannot_be_written_says_what_to_do(tmp_path):
    with pytest.raises(RobotError, match=r"cannot be written: .*copy it to a folder of your own"):
        write_latencies(tmp_path / "missing" / "robot.yaml", STREAMS)
