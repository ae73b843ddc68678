"""Trainings of policies with a recurrent state: whole episodes, resumed, restored."""

from dataclasses import replace

import numpy as np
import pytest

from ddpm_controller.policies.bc_lstm.policy import BcLstmConfig
from ddpm_controller.policies.diff_control.config import DiffControlConfig
from ddpm_controller.systems import restore
from ddpm_controller.types import Observation

SMALL = {"episode_steps": 16, "targets_per_episode": 2, "image_rows": 2}


def recipe(tiny, kind):
    base = replace(tiny.POLICY, num_train_timesteps=4, num_inference_steps=2, bound_steps=2)
    if kind == "transformer":
        small = {**SMALL, "belief_cell": kind, "past_steps": 4, "future_steps": 3}
        policy = DiffControlConfig(base, "belief", belief_size=8, history_steps=4, **small)
        kind = "diff_control"
    elif kind == "diff_control":
        policy = DiffControlConfig(base, "belief", belief_size=6, history_steps=4, **SMALL)
    else:
        policy = BcLstmConfig(
            n_obs_steps=4, horizon=8, n_action_steps=4, size=6, hidden=8,
            image_channels=(8, 8), num_keypoints=4, image_shift_pixels=1, **SMALL,
        )  # fmt: skip
    return replace(tiny.CONFIG, policy=policy, kind=kind, num_steps=4, batch_size=4, nll_windows=2)


@pytest.mark.parametrize("kind", ["diff_control", "transformer", "bc_lstm"])
def test_a_training_that_was_stopped_ends_with_the_same_bits_and_plans(tiny, tmp_path, kind):
    config = recipe(tiny, kind)
    whole = tiny.train_tiny(tmp_path / "whole", config)
    tiny.train_in_parts(tmp_path / "parts", config)
    assert tiny.trace(tmp_path / "whole") == tiny.trace(tmp_path / "parts")
    policy = restore(whole.last_checkpoint)
    seen = {"joint_state": np.zeros(2), "camera": np.zeros((8, 8, 3), np.uint8)}
    window = [Observation(0.1 * step, seen) for step in range(policy.facts.n_obs_steps)]
    plan = policy.plan(window, policy.initial_memory(0))
    assert np.isfinite(plan.chunk.actions).all()
    assert plan.memory["belief"].any()
