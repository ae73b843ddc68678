"""Recordings beyond the ranges of the checkpoint that a training begins with."""

import json
import warnings
from dataclasses import replace

import numpy as np
import pytest

from ddpm_controller.checkpoint import load_checkpoint
from ddpm_controller.policies.diff_control.config import DiffControlConfig
from ddpm_controller.systems import restore
from ddpm_controller.training.config import TrainingConfig, TrainingError
from ddpm_controller.training.ranges import beyond, widened

ONE_STEP = {"num_steps": 1, "validation_every": 1}


@pytest.fixture(scope="module")
def base(uninterrupted):
    """The last checkpoint of a policy that has learned circles of radius 1."""
    return uninterrupted / "checkpoints" / "last"


def larger(episodes, elbow):
    """The same circles, ``elbow`` times as wide for that joint alone."""
    scale = np.array([1.0, elbow])
    return [
        replace(
            each,
            values={**each.values, "joint_state": each.values["joint_state"] * scale},
            actions=each.actions * scale,
        )
        for each in episodes
    ]


def fine_tuned(tiny, base, output, elbow, **changes):
    config = replace(tiny.CONFIG, initial_checkpoint=str(base), **{**ONE_STEP, **changes})
    tiny.train(larger(tiny.episodes(), elbow), tiny.SPEC, tiny.STREAMS, config, output)
    return load_checkpoint(output / "checkpoints" / "last")


def ends(checkpoint, name):
    found = checkpoint.manifest.statistics[name]
    return np.array([found["min"], found["max"]])


def test_statistics_and_start_gate_follow_recordings_that_go_further(tiny, base, tmp_path):
    with pytest.warns(UserWarning, match=r"joint elbow: base checkpoint .* new recordings"):
        trained = fine_tuned(tiny, base, tmp_path, elbow=3.0)
    before = load_checkpoint(base)
    for name in ("joint_state", "action"):
        np.testing.assert_allclose(ends(trained, name)[:, 0], ends(before, name)[:, 0])
        np.testing.assert_allclose(ends(trained, name)[:, 1], 3 * ends(before, name)[:, 1])
    allowed = restore(trained).facts.training_range
    np.testing.assert_allclose(allowed.state_high, ends(trained, "joint_state")[1])
    np.testing.assert_allclose(allowed.action_low, ends(trained, "action")[0])


def test_a_policy_that_followed_plans_what_its_base_could_not(tiny, base, tmp_path):
    """The largest command of a plan is the edge of the ranges."""
    highest = []
    for checkpoint in (base, fine_tuned_at(tiny, base, tmp_path)):
        policy = restore(checkpoint)
        plans = [
            policy.plan(policy.facts.warm_up_window, policy.initial_memory(seed)).chunk.actions
            for seed in range(4)
        ]
        highest.append(np.abs(np.array(plans)[..., 1]).max())
    assert highest[0] <= 1.0 + 1e-9 < highest[1] <= 3.0 + 1e-9


def fine_tuned_at(tiny, base, output):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fine_tuned(tiny, base, output, elbow=3.0)


