import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from small_training import RECIPE, small_training

from ddpm_controller.bags.episodes import read_demonstrations
from ddpm_controller.bags.files import BagError
from ddpm_controller.checkpoint import load_checkpoint, save_checkpoint
from ddpm_controller.cli.train import INTERRUPTED, Recordings, _demonstrations, main
from ddpm_controller.robots.robot import load_robot
from ddpm_controller.ros.trainer.thread import TrainingRate


@pytest.fixture
def files(tmp_path):
    return small_training(tmp_path)


@pytest.fixture
def arguments(files):
    return [
        *("--bags", str(files.bags), "--robot", str(files.robot)),
        *("--config", str(files.config), "--output", str(files.output)),
    ]


def test_it_trains_from_bags_and_tells_where_everything_is(files, arguments, capsys):
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert "1 failed episodes left out" in printed
    assert "2 episodes, 22 moments" in printed
    assert "20/20" in printed
    assert "checkpoints/last" in printed
    manifest = load_checkpoint(files.output / "checkpoints" / "best").manifest
    assert [stream.name for stream in manifest.streams] == ["joint_state"]
    assert [bag["name"] for bag in manifest.provenance["bags"]] == ["bag_0", "bag_1", "bag_2"]
    assert all(len(bag["sha256"]) == 64 for bag in manifest.provenance["bags"])
    assert str(files.bags) not in manifest.model_dump_json()  # where it was trained is no matter


def test_the_command_line_goes_before_the_recipe(files, arguments):
    assert main([*arguments, "--num-steps", "5", "--seed", "3"]) == 0
    provenance = load_checkpoint(files.output / "checkpoints" / "last").manifest.provenance
    assert (provenance["step"], provenance["seed"]) == (5, 3)


def test_the_second_start_reports_what_it_has_from_the_cache(files, capsys):
    robot = load_robot(files.robot)
    for place, kept in (("beside", False), ("beside", True), ("off", False)):
        recordings = Recordings((files.bags,), doubts="skip", cache=place)
        found = _demonstrations(recordings, robot, Console())
        assert ("read 3 of 3 bags from the cache" in capsys.readouterr().out) == kept
        assert found.left_out == 1
    assert len(list((files.bags / ".episodes").iterdir())) == 3


def narrow(checkpoint, folder):
    """Save a checkpoint again, with ranges a tenth as wide."""
    manifest = checkpoint.manifest
    statistics = {
        name: {end: [0.1 * value for value in values] for end, values in each.items()}
        for name, each in manifest.statistics.items()
    }
    save_checkpoint(
        folder,
        kind=manifest.kind,
        config=manifest.config,
        action_spec=manifest.action_spec,
        streams=manifest.streams,
        statistics=statistics,
        provenance={},
        weights=checkpoint.weights,
    )


def test_recordings_beyond_the_ranges_of_a_base_are_told_joint_by_joint(
    files, arguments, tmp_path, capsys
):
    assert main(arguments) == 0
    narrow(load_checkpoint(files.output / "checkpoints" / "last"), tmp_path / "narrow")
    further = ["--initial-checkpoint", str(tmp_path / "narrow"), "--output", str(tmp_path / "on")]
    assert main([*arguments, *further]) == 0
    printed = capsys.readouterr().out
    assert "warning: the recordings go beyond the ranges of the initial checkpoint" in printed
    assert "base checkpoint" in printed.split("warning: the recordings")[1]
    files.config.write_text(RECIPE + "initial_ranges: keep\n")
    assert main([*arguments, *further[:-1], str(tmp_path / "kept")]) == 1
    assert "set initial_ranges: follow" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("--bags", "nowhere"), "no bag at nowhere"),
        (("--robot", "nowhere.yaml"), "robot file nowhere.yaml"),
        (("--config", "nowhere.yaml"), "nowhere.yaml: cannot be read"),
        (("--num-steps", "0"), "num_steps must be above 0, got 0"),
    ],
)
def test_what_cannot_be_used_is_told_in_one_line(arguments, capsys, change, message):
    assert main([*arguments, *change]) == 1
    assert message in capsys.readouterr().out


def test_brackets_in_an_error_are_printed_as_they_are(files, arguments, capsys):
    files.config.write_text(RECIPE.replace("[joint_state]", "[rad]"))
    assert main(arguments) == 1
    assert "streams ['rad'] are not the robot's" in capsys.readouterr().out


def test_only_failed_episodes_are_refused(files, tmp_path):
    (bag,) = files.bags.glob("bag_2")
    with pytest.raises(BagError, match="all 1 episodes are marked as failed"):
        read_demonstrations([bag], load_robot(files.robot))


def test_an_interrupted_command_saves_and_the_same_command_goes_on(files, arguments):
    files.config.write_text(RECIPE.replace("num_steps: 20", "num_steps: 5000"))
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-m", "ddpm_controller.cli.train", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True)
    log = files.output / "log.jsonl"
    while not (log.exists() and log.stat().st_size):
        with pytest.raises(subprocess.TimeoutExpired):  # else it has ended by itself
            process.wait(timeout=0.1)
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == INTERRUPTED
    assert "the same command resumes from here" in printed
    assert (files.output / "resume" / "state.safetensors").exists()


def test_the_rate_is_updates_over_time():
    now_s = iter([0.0, 0.5, 1.0])
    rate = TrainingRate(lambda: next(now_s))
    assert rate.steps_per_s == 0.0
    for step in (10, 11, 14):
        rate.add(step)
    assert rate.steps_per_s == 4.0
    assert rate.remaining_s(24) == 2.5
