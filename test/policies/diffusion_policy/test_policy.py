import dataclasses
import io

import numpy as np
import pytest
import torch
from small_policy import ACTION_SPEC, CONFIG, STATISTICS, STREAMS, network

from ddpm_controller.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from ddpm_controller.diffusion.guidance import clipped
from ddpm_controller.diffusion.samplers import sample_ddim
from ddpm_controller.diffusion.targets import x0_from
from ddpm_controller.diffusion.timesteps import spaced_timesteps
from ddpm_controller.policies.diffusion_policy.policy import (
    DiffusionPolicy,
    DiffusionPolicyNetwork,
    _generator,
)
from ddpm_controller.policy import BatchPolicy, PlanSettings, plan_batch
from ddpm_controller.systems import restore
from ddpm_controller.types import Observation


def policy(settings=None, **changes):
    return DiffusionPolicy(network(**changes), ACTION_SPEC, settings or PlanSettings())


def window(seed=0, stamp_s=5.0, steps=2):
    random = np.random.default_rng(seed)
    return [
        Observation(
            stamp_s + (index - steps + 1) * 0.1,
            {
                "joint_state": random.uniform(0, 0.08, 2),
                "camera": random.integers(0, 256, (16, 20, 3), dtype=np.uint8),
            },
        )
        for index in range(steps)
    ]


def saved(folder, kind="diffusion_policy", config=CONFIG):
    save_checkpoint(
        folder,
        kind=kind,
        config=dataclasses.asdict(config),
        action_spec=ACTION_SPEC,
        streams=STREAMS,
        statistics=STATISTICS,
        provenance={},
        weights=network().state_dict(),
    )
    return folder


def test_a_plan_is_a_pure_function_bit_for_bit():
    mine = policy()
    memory = mine.initial_memory(3)
    first = mine.plan(window(), memory)
    for seed in range(3):  # plans in between leave nothing behind
        mine.plan(window(seed), mine.initial_memory(seed))
    torch.rand(100)  # nor does the default generator matter
    again = mine.plan(window(), memory)
    assert np.array_equal(first.chunk.actions, again.chunk.actions)
    assert memory["plan_number"] == 0
    assert isinstance(mine, BatchPolicy)


def test_steps_asked_for_in_the_memory_are_those_of_a_policy_restored_with_them():
    mine, fewer = policy(), policy(PlanSettings(overrides={"num_inference_steps": 3}))
    memory = mine.initial_memory(3)
    asked = {**memory, "num_inference_steps": np.array(3)}
    plan = mine.plan(window(), asked)
    assert np.array_equal(plan.chunk.actions, fewer.plan(window(), memory).chunk.actions)
    assert not np.array_equal(plan.chunk.actions, mine.plan(window(), memory).chunk.actions)
    assert plan.memory["num_inference_steps"] == 0
    # One that does not know of them is run as it was restored.
    assert np.array_equal(
        mine.plan(window(), {k: memory[k] for k in ("seed", "plan_number")}).chunk.actions,
        mine.plan(window(), memory).chunk.actions,
    )
    with pytest.raises(ValueError, match=r"need the same steps, got \[0, 3\]"):
        mine.plan_batch([window(), window()], [memory, asked])


@pytest.mark.parametrize("sampler", ["ddim", "ddpm"])
def test_plans_in_a_batch_are_the_plans_alone(sampler):
    mine = policy(PlanSettings(overrides={"sampler": sampler}))
    windows = [window(seed, stamp_s=seed) for seed in range(5)]
    memories = [mine.initial_memory(seed) for seed in range(5)]
    memories[3] = mine.plan(windows[3], memories[3]).memory  # one run is a plan ahead
    together = plan_batch(mine, windows, memories)
    for each, memory, plan in zip(windows, memories, together, strict=True):
        alone = mine.plan(each, memory)
        # Rounding of float32 sums in another order, over a range of 4 rad and 0.08 m.
        np.testing.assert_allclose(plan.chunk.actions, alone.chunk.actions, rtol=0, atol=2e-5)
        assert plan.chunk.start_s == alone.chunk.start_s
        assert plan.memory == alone.memory


