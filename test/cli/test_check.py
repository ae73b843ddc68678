"""The command check: a checkpoint beside bags, and thresholds for its exit code."""

import json

import pytest
from described_bags import DESCRIBED, described, small_checkpoint
from small_bags import run_messages, write_bag

from ddpm_controller.cli.checks.check import main


@pytest.fixture
def words(tmp_path):
    small_checkpoint(tmp_path)
    bag = write_bag(tmp_path / "bag", described(run_messages()), topics=DESCRIBED)
    return [
        *(str(tmp_path / "checkpoint"), "--bags", str(bag)),
        *("--robot", str(tmp_path / "robot.yaml"), "--output", str(tmp_path / "out")),
        *("--num-samples", "2", "--windows-per-episode", "3"),
    ]


def test_it_writes_page_and_json_and_ends_with_0_within_its_thresholds(words, tmp_path):
    assert main([*words, "--max-error", "1.0", "--max-seam", "1.0", "--max-refused", "1"]) == 0
    assert (tmp_path / "out" / "check.html").stat().st_size > 10_000
    content = json.loads((tmp_path / "out" / "check.json").read_text())
    assert content["num_windows"] == 3
    assert content["past"] == {}


def test_past_a_threshold_it_ends_with_1_and_names_each(words, capsys):
    """What was not measured is not kept either."""
    bounds = ["--max-error", "0.001", "--min-coverage", "1.0", "--max-out-of-distribution", "1.0"]
    assert main([*words, *bounds, "--max-seam", "9.0"]) == 1
    out = capsys.readouterr().out
    assert "at most 0.001 is allowed" in out
    assert "at least 1 is needed" in out
    assert "not measured, at most 1 is allowed" in out
    assert "at most 9" not in out
