import dataclasses
import io
import json

import numpy as np
import pytest
import torch
from small_diff_control import CHUNK_STATES, batch, config_of, network, policy, window
from small_policy import ACTION_SPEC, STATISTICS, STREAMS

from ddpm_controller.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from ddpm_controller.policies.diff_control.bound import remembering_bound
from ddpm_controller.policies.diff_control.config import (
    AS_RELEASED,
    DiffControlConfig,
    diff_control_config_from,
)
from ddpm_controller.policies.diff_control.policy import DiffControl
from ddpm_controller.policies.diffusion_policy.policy import DiffusionPolicy
from ddpm_controller.policy import BatchPolicy, PlanSettings, plan_batch
from ddpm_controller.systems import restore
from ddpm_controller.types import ActionSpec

STATE_KEYS = {"previous_rows", "previous_start_s", "state_since_s"}


def two_plans(mine, seed=0, apart_s=0.3):
    first = mine.plan(window(seed, 5.0), mine.initial_memory(seed))
    return first, mine.plan(window(seed + 1, 5.0 + apart_s), first.memory)


def saved(folder, net):
    save_checkpoint(
        folder,
        kind="diff_control",
        config=dataclasses.asdict(net.config),
        action_spec=ACTION_SPEC,
        streams=STREAMS,
        statistics=STATISTICS,
        provenance={},
        weights=net.state_dict(),
    )
    return folder


@pytest.mark.parametrize("state", CHUNK_STATES)
def test_plans_of_a_restored_policy_are_the_same_bit_for_bit(tmp_path, state):
    """Through a file for the policy and another one for the memory."""
    mine = policy(state)
    first, second = two_plans(mine)
    file = io.BytesIO()
    np.savez(file, **first.memory)
    file.seek(0)
    again = restore(saved(tmp_path, network(state))).plan(window(1, 5.3), dict(np.load(file)))
    assert np.array_equal(again.traces["horizon"], second.traces["horizon"])
    assert again.memory.keys() == second.memory.keys()
    for key, value in second.memory.items():
        assert np.array_equal(again.memory[key], value), key
    assert isinstance(mine, BatchPolicy)


@pytest.mark.parametrize("state", CHUNK_STATES)
def test_the_chunk_before_matters_and_only_where_there_is_one(state):
    mine = policy(state)
    first, second = two_plans(mine)
    anew = mine.plan(window(1, 5.3), {**mine.initial_memory(0), "plan_number": np.array(1)})
    assert not np.array_equal(second.traces["horizon"], anew.traces["horizon"])
    assert np.isnan(first.traces["prior_disagreement"])
    other = {**first.memory, "previous_rows": first.memory["previous_rows"] + 0.01}
    changed = mine.plan(window(1, 5.3), other)
    assert not np.array_equal(second.traces["horizon"], changed.traces["horizon"])


@pytest.mark.parametrize("state", ["controlnet", "as_released"])
def test_a_first_plan_and_one_with_no_weight_are_those_of_the_base_bit_for_bit(state):
    net = network(state)
    base = network(state).denoiser
    base.unet, base.cond_dim = base.unet.base, base.seen_dim
    plain = DiffusionPolicy(base, ACTION_SPEC, PlanSettings())
    mine = DiffControl(net, ACTION_SPEC, PlanSettings())
    first, second = two_plans(mine)
    expected = plain.plan(window(0, 5.0), plain.initial_memory(0))
    assert np.array_equal(first.traces["horizon"], expected.traces["horizon"])
    expected = plain.plan(window(1, 5.3), expected.memory)
    assert not np.array_equal(second.traces["horizon"], expected.traces["horizon"])
    still = DiffControl(net, ACTION_SPEC, PlanSettings(overrides={"transition_scale": 0.0}))
    _, second = two_plans(still)
    assert np.array_equal(second.traces["horizon"], expected.traces["horizon"])