def test_any_plan_can_be_made_again_from_its_window_seed_and_number():
    mine, other = policy(), policy()
    memory = mine.initial_memory(11)
    for number in range(3):
        plan = mine.plan(window(number), memory)
        memory = plan.memory
        assert memory["plan_number"] == number + 1
    again = other.plan(window(2), {"seed": np.array(11), "plan_number": np.array(2)})
    assert np.array_equal(again.chunk.actions, plan.chunk.actions)


def test_seed_and_plan_number_both_change_the_noise():
    """Large seeds too: torch alone would ignore all but the low 32 bits."""
    mine = policy()
    keys = [(0, 0), (0, 1), (1, 0), (2**32, 0), (-1, 0), (2**63 - 1, 0), (1, 1)]
    plans = [
        mine.plan(window(), {"seed": np.array(s), "plan_number": np.array(n)}) for s, n in keys
    ]
    rows = {plan.chunk.actions.tobytes() for plan in plans}
    assert len(rows) == len(keys)


def test_memory_survives_a_file():
    mine = policy()
    memory = mine.plan(window(), mine.initial_memory(-5)).memory
    file = io.BytesIO()
    np.savez(file, **memory)
    file.seek(0)
    back = dict(np.load(file))
    assert back == memory
    assert {name: each.dtype for name, each in back.items()} == {
        **dict.fromkeys(("seed", "plan_number", "num_inference_steps"), np.int64),
        "expected_delay_s": np.float64,
    }
    ahead = mine.plan(window(), memory).chunk.actions
    assert np.array_equal(mine.plan(window(), back).chunk.actions, ahead)


def test_the_chunk_begins_with_the_row_for_the_newest_observation():
    mine = policy()
    plan = mine.plan(window(stamp_s=5.0), mine.initial_memory(0))
    assert plan.chunk.start_s == 5.0
    assert plan.chunk.period_s == 0.1
    assert plan.chunk.joint_names == ("one", "two")
    assert plan.chunk.actions.shape == (4, 2)
    assert plan.chunk.actions.dtype == np.float64
    assert plan.traces["horizon"].shape == (8, 2)
    assert np.array_equal(plan.chunk.actions, plan.traces["horizon"][1:5])


def test_an_untrained_policy_stays_in_the_range_of_the_data():
    """The sampler clips; without it an untrained chunk leaves the range at once."""
    inside = policy().plan(window(), policy().initial_memory(0)).traces["horizon"]
    low, high = (np.array(STATISTICS["action"][key]) for key in ("min", "max"))
    assert ((inside >= low - 1e-6) & (inside <= high + 1e-6)).all()
    free = policy(clip_x0=False)
    outside = free.plan(window(), free.initial_memory(0)).traces["horizon"]
    assert ((outside < low) | (outside > high)).any()


@pytest.mark.parametrize("prediction", ["epsilon", "x0", "v"])
def test_planning_denoises_with_the_network_that_was_trained(prediction):
    """The fast way of planning is the plain sampler around ``denoise``."""
    mine = policy(prediction=prediction)
    net = mine.network
    observed = window()
    plan = mine.plan(observed, mine.initial_memory(0))
    values = {
        stream.name: torch.from_numpy(np.stack([each.values[stream.name] for each in observed]))[
            None
        ]
        for stream in STREAMS
    }
    with torch.no_grad():
        cond = net.encode(values)
        x0 = sample_ddim(
            net.forward_process.fixed,
            clipped(
                lambda xt, t: x0_from(
                    net.forward_process.fixed, net.denoise(xt, t, cond)[0], xt, t, prediction
                )
            ),
            (1, 8, 2),
            _generator(mine.initial_memory(0)),
            spaced_timesteps(20, 5),
        )
    expected = net.action_normalizer.unnormalize(x0)[0].numpy()
    np.testing.assert_allclose(plan.traces["horizon"], expected, rtol=0, atol=2e-5)


