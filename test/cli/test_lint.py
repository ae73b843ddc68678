"""`ddpm lint` and what `ddpm train` does with it, on bags of a robot of two joints."""

import json

import numpy as np
import pytest
from small_bags import MS, START_NS, T, header, write_bag
from small_training import RECIPE

from ddpm_controller.checkpoint import load_manifest
from ddpm_controller.cli.checks.lint import main
from ddpm_controller.cli.train import main as train

ROBOT = """
robot: two_joints
streams:
  joint_state: {topic: joint_states, type: sensor_msgs/msg/JointState, names: [turn, slide],
                units: [rad, m], rate_hz: 50.0, max_age_s: 0.3}
action: {topic: joint_trajectory, type: trajectory_msgs/msg/JointTrajectory, names: [turn, slide],
         units: [rad, m], period_s: 0.1}
"""
TOPICS = {
    "/joint_states": "sensor_msgs/msg/JointState",
    "/joint_trajectory": "trajectory_msgs/msg/JointTrajectory",
}
NAMES = ["turn", "slide"]


def state(ns, position):
    none = np.zeros(0)
    kind = T["sensor_msgs/msg/JointState"]
    return kind(header(ns), NAMES, np.array(position, dtype=float), none, none)


def command(ns, position):
    none, soon = np.zeros(0), T["builtin_interfaces/msg/Duration"](0, 20 * MS)
    point = T["trajectory_msgs/msg/JointTrajectoryPoint"](
        np.array(position), none, none, none, soon
    )
    return T["trajectory_msgs/msg/JointTrajectory"](header(ns), NAMES, [point])


def bag(folder, name, seed, scale=1.0, rest_s=0.0):
    """Four seconds of motion at 50 Hz, and then the robot rests."""
    messages = []
    for i in range(round(50 * (4 + rest_s))):
        ns, t_s = START_NS + i * 20 * MS, min(i / 50, 4.0)
        where = np.array([0.5 * np.sin(2 * t_s + seed), 0.1 * np.cos(3 * t_s + seed)])
        messages.append(("/joint_states", ns, state(ns, where * [scale, 1])))
        messages.append(("/joint_trajectory", ns, command(ns, where)))
    return write_bag(folder / name, messages, topics=TOPICS)


@pytest.fixture
def files(tmp_path):
    (tmp_path / "robot.yaml").write_text(ROBOT)
    (tmp_path / "recipe.yaml").write_text(RECIPE.replace("num_steps: 20", "num_steps: 2"))
    bags = tmp_path / "bags"
    bags.mkdir()
    bag(bags, "good", 0)
    return tmp_path


def lint(files, *options):
    return main([str(files / "bags"), "--robot", str(files / "robot.yaml"), *options])


def learned(files, *options):
    given = ["--bags", files / "bags", "--robot", files / "robot.yaml"]
    given += ["--config", files / "recipe.yaml", "--output", files / "run", *options]
    return train([str(each) for each in given])


def test_good_bags_are_clean(files, capsys):
    assert lint(files, "--strict") == 0
    assert "nothing is doubtful" in capsys.readouterr().out


def test_wrong_and_doubtful_bags_have_their_exit_codes_a_table_json_and_pictures(files, capsys):
    bag(files / "bags", "resting", 2, rest_s=4.0)
    assert lint(files) == 0
    assert lint(files, "--strict") == 1
    bag(files / "bags", "in_degrees", 1, scale=57.3)
    report = files / "report"
    assert lint(files, "--report", str(report)) == 2
    printed = capsys.readouterr().out
    assert "in_degrees" in printed
    assert "1 wrong, 1 doubtful, 1 clean" in printed
    content = json.loads((report / "lint.json").read_text())
    assert content["counts"] == {"degrees": 1, "idle_ends": 1}
    assert {each.name for each in report.glob("*.png")} == {"in_degrees.png", "resting.png"}


def test_what_cannot_be_read_is_shown_and_what_cannot_be_found_is_an_error(files, capsys):
    (storage,) = (files / "bags" / "good").glob("*.mcap")
    storage.write_bytes(storage.read_bytes()[:2000])
    assert lint(files) == 2
    assert "unreadable" in capsys.readouterr().out
    assert main([str(files / "nowhere"), "--robot", str(files / "robot.yaml")]) == 2


def test_a_training_refuses_what_is_surely_wrong_and_learns_the_rest(files, capsys):
    """Without the bag and without the rest at the end, as lint has written it."""
    bag(files / "bags", "in_degrees", 1, scale=57.3)
    bag(files / "bags", "resting", 2, rest_s=4.0)
    assert learned(files) == 1
    printed = capsys.readouterr().out
    assert "in_degrees: 'turn' of" in printed
    assert "--doubts warn" in printed
    written = files / "leave_out.yaml"
    assert lint(files, "--write", str(written)) == 2
    assert lint(files, "--leave-out", str(written)) == 0
    assert learned(files, "--leave-out", written) == 0
    provenance = load_manifest(files / "run" / "checkpoints" / "last").provenance
    assert [each["name"] for each in provenance["bags"]] == ["good", "resting"]
    assert [each["bag"] for each in provenance["leave_out"]] == ["in_degrees", "resting"]
    assert provenance["num_windows"] < 60  # of 40 and 80 moments, one held out


def test_a_training_learns_what_is_wrong_where_it_is_to(files, capsys):
    bag(files / "bags", "in_degrees", 1, scale=57.3)
    assert learned(files, "--doubts", "warn") == 0
    assert "doubtful: in_degrees: degrees: 'turn' of" in capsys.readouterr().out