@pytest.mark.parametrize("state", CHUNK_STATES)
def test_plans_in_a_batch_are_the_plans_alone(state):
    mine = policy(state)
    windows = [window(seed, stamp_s=5.3) for seed in range(4)]
    memories = [mine.initial_memory(seed) for seed in range(4)]
    for row in (0, 2):
        memories[row] = mine.plan(window(row, 5.0), memories[row]).memory
    together = plan_batch(mine, windows, memories)
    for each, memory, plan in zip(windows, memories, together, strict=True):
        alone = mine.plan(each, memory)
        # Rounding of float32 sums in another order, over a range of 4 rad and 0.08 m.
        np.testing.assert_allclose(
            plan.traces["horizon"], alone.traces["horizon"], rtol=0, atol=5e-5
        )
        assert plan.memory.keys() == alone.memory.keys()
        assert plan.traces["state_age_s"] == alone.traces["state_age_s"]


@pytest.mark.parametrize("seam", ["switch", "warm_replace"])
def test_the_memory_has_the_rows_their_moment_and_the_seams(seam):
    mine = policy(settings=PlanSettings(overrides={"seam": seam, "expected_delay_s": 0.1}))
    begun = mine.initial_memory(7)
    assert set(begun) == {"seed", "plan_number", "num_inference_steps"} | STATE_KEYS
    assert np.isnan(begun["previous_rows"]).all()
    first, second = two_plans(mine, 7)
    assert np.array_equal(second.memory["previous_rows"], second.traces["horizon"])
    # Row 0 is for the older one of two observations.
    assert second.memory["previous_start_s"] == pytest.approx(5.2)
    assert second.memory["state_since_s"] == 5.0
    assert second.memory["plan_number"] == 2
    assert ("previous_count" in first.memory) == (seam != "switch")


@pytest.mark.parametrize("state", ["controlnet", "chunk_prior", "belief"])
def test_a_plan_begins_with_the_rows_that_it_is_given(state):
    overrides = {"seam": "prefix", "expected_delay_s": 0.1}
    mine = policy(state, PlanSettings(overrides=overrides), policy={"prefix_rows": 4})
    steps = mine.facts.n_obs_steps
    first = mine.plan(window(0, 5.0, steps), mine.initial_memory(0))
    second = mine.plan(window(1, 5.2, steps), first.memory)
    old, new = first.traces["horizon"][2:], second.traces["horizon"]
    np.testing.assert_allclose(new[:4], old[:4], rtol=0, atol=1e-6)
    assert not np.allclose(new[4], old[4], atol=1e-4)


def test_age_and_disagreement_are_told():
    mine = policy()
    first, second = two_plans(mine)
    assert first.traces["state_age_s"] == 0.0
    assert second.traces["state_age_s"] == pytest.approx(0.3)
    # Three rows later, in half ranges of 2 rad and 0.04 m.
    old, new = first.traces["horizon"][3:], second.traces["horizon"][:5]
    apart = (new - old) / np.array([2.0, 0.04])
    assert second.traces["prior_disagreement"] == pytest.approx(np.sqrt(np.mean(apart**2)))
    assert np.isnan(second.traces["state_spread"])


@pytest.mark.parametrize("apart_s", [0.8, -0.1])
def test_a_chunk_that_is_over_or_from_the_future_is_forgotten(apart_s):
    mine = policy()
    first, second = two_plans(mine, apart_s=apart_s)
    memory = {**mine.initial_memory(0), "plan_number": np.array(1)}
    anew = mine.plan(window(1, 5.0 + apart_s), memory)
    assert np.array_equal(second.traces["horizon"], anew.traces["horizon"])
    assert second.traces["state_age_s"] == 0.0
    assert second.memory["state_since_s"] == 5.0 + apart_s
    almost = mine.plan(window(1, 5.7), first.memory)
    assert almost.traces["state_age_s"] == pytest.approx(0.7)


