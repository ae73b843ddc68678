import math
from types import SimpleNamespace

import numpy as np
import pytest

from ddpm_controller.evaluation.nll import draw_nll, evaluate_nll
from ddpm_controller.policy import BoundSettings, Likelihood, PolicyFacts
from ddpm_controller.types import ActionSpec, Episode


class Scripted:
    """Says 1 nat for each step of three, and -0.5 for the scale; 10 more for the second joint."""

    facts = PolicyFacts((), ActionSpec(("one", "two"), ("rad", "rad"), 0.1), n_obs_steps=1)
    horizon = 4

    def __init__(self):
        self.asked = []

    def likelihood(self, values, actions, mask, settings):
        self.asked.append((actions, mask, settings))
        steps = np.ones((3, *actions.shape))
        steps[0, :, :, 1] += 10.0
        steps[0] += actions  # so that episodes differ
        return Likelihood(
            np.full(actions.shape, 0.25), steps, np.array([0, 4, 9]), np.full(2, -0.5), mask
        )


def episode(level=0.0, length=10):
    return Episode(
        np.arange(length) * 0.1,
        {"joint_state": np.zeros((length, 2))},
        np.full((length, 2), level),
        f"level {level}",
    )


def test_the_parts_add_up_and_belong_to_their_names():
    report = evaluate_nll(Scripted(), [episode()])
    # 0.25 + 3 * 1 - 0.5, and 10 for every other number.
    assert report.mean == pytest.approx(2.75 + 5.0)
    assert sum(report.per_term.values()) == pytest.approx(report.mean)
    assert report.per_term == pytest.approx(
        {"L_T": 0.25, "L_t": 2.0, "L_0": 6.0, "log_scale": -0.5}
    )
    assert report.per_timestep == pytest.approx([6.0, 1.0, 1.0])
    assert report.per_joint == pytest.approx({"one": 2.75, "two": 12.75})
    assert report.per_row == pytest.approx(np.full(4, 7.75))
    assert report.unit == "nats"
    assert report.num_windows == 10


def test_rows_beyond_the_end_count_in_nothing():
    policy = Scripted()
    report = evaluate_nll(policy, [episode(length=2)])
    assert policy.asked[0][1].sum() == 3  # two rows of the first window and one of the second
    assert report.per_row[:2] == pytest.approx([7.75, 7.75])
    assert np.isnan(report.per_row[2:]).all()
    assert report.mean == pytest.approx(7.75)


def test_the_standard_error_is_that_between_episodes():
    report = evaluate_nll(Scripted(), [episode(0.0), episode(2.0), episode(4.0)])
    assert report.per_episode == pytest.approx(
        {"level 0.0": 7.75, "level 2.0": 9.75, "level 4.0": 11.75}
    )
    assert report.standard_error == pytest.approx(2.0 / math.sqrt(3))


def test_windows_are_spread_over_the_episode():
    policy = Scripted()
    evaluate_nll(policy, [episode()], windows_per_episode=3)
    assert policy.asked[0][0].shape == (3, 4, 2)
    # The first, the middle and the last moment: of the last one a single row is left.
    assert policy.asked[0][1].sum(axis=1).tolist() == [4, 4, 1]


def test_ticks_are_told_in_bits():
    nats = evaluate_nll(Scripted(), [episode()])
    bits = evaluate_nll(Scripted(), [episode()], BoundSettings(ticks=(0.1, 0.1)))
    assert bits.unit == "bits"
    assert bits.mean == pytest.approx(nats.mean / math.log(2))
    assert bits.per_term["L_0"] == pytest.approx(nats.per_term["L_0"] / math.log(2))


@pytest.mark.parametrize(
    ("policy", "episodes", "windows", "message"),
    [
        (SimpleNamespace(), [episode()], 1, "has no likelihood"),
        (Scripted(), [], 1, "got 0 episodes and 1 windows"),
        (Scripted(), [episode()], 0, "got 1 episodes and 0 windows"),
    ],
)
def test_what_cannot_be_measured_is_refused(policy, episodes, windows, message):
    with pytest.raises(ValueError, match=message):
        evaluate_nll(policy, episodes, windows_per_episode=windows)


def test_the_picture_is_drawn(tmp_path):
    draw_nll(evaluate_nll(Scripted(), [episode()]), "scripted", tmp_path / "new" / "nll.png")
    assert (tmp_path / "new" / "nll.png").read_bytes().startswith(b"\x89PNG")