def test_a_policy_that_was_trained_does_what_was_shown():
    """Signs, units, time and masks, all the way: a few seconds of training on a simple rule.

    Shown: joint one goes on from where it is, by 0.25 rad a row; joint two mirrors joint one.
    """
    torch.manual_seed(0)
    config = dataclasses.replace(CONFIG, channels=(16, 16), prediction="x0")
    net = DiffusionPolicyNetwork(config, ACTION_SPEC, STREAMS[:1], STATISTICS)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2)
    generator = torch.Generator().manual_seed(0)
    steps = 0.25 * (torch.arange(8) - 1)  # the first row is for the observation before the newest
    for update in range(200):
        optimizer.param_groups[0]["lr"] = 1e-2 * (1 - update / 200)
        here = torch.rand(48, 1, generator=generator) - 0.5
        rows = torch.stack([here + steps, (0.04 - 0.06 * here).expand(48, 8)], -1)
        seen = torch.stack([here - 0.25, here], 1)  # (B, To, 1)
        values = torch.cat([seen, torch.full_like(seen, 0.04)], -1)
        mask = torch.rand(48, 8, generator=generator) < 0.8
        rows[~mask] = 50.0
        examples = {"values": {"joint_state": values}, "actions": rows, "mask": mask}
        optimizer.zero_grad()
        net.loss(examples, generator).backward()
        optimizer.step()
    mine = DiffusionPolicy(net, ACTION_SPEC, PlanSettings())
    errors = []
    for here in np.linspace(-0.4, 0.4, 9):
        observed = [
            Observation(stamp_s, {"joint_state": np.array([value, 0.04])})
            for stamp_s, value in ((4.9, here - 0.25), (5.0, here))
        ]
        rows = mine.plan(observed, mine.initial_memory(0)).chunk.actions
        expected = np.stack([here + 0.25 * np.arange(4), np.full(4, 0.04 - 0.06 * here)], -1)
        errors.append(np.abs(rows - expected))
    # One row off would be 0.25 rad everywhere; a wrong sign of joint two 0.027 m on average.
    assert np.mean(errors, axis=(0, 1)) == pytest.approx([0.0, 0.0], abs=0.1)
    assert np.mean(errors, axis=(0, 1))[1] < 0.009


def chosen(policy):
    return policy.facts.settings["sampler"], policy.facts.num_inference_steps


def test_settings_override_the_checkpoint(tmp_path):
    folder = saved(tmp_path)
    plain = restore(folder)
    assert (*chosen(plain), plain.n_action_steps) == ("ddim", 5, 4)
    mine = restore(
        folder, PlanSettings(7, overrides={"sampler": "ddpm", "num_inference_steps": "20"})
    )
    assert (*chosen(mine), mine.n_action_steps) == ("ddpm", 20, 7)
    chunk = mine.plan(window(), mine.initial_memory(0)).chunk
    assert chunk.actions.shape == (7, 2)