def test_the_same_moment_is_the_same_plan_whatever_the_sums_of_periods():
    mine = policy()
    first, _ = two_plans(mine)
    off = {**first.memory, "previous_start_s": first.memory["previous_start_s"] + 1e-9}
    one = mine.plan(window(1, 5.3), first.memory)
    other = mine.plan(window(1, 5.3), off)
    assert np.array_equal(one.traces["horizon"], other.traces["horizon"])


def test_the_kind_of_memory_says_what_can_go_on_with_what():
    mine = policy()
    assert mine.facts.memory_kind == "chunk:8:0.1:one,two"
    assert policy("chunk_prior").facts.memory_kind == mine.facts.memory_kind
    assert policy(policy={"horizon": 16}).facts.memory_kind != mine.facts.memory_kind
    slower = DiffControl(network(), ActionSpec(("one", "two"), ("rad", "m"), 0.2), PlanSettings())
    assert slower.facts.memory_kind != mine.facts.memory_kind
    plain = DiffusionPolicy(network("chunk_prior").denoiser, ACTION_SPEC, PlanSettings())
    assert plain.facts.memory_kind == ""


def test_a_memory_of_another_kind_is_refused_with_both_sides():
    mine, longer = policy(), policy(policy={"horizon": 16})
    stateless = {name: np.array(0) for name in ("seed", "plan_number", "num_inference_steps")}
    with pytest.raises(ValueError, match=r"chunk:8:0.1:one,two needs .*\(8, 2\).*got \{\} among"):
        mine.plan(window(), stateless)
    with pytest.raises(ValueError, match=r"needs .*\(8, 2\).*got .*\(16, 2\)"):
        mine.plan(window(), longer.initial_memory(0))


def test_a_window_of_another_length_is_refused():
    mine = policy()
    for steps in (1, 3):
        with pytest.raises(ValueError, match=f"a window has 2 observations, got {steps}"):
            mine.plan(window(steps=steps), mine.initial_memory(0))


@pytest.mark.parametrize("state", CHUNK_STATES)
def test_the_transition_scale_is_the_checkpoints_unless_it_is_set(tmp_path, state):
    folder = saved(tmp_path, network(state, transition_scale=0.5))
    half = restore(folder)
    assert half.facts.settings["transition_scale"] == 0.5
    full = restore(folder, PlanSettings(overrides={"transition_scale": 1.0}))
    assert full.facts.settings["transition_scale"] == 1.0
    assert not np.array_equal(
        two_plans(half)[1].traces["horizon"], two_plans(full)[1].traces["horizon"]
    )
    with pytest.raises(ValueError, match=r"transition_scale must be in \[0, 1.5\], got 1.6"):
        restore(folder, PlanSettings(overrides={"transition_scale": 1.6}))


@pytest.mark.parametrize("state", CHUNK_STATES)
def test_building_a_second_policy_of_one_network_leaves_the_plans_of_the_first(state):
    net = network(state)
    first, still = (
        DiffControl(net, ACTION_SPEC, PlanSettings(overrides={"transition_scale": scale}))
        for scale in (1.0, 0.0)
    )
    alone = policy(state, PlanSettings(overrides={"transition_scale": 1.0}))
    expected = two_plans(alone)[1].traces["horizon"]
    assert np.array_equal(two_plans(first)[1].traces["horizon"], expected)
    assert not np.array_equal(two_plans(still)[1].traces["horizon"], expected)


def test_a_policy_that_remembers_nothing_has_no_transition_scale():
    net = network("chunk_prior").denoiser
    with pytest.raises(ValueError, match=r"overrides \['transition_scale'\] are unknown"):
        DiffusionPolicy(net, ACTION_SPEC, PlanSettings(overrides={"transition_scale": 0.5}))


def test_settings_of_the_denoiser_are_those_of_the_policy(tmp_path):
    settings = PlanSettings(
        n_action_steps=3,
        overrides={
            **{"sampler": "ddpm", "num_inference_steps": 4},
            **{"seam": "warm", "expected_delay_s": 0.1},
        },
    )
    mine = restore(saved(tmp_path, network()), settings)
    used = mine.facts.settings
    assert (used["sampler"], used["num_inference_steps"], mine.n_action_steps) == ("ddpm", 4, 3)
    assert mine.seam.strategy == "warm"
    assert mine.facts.checkpoint_hash == load_checkpoint(tmp_path).hash
    assert mine.plan(window(), mine.initial_memory(0)).chunk.actions.shape == (3, 2)
    assert (mine.facts.n_obs_steps, mine.facts.streams) == (2, STREAMS)


