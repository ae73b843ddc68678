"""Plans beside recordings: exact for policies whose plans are known."""

import json
from dataclasses import dataclass, field

import numpy as np
import pytest

from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.evaluation.open_loop import CheckSettings, check_open_loop
from ddpm_controller.evaluation.open_loop_page import (
    figures_of,
    write_open_loop_json,
    write_open_loop_page,
)
from ddpm_controller.policy import PolicyFacts
from ddpm_controller.types import ActionChunk, ActionSpec, Episode, Plan, StreamSpec

SPEC = ActionSpec(("lift", "grip"), ("rad", "m"), 0.1)
STREAM = StreamSpec("joint_state", "vector", (2,), 50.0, ("lift", "grip"), ("rad", "m"))
SETTINGS = CheckSettings(num_samples=4, windows_per_episode=5)


@dataclass
class Ahead:
    """Plans what follows in a ramp of 0.1 a row from where it is, and ``off`` a sample beside."""

    off: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0)
    drift: float = 0.0
    score: float | None = None
    facts: PolicyFacts = field(init=False)

    def __post_init__(self):
        limit = float("nan") if self.score is None else 1.0
        self.facts = PolicyFacts((STREAM,), SPEC, 2, out_of_distribution_limit=limit)

    def initial_memory(self, seed):
        return {"seed": np.array(seed), "plans": np.array(0)}

    def plan(self, window, memory):
        rows = window[-1].values["joint_state"] + 0.1 * np.arange(4)[:, None]
        number = int(memory["plans"])
        rows = rows + self.off[int(memory["seed"])] + number * self.drift
        traces = {} if self.score is None else {"out_of_distribution": self.score}
        chunk = ActionChunk(window[-1].stamp_s, 0.1, SPEC.joint_names, rows)
        return Plan(chunk, {**memory, "plans": np.array(number + 1)}, traces)


def ramp(count=21, name="ramp"):
    rows = 0.1 * np.arange(count)[:, None] + np.zeros((1, 2))
    return Episode(5 + 0.1 * np.arange(count), {"joint_state": rows}, rows, name)


def test_a_policy_that_plans_what_was_recorded_has_no_error_and_no_seam():
    report = check_open_loop(Ahead(), [ramp()], SETTINGS)
    np.testing.assert_allclose(report.error, 0, atol=1e-12)
    np.testing.assert_allclose(report.seam, 0, atol=1e-12)
    assert report.num_windows == 5
    assert report.out_of_distribution is None
    assert report.refused is None
    # Holding the first row is off by 0.1 a row.
    np.testing.assert_allclose(report.held_error[:, 0], [0, 0.1, 0.2, 0.3])


def test_errors_are_of_samples_in_the_joints_units_and_as_shares_of_the_range():
    report = check_open_loop(Ahead((-0.2, 0.0, 0.2, 0.4)), [ramp()], SETTINGS)
    np.testing.assert_allclose(report.error, 0.2)
    assert report.worst_error == pytest.approx(0.2 / 2.0)  # the ramp goes from 0 to 2
    assert report.mean_coverage == 1.0
    assert report.expected_coverage == pytest.approx(3 / 5)


def test_what_lies_beside_all_samples_is_not_covered():
    report = check_open_loop(Ahead((0.1, 0.2, 0.3, 0.4)), [ramp()], SETTINGS)
    assert report.mean_coverage == 0.0


def test_samples_that_are_all_the_same_cover_what_they_are_equal_to_but_for_rounding():
    """As of a joint that never moves."""
    assert check_open_loop(Ahead((1e-7,) * 4), [ramp()], SETTINGS).mean_coverage == 1.0
    assert check_open_loop(Ahead((0.01,) * 4), [ramp()], SETTINGS).mean_coverage == 0.0


def test_windows_that_are_drawn_have_all_rows_where_there_are_some():
    report = check_open_loop(Ahead(), [ramp()], SETTINGS)
    assert len(report.examples) == 3
    assert not any(np.isnan(each.recorded).any() for each in report.examples)


def test_a_policy_that_changes_its_mind_has_a_seam_of_that_size():
    """The plan after is made with the memory of the plan before."""
    report = check_open_loop(Ahead(drift=0.3), [ramp()], SETTINGS)
    np.testing.assert_allclose(report.seam, 0.3)
    assert report.worst_seam == pytest.approx(0.15)


@pytest.mark.parametrize(("score", "share"), [(0.9, 0.0), (1.1, 1.0)])
def test_windows_above_the_policys_own_limit_are_counted(score, share):
    assert check_open_loop(Ahead(score=score), [ramp()], SETTINGS).out_of_distribution == share


def test_what_the_controller_refuses_is_counted_by_its_own_rule():
    """Half a range beyond a limit refuses, less is only noted."""
    limits = JointLimits(np.full(2, 0.0), np.full(2, 1.0), np.full(2, 9.0))
    report = check_open_loop(Ahead(), [ramp()], SETTINGS, limits)
    assert 0 < report.refused < report.beyond < 1
    assert "position" in report.refusal


def test_page_and_json_hold_all_of_it_and_need_no_other_file(tmp_path):
    report = check_open_loop(Ahead(), [ramp(), ramp(4, "<short>")], SETTINGS)
    past = {"error": "too <large>"}
    write_open_loop_page(tmp_path / "check.html", "a <title>", report, past)
    write_open_loop_json(tmp_path / "check.json", report, {"bags": ["b"]}, past)
    page = (tmp_path / "check.html").read_text()
    assert page.count("data:image/png;base64,") == 2
    assert "<title>a &lt;title&gt;" in page
    assert "too &lt;large&gt;" in page
    assert "http" not in page
    content = json.loads((tmp_path / "check.json").read_text())
    assert content["figures"] == figures_of(report)
    assert len(content["error"]) == 4


def test_numbers_of_nothing_are_refused():
    with pytest.raises(ValueError, match="num_samples must be at least 2"):
        CheckSettings(num_samples=1)
    with pytest.raises(ValueError, match="no episodes"):
        check_open_loop(Ahead(), [], SETTINGS)