def test_recordings_inside_the_ranges_leave_them_as_they_were(tiny, base, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trained = fine_tuned(tiny, base, tmp_path, elbow=0.5)
    assert trained.manifest.statistics == load_checkpoint(base).manifest.statistics
    assert "widened_ranges" not in trained.manifest.provenance


def test_what_was_widened_is_in_the_checkpoint(tiny, base, tmp_path):
    trained = fine_tuned_at(tiny, base, tmp_path)
    low, high = ends(load_checkpoint(base), "action")[:, 1]
    line = (
        f"joint elbow: base checkpoint {low:.4g}..{high:.4g} rad, "
        f"new recordings {3 * low:.4g}..{3 * high:.4g} rad"
    )
    assert line in trained.manifest.provenance["widened_ranges"]
    assert "shoulder" not in json.dumps(trained.manifest.provenance["widened_ranges"])


def test_ranges_that_are_kept_refuse_recordings_that_go_further_joint_by_joint(
    tiny, base, tmp_path
):
    with pytest.raises(TrainingError) as refused:
        fine_tuned(tiny, base, tmp_path, elbow=3.0, initial_ranges="keep")
    assert "joint elbow: base checkpoint" in str(refused.value)
    assert "joint_state elbow: base checkpoint" in str(refused.value)
    assert "shoulder" not in str(refused.value)
    assert "initial_ranges: follow" in str(refused.value)
    assert "in 3 episodes:\n  circle" in str(refused.value)
    assert not (tmp_path / "checkpoints").exists()


def test_a_hundredth_of_the_range_may_lie_outside_of_kept_ranges(tiny, base, tmp_path):
    trained = fine_tuned(tiny, base, tmp_path, elbow=1.015, initial_ranges="keep")
    assert trained.manifest.statistics == load_checkpoint(base).manifest.statistics
    with pytest.raises(TrainingError, match="joint elbow"):
        fine_tuned(tiny, base, tmp_path / "more", elbow=1.025, initial_ranges="keep")


@pytest.mark.parametrize("ranges", ["keep", "follow"])
def test_a_frozen_base_refuses_recordings_that_go_further_than_it_knows(
    tiny, base, tmp_path, ranges
):
    branch = DiffControlConfig(policy=tiny.POLICY, state="controlnet", own_chunks_from=0.5)
    changes = {"kind": "diff_control", "policy": branch, "initial_ranges": ranges}
    with pytest.raises(TrainingError, match=r"(?s)frozen base.*joint elbow: base checkpoint"):
        fine_tuned(tiny, base, tmp_path, elbow=3.0, **changes)
    kept = fine_tuned(tiny, base, tmp_path, elbow=1.005, **changes)
    assert kept.manifest.statistics == load_checkpoint(base).manifest.statistics


def test_a_belief_that_has_only_encoders_of_another_policy_follows(tiny, base, tmp_path):
    policy = replace(tiny.POLICY, image_shift_pixels=0)
    small = {"belief_size": 6, "history_steps": 4, "episode_steps": 16, "image_rows": 0}
    belief = DiffControlConfig(policy, "belief", frozen_encoders=True, **small)
    with pytest.warns(UserWarning, match="joint elbow"):
        trained = fine_tuned(
            tiny, base, tmp_path, elbow=3.0, kind="diff_control", policy=belief, batch_size=4
        )
    assert ends(trained, "action")[1, 1] > 2.5


def test_a_training_resumes_only_with_the_same_choice_of_ranges(tiny, base, tmp_path):
    fine_tuned(tiny, base, tmp_path, elbow=0.5)
    with pytest.raises(TrainingError, match="initial_ranges: follow there, keep here"):
        fine_tuned(tiny, base, tmp_path, elbow=0.5, initial_ranges="keep")


def test_an_unknown_choice_of_ranges_is_refused_with_the_known_ones(tiny):
    with pytest.raises(ValueError, match="initial_ranges must be 'follow' or 'keep', got 'widen'"):
        TrainingConfig(tiny.POLICY, initial_ranges="widen")


def test_a_joint_that_never_moved_is_outside_as_soon_as_it_moves(tiny):
    still = {"action": {"min": [0.0, 0.4], "max": [1.0, 0.4]}}
    moved = {"action": {"min": [0.0, 0.3], "max": [1.0, 0.4]}}
    rounded = {"action": {"min": [0.0, 0.39999], "max": [1.0, 0.4]}}
    assert beyond(still, moved, tiny.STREAMS, tiny.SPEC) == [
        "joint elbow: base checkpoint 0.4..0.4 rad, new recordings 0.3..0.4 rad"
    ]
    assert beyond(still, rounded, tiny.STREAMS, tiny.SPEC) == []


def test_what_becomes_minus_one_and_one_by_itself_stays_where_ranges_grow():
    """Weights that were trained elsewhere still see the same numbers."""
    old = {"action": {"min": [0.0], "max": [1.0], "low": [-2.0], "high": [2.0]}}
    found = widened(old, {"action": {"min": [-1.0], "max": [0.5]}})
    assert found == {"action": {"min": [-1.0], "max": [1.0], "low": [-2.0], "high": [2.0]}}


def test_widened_ranges_hold_the_old_and_the_new():
    old = {"action": {"min": [-1.0, 0.0], "max": [1.0, 1.0]}, "goal": {"min": [0.0], "max": [5.0]}}
    found = {"action": {"min": [-2.0, 0.5], "max": [0.5, 1.5]}, "goal": {"min": [1], "max": [2]}}
    assert widened(old, found) == {
        "action": {"min": [-2.0, 0.0], "max": [1.0, 1.5]},
        "goal": {"min": [0.0], "max": [5.0]},
    }