def test_a_config_survives_json():
    config = config_of("chunk_prior", {"channels": (8, 16)}, transition_scale=0.5)
    again = diff_control_config_from(json.loads(json.dumps(dataclasses.asdict(config))))
    assert again == config
    for wrong in ({"stat": "controlnet"}, {"policy": {"horizons": 8}}):
        with pytest.raises(ValueError, match="unknown fields"):
            diff_control_config_from(wrong)


def test_as_released_says_what_it_leaves_out():
    config = config_of("as_released")
    assert {name: getattr(config, name) for name in AS_RELEASED} == AS_RELEASED
    assert dataclasses.replace(config, prior_noise=0.1) == config


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"state": "dream"}, "state must be one of .*'controlnet'.*got 'dream'"),
        ({"transition_scale": 1.6}, r"transition_scale must be in \[0, 1.5\], got 1.6"),
        ({"null_prior_share": 1.1}, r"null_prior_share must be in \[0, 1\], got 1.1"),
        ({"own_chunks_from": -0.1}, r"own_chunks_from must be in \[0, 1\], got -0.1"),
        ({"prior_noise": -1.0}, "prior_noise must be .*got -1.0"),
        ({"own_chunk_steps": 21}, "own_chunk_steps must be between 1 and 20, got 21"),
        ({"own_chunk_level": 0.0}, r"own_chunk_level must be in \(0, 1\], got 0.0"),
        ({"state": "chunk_prior", "base_hash": "ab"}, "base_hash belongs to .*got 'ab'"),
    ],
)
def test_a_config_that_breaks_a_rule_is_refused_with_value_and_rule(changes, message):
    with pytest.raises(ValueError, match=message):
        config_of(**changes)
    assert isinstance(config_of(), DiffControlConfig)


def test_a_belief_has_no_chunks_of_its_own_to_be_too_long_for_a_short_process():
    policy = dataclasses.replace(
        config_of().policy, num_train_timesteps=4, num_inference_steps=2, bound_steps=2
    )
    assert DiffControlConfig(policy, "belief").own_chunk_steps > 4
    with pytest.raises(ValueError, match="own_chunk_steps must be between 1 and 4"):
        DiffControlConfig(policy, "chunk_prior")


def test_weights_that_do_not_fit_the_config_are_refused(tmp_path):
    net = network()
    net.config = dataclasses.replace(net.config, state="chunk_prior")
    with pytest.raises(CheckpointError, match="do not make a diff_control of this release"):
        restore(saved(tmp_path, net))


def test_only_the_branch_learns_on_a_base():
    learning = {n for n, each in network("controlnet").named_parameters() if each.requires_grad}
    assert learning
    assert all(name.startswith("denoiser.unet.branch.") for name in learning)
    assert all(each.requires_grad for each in network("chunk_prior").parameters())
    assert torch.is_grad_enabled()


def test_a_branch_that_is_asked_less_often_plans_otherwise_and_a_likelihood_is_exact():
    every, sparing = policy(branch_every=1), policy(branch_every=2)
    first, exact = two_plans(every)
    again, near = two_plans(sparing)
    assert np.array_equal(first.traces["horizon"], again.traces["horizon"])
    apart = np.abs(exact.traces["horizon"] - near.traces["horizon"]).max()
    assert 0 < apart < np.abs(exact.traces["horizon"] - first.traces["horizon"]).max()
    bounds = [
        remembering_bound(
            each.network, batch(each.network.config), torch.Generator().manual_seed(0)
        ).steps
        for each in (every, sparing)
    ]
    assert torch.equal(*bounds)