def test_the_spacing_can_be_overridden_for_all_plans_and_for_one(tmp_path):
    folder = saved(tmp_path)
    leading = restore(folder, PlanSettings(overrides={"num_inference_steps": 1}))
    signal = restore(
        folder, PlanSettings(overrides={"num_inference_steps": 1, "spacing": "signal"})
    )
    assert (leading.facts.settings["spacing"], signal.facts.settings["spacing"]) == (
        "leading",
        "signal",
    )
    memory = signal.initial_memory(0)
    plan = signal.plan(window(), memory).chunk.actions
    assert not np.array_equal(plan, leading.plan(window(), memory).chunk.actions)
    five = restore(folder, PlanSettings(overrides={"spacing": "signal"}))
    asked = {**memory, "num_inference_steps": np.array(1)}
    assert np.array_equal(plan, five.plan(window(), asked).chunk.actions)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (PlanSettings(overrides={"spacing": "even"}), "override spacing: .*'leading'"),
        (PlanSettings(overrides={"sampler": "euler"}), r"sampler 'euler': use one of"),
        (
            PlanSettings(overrides={"num_inference_steps": 21}),
            "num_inference_steps must be between 1 and .*20",
        ),
        (
            PlanSettings(overrides={"num_inference_steps": 0}),
            "num_inference_steps must be .* got 0",
        ),
        (PlanSettings(overrides={"num_inference_steps": "many"}), "override num_.*, got 'many'"),
        (PlanSettings(overrides={"surprise": -1.0}), "seam: surprise must be .* got -1.0"),
        (PlanSettings(overrides={"noise": 1}), r"\['noise'\] are unknown .* has \['sampler', "),
        (PlanSettings(n_action_steps=8), "n_action_steps must be between 1 and 7 .* got 8"),
        (PlanSettings(n_action_steps=0), "n_action_steps must be between 1 and 7 .* got 0"),
    ],
)
def test_settings_that_break_a_rule_are_refused(tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        restore(saved(tmp_path), settings)


def test_the_settings_that_a_policy_tells_make_it_again(tmp_path):
    folder = saved(tmp_path)
    given = {"sampler": "ddpm", "seam": "warm", "expected_delay_s": 0.1, "surprise": "2.5"}
    mine = restore(folder, PlanSettings(overrides=given))
    again = restore(folder, PlanSettings(overrides={k: str(v) for k, v in told(mine).items()}))
    assert told(again) == told(mine)
    assert told(mine) == {**told(restore(folder)), **given, "surprise": 2.5}


def told(policy):
    return policy.facts.settings


def test_a_restored_policy_plans_bit_for_bit_like_the_one_that_was_saved(tmp_path):
    mine, read = policy(), restore(saved(tmp_path))
    memory = mine.initial_memory(2)
    expected = mine.plan(window(), memory).chunk.actions
    assert np.array_equal(read.plan(window(), memory).chunk.actions, expected)
    assert read.facts.checkpoint_hash == load_checkpoint(tmp_path).hash
    facts = read.facts
    assert (facts.streams, facts.action_spec, facts.n_obs_steps) == (STREAMS, ACTION_SPEC, 2)


def test_an_unknown_kind_is_refused_with_those_that_are_known(tmp_path):
    saved(tmp_path, kind="crystal_ball")
    with pytest.raises(CheckpointError, match=r"'crystal_ball' is unknown .*diffusion_policy"):
        restore(tmp_path)


def test_weights_that_do_not_fit_the_config_are_refused(tmp_path):
    saved(tmp_path, config=dataclasses.replace(CONFIG, channels=(8, 32)))
    with pytest.raises(CheckpointError, match="do not make a diffusion_policy"):
        restore(tmp_path)


def with_values(**values):
    observed = window()
    return [observed[0], dataclasses.replace(observed[1], values={**observed[1].values, **values})]


@pytest.mark.parametrize(
    ("observed", "message"),
    [
        (window(steps=1), "a window has 2 observations, got 1"),
        (window(steps=3), "a window has 2 observations, got 3"),
        (with_values(joint_state=np.array([0.0, np.nan])), "'joint_state' is not finite"),
        (with_values(joint_state=np.zeros(3)), r"'joint_state' must be \(2,\), got \(3,\)"),
        (
            with_values(camera=np.zeros((20, 16, 3), np.uint8)),
            r"'camera' must be \(16, 20, 3\), got \(20, 16, 3\)",
        ),
        ([Observation(5.0, {"joint_state": np.zeros(2)})] * 2, "stream 'camera' is missing"),
    ],
)
def test_a_window_that_does_not_fit_is_refused(observed, message):
    mine = policy()
    with pytest.raises(ValueError, match=message):
        mine.plan(observed, mine.initial_memory(0))


def test_it_is_warmed_up_in_the_middle_of_its_training():
    """Zeros may lie outside of it, and are no pose that the robot was ever in."""
    first, last = policy().facts.warm_up_window
    assert last.stamp_s - first.stamp_s == pytest.approx(ACTION_SPEC.period_s)
    low, high = (np.array(STATISTICS["joint_state"][end]) for end in ("min", "max"))
    np.testing.assert_allclose(last.values["joint_state"], (low + high) / 2, atol=1e-7)
    assert last.values["camera"].shape == (16, 20, 3)
