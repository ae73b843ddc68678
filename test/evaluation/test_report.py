"""What people get to see of trials."""

import json
from dataclasses import replace

import numpy as np
import pytest

from ddpm_controller.evaluation.report import draw, trial_line, write_json
from ddpm_controller.evaluation.results import Trial, summarize


def trial(seed, success, frames=True):
    return Trial(
        seed=seed,
        success=success,
        duration_s=3.0 + seed,
        plans=5,
        joint_names=("a", "b"),
        stamps_s=np.arange(10.0),
        positions=np.zeros((10, 2)),
        commands=np.full((10, 2), np.nan),
        frames=(np.zeros((8, 8, 3), np.uint8),) * 4 if frames else (),
        frame_stamps_s=(0.0, 1.0, 2.0, 3.0) if frames else (),
    )


def test_summary_counts_successes_and_takes_the_median_over_them():
    summary = summarize([trial(0, True), trial(1, True), trial(9, False)])
    assert (summary.trials, summary.successes) == (3, 2)
    assert summary.median_time_to_success_s == pytest.approx(3.5)
    assert summary.low < 2 / 3 < summary.high


def test_json_is_readable_without_any_success(tmp_path):
    write_json(tmp_path / "results.json", [trial(0, False)], {"world": "reach"})
    content = json.loads((tmp_path / "results.json").read_text())
    assert content["successes"] == 0
    assert content["median_time_to_success_s"] is None
    assert content["outcomes"][0]["seed"] == 0


def test_picture_is_written_and_not_empty(tmp_path):
    draw(tmp_path / "a" / "trials.png", "title", [trial(0, True), trial(1, False)])
    assert (tmp_path / "a" / "trials.png").stat().st_size > 5000


def test_picture_of_a_world_without_cameras_has_the_curves(tmp_path):
    draw(tmp_path / "trials.png", "title", [trial(0, True, frames=False)])
    assert (tmp_path / "trials.png").stat().st_size > 5000


def test_picture_of_nothing_is_refused(tmp_path):
    nothing = replace(trial(0, True, frames=False), stamps_s=np.zeros(0))
    with pytest.raises(ValueError, match="no trial has frames or curves"):
        draw(tmp_path / "trials.png", "title", [nothing])


def test_a_line_says_which_seed_and_how_it_went():
    assert "seed 4" in trial_line(2, 5, trial(4, False))
    assert "no success" in trial_line(2, 5, trial(4, False))
