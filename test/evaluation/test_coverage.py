"""How PushT is scored, and what people get to see of it."""

import io
import json

import numpy as np
import pytest
from rich.console import Console

from ddpm_controller.evaluation.coverage import summarize_coverage
from ddpm_controller.evaluation.intervals import wilson_interval
from ddpm_controller.evaluation.report import coverage_table, trial_line, write_json
from ddpm_controller.evaluation.results import Trial, summarize

SCORES = (0.19, 0.85, 0.86, 0.91, 0.96)


def trials(scores=SCORES):
    success = [score is not None and score > 0.95 for score in scores]
    return [Trial(n, success[n], 3.0, 4, score=score) for n, score in enumerate(scores)]


def test_a_threshold_has_to_be_passed_not_only_reached():
    coverage = summarize_coverage(SCORES)
    assert [(each.threshold, each.successes) for each in coverage.reached] == [
        (0.85, 3),
        (0.90, 2),
        (0.95, 1),
    ]
    for each in coverage.reached:
        assert each.rate == each.successes / 5
        assert (each.low, each.high) == wilson_interval(each.successes, 5)


def test_means_are_those_of_the_papers():
    """By hand: 3.77 / 5; and (0.19 + 0.85 + 0.86 + 0.91) / 0.95 + 1, over 5."""
    coverage = summarize_coverage(SCORES)
    assert coverage.mean_max_coverage == pytest.approx(0.754)
    assert coverage.published_reward == pytest.approx((2.81 / 0.95 + 1.0) / 5)


@pytest.mark.parametrize("scores", [(), (0.5, 1.1), (-0.1,), (np.nan,)])
def test_what_is_no_coverage_is_refused(scores):
    with pytest.raises(ValueError, match="must lie in 0 to 1"):
        summarize_coverage(scores)


def test_a_covered_goal_may_round_to_more_than_one():
    assert summarize_coverage([1.0 + 1e-12]).reached[-1].successes == 1


def test_the_summary_has_coverage_only_where_every_trial_has_a_score():
    assert summarize(trials()).coverage == summarize_coverage(SCORES)
    assert summarize(trials([None, None])).coverage is None
    assert summarize(trials([0.5, None])).coverage is None
    assert "mean maximum coverage 0.754 (reward 0.792)" in str(summarize(trials()))
    assert "coverage" not in str(summarize(trials([None])))


def test_the_table_shows_every_threshold_with_its_interval():
    console = Console(width=100, file=io.StringIO())
    console.print(coverage_table(summarize_coverage(SCORES)))
    text = console.file.getvalue()
    low, high = wilson_interval(2, 5)
    row = next(line for line in text.splitlines() if "0.90" in line)
    assert "40 %" in row
    assert f"{100 * low:.0f} to {100 * high:.0f} %" in row
    assert {"0.85", "0.95"} <= set(text.split())
    assert "mean maximum coverage 0.754, published reward 0.792" in " ".join(text.split())


def test_json_has_scores_where_there_are_some_and_only_there(tmp_path):
    write_json(tmp_path / "pusht.json", trials(), {})
    content = json.loads((tmp_path / "pusht.json").read_text())
    assert [each["max_coverage"] for each in content["outcomes"]] == list(SCORES)
    assert content["mean_max_coverage"] == pytest.approx(0.754)
    assert [each["successes"] for each in content["success_above"]] == [3, 2, 1]
    assert content["success_above"][2]["wilson_95"] == list(wilson_interval(1, 5))
    write_json(tmp_path / "reach.json", trials([None, None]), {})
    content = json.loads((tmp_path / "reach.json").read_text())
    assert not {"mean_max_coverage", "published_reward", "success_above"} & set(content)
    assert "max_coverage" not in content["outcomes"][0]


def test_a_line_says_the_coverage_of_a_trial_that_has_one():
    assert "coverage 0.850" in trial_line(2, 5, trials()[1])
    assert "coverage" not in trial_line(1, 1, trials([None])[0])
