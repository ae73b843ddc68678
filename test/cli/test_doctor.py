"""The command doctor, on a bag, beside a checkpoint, and on a live robot."""

import json
from pathlib import Path

import pytest
from described_bags import DESCRIBED, SEEN, described, small_checkpoint
from robot_driver import driver_of
from robot_process import robot_process
from small_bags import run_messages, small_robot, write_bag

from ddpm_controller.cli.checks.doctor import main

ROBOTS = Path(__file__).parents[2] / "config" / "robots"


def test_a_bag_and_a_checkpoint_that_fit_end_with_0_and_the_rows_are_there_as_json(
    tmp_path, capsys
):
    checkpoint = small_checkpoint(tmp_path)
    bag = write_bag(tmp_path / "bag", described(run_messages()), topics=DESCRIBED)
    words = [str(tmp_path / "robot.yaml"), str(checkpoint), "--bags", str(bag)]
    assert main([*words, "--json", str(tmp_path / "rows.json")]) == 0
    assert "0 faults, 0 to look at" in capsys.readouterr().out
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert rows["checkpoint"][0]["found"].startswith("diffusion_policy ")
    assert {row["level"] for row in rows[str(bag)]} == {"fits"}


def test_a_checkpoint_of_another_robot_ends_with_1_and_both_sides(tmp_path, capsys):
    checkpoint = small_checkpoint(tmp_path)
    small_robot(tmp_path, SEEN.replace("period_s: 0.1", "period_s: 0.2"))
    bag = write_bag(tmp_path / "bag", described(run_messages()), topics=DESCRIBED)
    assert main([str(tmp_path / "robot.yaml"), str(checkpoint), "--bags", str(bag)]) == 1
    out = capsys.readouterr().out
    assert "action period_s: checkpoint 0.1" in " ".join(out.replace("│", " ").split())
    assert "1 faults" in out


def test_a_robot_file_that_is_not_there_is_an_error(tmp_path, capsys):
    assert main([str(tmp_path / "none.yaml")]) == 1
    assert "none.yaml" in capsys.readouterr().out


@pytest.mark.long
def test_a_running_robot_fits_the_file_that_is_shipped_for_it_and_not_that_of_another(
    tmp_path, capsys
):
    namespace = driver_of("so101").namespace
    with robot_process("so101"):
        words = ["--namespace", namespace, "--duration-s", "3", "--json"]
        own, other = tmp_path / "own.json", tmp_path / "other.json"
        file = str(ROBOTS / "so101.yaml")
        # A robot that starts is not there at first.
        fits = any(main([file, *words, str(own)]) == 0 for _ in range(6))
        assert fits, capsys.readouterr().out
        assert main([str(ROBOTS / "xarm7.yaml"), *words, str(other)]) == 1
    levels = {row["what"]: row["level"] for row in json.loads(other.read_text())["graph"]}
    assert levels["stream joint_state"] == "fault"
    rows = json.loads(own.read_text())["graph"]
    assert any(row["what"].startswith("commands") and "by /" in row["found"] for row in rows)
