"""Seams of a policy that is small and of samples whose denoiser is known."""

import dataclasses
import io
import json
import re

import numpy as np
import pytest
import torch
from small_policy import ACTION_SPEC, CONFIG, STREAMS, network

from ddpm_controller.diffusion.gaussian import GaussianProcess
from ddpm_controller.diffusion.samplers import SAMPLERS, sample_ddim
from ddpm_controller.diffusion.schedules import cosine_betas
from ddpm_controller.diffusion.timesteps import spaced_timesteps
from ddpm_controller.networks.unet1d import ConditionalUnet1d
from ddpm_controller.policies.diffusion_policy.config import config_from
from ddpm_controller.policies.diffusion_policy.policy import DiffusionPolicy
from ddpm_controller.policies.seams.joiner import PlanJoiner
from ddpm_controller.policies.seams.strategies import (
    STRATEGIES,
    WITHOUT_PREFIX,
    Sampling,
    SeamSettings,
    Target,
)
from ddpm_controller.policy import (
    EXPECTED_DELAY,
    SET_FOR_EACH_PLAN,
    PlanSettings,
    plan_batch,
)
from ddpm_controller.types import Observation

EVERY = sorted(STRATEGIES)
JOINING = [each for each in EVERY if each != "switch"]


def told(seam, delay_s, surprise):
    delay = {} if delay_s is None else {"expected_delay_s": delay_s}
    return {"seam": seam, "surprise": surprise, **delay}


def policy(seam, delay_s=0.1, surprise=0.0, prefix_rows=5, **choices):
    """An untrained policy; it answers with x0, so that little lies at the ends of the range."""
    settings = PlanSettings(overrides=told(seam, delay_s, surprise))
    seams = SeamSettings(**{"candidates": 3, **choices})
    mine = network(prediction="x0", seam=seams, prefix_rows=prefix_rows)
    return DiffusionPolicy(mine, ACTION_SPEC, settings)


def window(stamp_s, seed=0, joints=None):
    random = np.random.default_rng(seed)
    values = {
        "joint_state": random.uniform(0, 0.08, 2) if joints is None else joints,
        "camera": random.integers(0, 256, (16, 20, 3), dtype=np.uint8),
    }
    return [Observation(stamp_s - 0.1, values), Observation(stamp_s, values)]


def two_plans(mine, seed=0):
    first = mine.plan(window(5.0, seed), mine.initial_memory(seed))
    return first, mine.plan(window(5.2, seed), first.memory)


@pytest.mark.parametrize("seam", EVERY)
def test_a_plan_is_made_again_bit_for_bit_from_the_same_memory(seam):
    mine = policy(seam)
    first, second = two_plans(mine)
    file = io.BytesIO()
    np.savez(file, **first.memory)
    file.seek(0)
    again = policy(seam).plan(window(5.2), dict(np.load(file)))
    assert np.array_equal(again.traces["horizon"], second.traces["horizon"])
    assert again.memory.keys() == second.memory.keys()
    for key, value in second.memory.items():
        assert np.array_equal(again.memory[key], value), key


@pytest.mark.parametrize("seam", EVERY)
def test_rows_of_a_batch_go_on_or_begin_anew_for_themselves(seam):
    mine = policy(seam)
    windows = [window(5.2, seed) for seed in range(4)]
    memories = [mine.initial_memory(seed) for seed in range(4)]
    for row in (0, 3):  # sorting them apart and back is not the same permutation
        memories[row] = mine.plan(window(5.0, row), memories[row]).memory
    together = plan_batch(mine, windows, memories)
    for each, memory, plan in zip(windows, memories, together, strict=True):
        alone = mine.plan(each, memory)
        # Rounding of float32 sums in another order, over a range of 4 rad and 0.08 m.
        np.testing.assert_allclose(
            plan.traces["horizon"], alone.traces["horizon"], rtol=0, atol=2e-4
        )
        assert plan.memory.keys() == alone.memory.keys()
    if seam != "switch":
        assert [plan.traces["seam"] for plan in together] == [seam, "cold", "cold", seam]


def test_without_a_seam_nothing_is_remembered_and_nothing_changes():
    plain = DiffusionPolicy(network(), ACTION_SPEC, PlanSettings(overrides={"seam": "switch"}))
    first, second = two_plans(plain)
    assert set(first.memory) == {"seed", "num_inference_steps", *SET_FOR_EACH_PLAN}
    assert set(second.traces) == {"horizon"}


@pytest.mark.parametrize("seam", JOINING)
def test_a_first_plan_is_that_of_a_plain_switch_and_the_next_is_not(seam):
    plain, mine = two_plans(policy("switch")), two_plans(policy(seam))
    assert np.array_equal(plain[0].chunk.actions, mine[0].chunk.actions)
    assert not np.allclose(plain[1].chunk.actions, mine[1].chunk.actions, atol=1e-3)
    assert np.isfinite(mine[1].chunk.actions).all()


@pytest.mark.parametrize("seam", ["replace", "warm_replace", "prefix"])
@pytest.mark.parametrize(("delay_s", "rows"), [(0.0, 2), (0.1, 3), (0.16, 3), (0.2, 4)])
def test_what_is_done_while_a_plan_is_made_is_kept_exactly(seam, delay_s, rows):
    first, second = two_plans(policy(seam, delay_s))
    old, new = first.chunk.actions, second.chunk.actions
    both = first.traces["horizon"][2:], second.traces["horizon"]
    # Up to the segment in which it takes over; the row for the older observation as well.
    np.testing.assert_allclose(both[1][: rows + 1], both[0][: rows + 1], rtol=0, atol=1e-6)
    np.testing.assert_allclose(new[:2], old[2:4], rtol=0, atol=1e-6)
    assert not np.allclose(both[1][rows + 1 : 6], both[0][rows + 1 : 6], atol=1e-3)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("prefix_rows", [3, 5])
def test_a_prefix_is_exact_with_every_sampler_and_beyond_what_was_trained(sampler, prefix_rows):
    overrides = {"seam": "prefix", "sampler": sampler, "expected_delay_s": 0.2}
    mine = DiffusionPolicy(
        network(prediction="x0", prefix_rows=prefix_rows),
        ACTION_SPEC,
        PlanSettings(overrides=overrides),
    )
    first, second = two_plans(mine)
    both = first.traces["horizon"][2:], second.traces["horizon"]
    np.testing.assert_allclose(both[1][:5], both[0][:5], rtol=0, atol=1e-6)
    assert not np.allclose(both[1][5], both[0][5], atol=1e-4)


def test_a_prefix_shorter_than_what_is_settled_is_reported():
    enough, short = policy("prefix", delay_s=0.2), policy("prefix", delay_s=0.2, prefix_rows=4)
    assert "seam prefix for plans of less than 0.3 s" in enough.facts.text
    assert not enough.facts.warning
    text = r"expected_delay_s 0.2 more rows are settled than the prefix_rows 4 .* less than 0.2 s"
    assert re.search(text, short.facts.warning)
    assert not policy("rtc", delay_s=0.2, prefix_rows=4).facts.warning


def test_a_prefix_needs_a_network_that_was_given_one():
    with pytest.raises(
        ValueError, match="trained without .prefix_rows 0.: use 'warm_replace', or"
    ):
        policy("prefix", prefix_rows=0)
    with pytest.raises(ValueError, match="trained without .prefix_rows 0."):
        dataclasses.replace(CONFIG, seam=SeamSettings("prefix"))
    with pytest.raises(ValueError, match="needs a denoiser that was trained with prefix_rows"):
        STRATEGIES["prefix"](sampling(), target(), SeamSettings("prefix"))


def test_the_network_is_given_what_is_settled_and_no_gradient_is_taken(monkeypatch):
    seen, plainly = [], ConditionalUnet1d.denoise_modulated
    monkeypatch.setattr(
        ConditionalUnet1d,
        "denoise_modulated",
        lambda unet, x, m: seen.append(x) or plainly(unet, x, m),
    )
    mine = policy("prefix", delay_s=0.0)
    first = mine.plan(window(5.0), mine.initial_memory(0))
    seen.clear()
    second = mine.plan(window(5.2), first.memory)
    assert len(seen) == 5  # one pass a step
    rows = mine.network.action_normalizer(torch.from_numpy(second.traces["horizon"])[None])
    for each in seen:
        assert not each.requires_grad
        assert each[0, :, 2].tolist() == [1, 1, 1, 0, 0, 0, 0, 0]
        torch.testing.assert_close(each[:, :3, :2], rows[:, :3].float(), rtol=0, atol=1e-6)
        assert not torch.allclose(each[:, 3:, :2], rows[:, 3:].float(), atol=1e-3)


def test_a_config_without_a_strategy_gets_that_of_what_was_trained():
    assert dataclasses.replace(CONFIG, seam=SeamSettings()).seam.strategy == WITHOUT_PREFIX
    given = dataclasses.replace(CONFIG, seam=SeamSettings(), prefix_rows=4)
    assert given.seam.strategy == "prefix"
    assert dataclasses.replace(CONFIG, prefix_rows=4).seam.strategy == "switch"


def test_a_lower_warm_level_keeps_more_of_the_chunk_before():
    # leading spacing of 5 steps visits 0, 4, ..., 16
    distances = []
    for level in (0.1, 0.5, 0.9):
        mine = policy("warm", prefix_rows=0, warm_level=level)
        first, second = two_plans(mine)
        kept = second.traces["horizon"][:6] - first.traces["horizon"][2:]
        distances.append(float(np.abs(kept / [2.0, 0.04]).mean()))
    assert distances == sorted(distances)


def sampling(candidates=1, rows=2):
    process = GaussianProcess(cosine_betas(40))
    generators = [
        [torch.Generator().manual_seed(10 * c + row) for row in range(rows)]
        for c in range(candidates)
    ]
    scale = lambda xt, t: process.alpha_bar[t].sqrt().to(xt)[:, None, None] * xt  # noqa: E731
    shape = (rows, 6, 1)
    return Sampling(sample_ddim, process, scale, shape, generators, spaced_timesteps(40, 8))


def target(value=0.3, covered=(6, 3), counts=2, first=0, delays_s=(0.0, 0.0)):
    rows = torch.full((2, 6, 1), value)
    delays_s = torch.tensor(delays_s, dtype=torch.float64)
    return Target(rows, torch.tensor(covered), torch.full((2, 6), counts), delays_s, first, 0.1)


def test_weights_reach_no_further_than_the_chunk_before():
    weights = target().weights(SeamSettings(schedule="ones"))[..., 0]
    assert weights.tolist() == [[1] * 6, [1, 1, 1, 0, 0, 0]]
    short = target().weights(SeamSettings(overlap_s=0.2, schedule="ones"))
    assert short[..., 0].tolist() == [[1, 1, 1, 1, 0, 0], [1, 1, 1, 0, 0, 0]]
    hard = target(first=1).weights(SeamSettings(overlap_s=0.0))[0, :, 0]
    assert hard.tolist() == [1, 1, 1, 0, 0, 0]
    late = target(covered=(6, 6), delays_s=(0.11, 0.31)).weights(SeamSettings(overlap_s=0.0))
    assert late[..., 0].tolist() == [[1, 1, 1, 0, 0, 0], [1, 1, 1, 1, 1, 0]]


@pytest.mark.parametrize("rate", [0.0, 0.01, 0.5])
def test_an_ensemble_is_the_weighted_mean_of_all_plans(rate):
    """ACT: three plans of one moment at once, weights exp(-m i), the oldest first."""
    drawn = [sampling().drawn()]
    plans = [torch.full_like(drawn[0], 0.7), torch.full_like(drawn[0], -0.4), *drawn]
    weights = np.exp(-rate * np.arange(3))
    mean = weights[:2] @ np.array([0.7, -0.4]) / weights[:2].sum()
    settings = SeamSettings(strategy="ensemble", ensemble_rate=rate)
    found = STRATEGIES["ensemble"](sampling(), target(float(mean)), settings)
    expected = sum(w * plan for w, plan in zip(weights, plans, strict=True)) / weights.sum()
    torch.testing.assert_close(found, expected.float())
    alone = STRATEGIES["ensemble"](sampling(), target(counts=0), settings)
    torch.testing.assert_close(alone, drawn[0])


def test_plans_of_an_ensemble_are_counted_row_by_row():
    mine = policy("ensemble")
    first, second = two_plans(mine)
    assert first.memory["previous_start_s"] == pytest.approx(4.9)  # of the older observation
    assert first.memory["previous_count"].tolist() == [1] * 8
    assert second.memory["previous_count"].tolist() == [2] * 6 + [1] * 2


def test_bidirectional_decoding_takes_the_candidate_nearest_to_the_chunk_before():
    settings = SeamSettings(strategy="bidirectional", candidates=5)
    candidates = torch.stack([sampling(5).drawn(index) for index in range(5)])[..., 0]
    for wanted in (0, 3):
        goal = target(covered=(6, 6))
        goal = dataclasses.replace(goal, rows=candidates[wanted][..., None] + 0.01)
        found = STRATEGIES["bidirectional"](sampling(5), goal, settings)[..., 0]
        assert torch.equal(found, candidates[wanted])
    # Rows that the chunk before does not cover, or that are past, say nothing.
    goal = target(covered=(1, 3), first=0)
    goal = dataclasses.replace(goal, rows=goal.rows.clone())
    goal.rows[0, 0] = candidates[2, 0, 0]
    goal.rows[0, 1:] = candidates[4, 0, 1:, None]
    found = STRATEGIES["bidirectional"](sampling(5), goal, settings)[..., 0]
    assert torch.equal(found[0], candidates[2, 0])
    one = dataclasses.replace(settings, candidates=1)
    plain = STRATEGIES["bidirectional"](sampling(), target(), one)
    assert torch.equal(plain[..., 0], candidates[0])


@pytest.mark.parametrize("seam", ["warm_replace", "rtc", "ensemble"])
def test_a_surprised_policy_begins_anew_and_one_that_is_not_goes_on(seam):
    plain, mine = policy("switch"), policy(seam, delay_s=0.0, surprise=5.0)
    first = mine.plan(window(5.0), mine.initial_memory(0))
    expected = first.chunk.actions[2]  # for 5.2 s
    unit = 0.02 * np.array([2.0, 0.04])  # of half the range
    for away, begins_anew in ((4.0, False), (6.0, True)):
        for sign in (-1, 1):
            joints = expected + sign * np.array([0.0, away]) * unit
            plan = mine.plan(window(5.2, joints=joints), first.memory)
            cold = plain.plan(window(5.2, joints=joints), first.memory)
            same = np.array_equal(plan.chunk.actions, cold.chunk.actions)
            assert plan.traces["surprise"] == pytest.approx(away, rel=1e-3)
            assert (plan.traces["seam"] == "cold", same) == (begins_anew, begins_anew)
            if begins_anew:
                assert (plan.memory["previous_count"] == 1).all()


def test_surprise_has_the_unit_that_was_given():
    settings = SeamSettings(strategy="warm", surprise=3.0, surprise_scale=(1.0, 0.001), fade_s=0)
    mine = DiffusionPolicy(network(seam=settings), ACTION_SPEC, PlanSettings())
    first = mine.plan(window(5.0), mine.initial_memory(0))
    joints = first.chunk.actions[2] + [0.5, 0.002]
    assert mine.plan(window(5.2, joints=joints), first.memory).traces["surprise"] == pytest.approx(
        2.0, rel=1e-3
    )


def test_while_one_chunk_fades_into_another_the_robot_is_expected_between_them():
    """Also where the plan began anew: the robot went on along the old chunk meanwhile."""
    now_s = 5.1
    for delay_s in (0.0, 0.1):
        mine = policy("warm", delay_s=delay_s, surprise=5.0, fade_s=0.2)
        first = mine.plan(window(5.0), mine.initial_memory(0))
        start = window(5.0)[-1].values["joint_state"]
        between = (start + first.chunk.actions[1]) / 2
        plan = mine.plan(window(now_s, joints=between), first.memory)
        assert plan.traces["surprise"] == 0.0
        assert plan.traces["seam"] == "warm"
    settled = policy("warm", delay_s=0.0, surprise=5.0, fade_s=0.05)
    first = settled.plan(window(5.0), settled.initial_memory(0))
    assert settled.plan(window(now_s, joints=between), first.memory).traces["surprise"] > 1.0
    pushed = window(5.2, joints=first.chunk.actions[2] + 1.0)
    anew = settled.plan(pushed, first.memory)
    assert anew.traces["seam"] == "cold"
    old = first.traces["horizon"][2:]
    np.testing.assert_array_equal(anew.memory["followed_rows"][:6], old)


def test_a_window_that_does_not_fit_is_refused_before_it_surprises():
    mine = policy("warm", surprise=2.0)
    first = mine.plan(window(5.0), mine.initial_memory(0))
    with pytest.raises(ValueError, match="'joint_state' is not finite"):
        mine.plan(window(5.2, joints=np.array([np.nan, 0.0])), first.memory)
    with pytest.raises(ValueError, match="stream 'joint_state' is missing"):
        mine.plan([Observation(5.1, {}), Observation(5.2, {})], first.memory)


def test_a_chunk_that_is_over_is_forgotten():
    """Its last sent row is for 5.3 s; the robot never goes where the rows behind it lead."""
    mine = policy("warm_replace")
    first = mine.plan(window(5.0), mine.initial_memory(0))
    assert len(first.chunk.actions) == 4
    for stamp_s, seam in ((5.3, "warm_replace"), (5.35, "cold"), (9.0, "cold"), (4.0, "cold")):
        plan = mine.plan(window(stamp_s), first.memory)
        assert plan.traces["seam"] == seam
        cold = policy("switch").plan(window(stamp_s), first.memory)
        assert np.array_equal(plan.chunk.actions, cold.chunk.actions) == (seam == "cold")


@pytest.mark.parametrize("delay_s", [0.3, 0.5])
def test_a_delay_longer_than_a_chunk_is_refused(delay_s):
    with pytest.raises(ValueError, match=f"expected_delay_s {delay_s:g} comes when .* 0.3 s long"):
        policy("replace", delay_s)
    assert policy("switch", delay_s).seam.expected_delay_s == delay_s  # it knows no chunk before


def test_the_delay_of_one_plan_goes_before_the_one_that_was_told():
    told, measured = policy("rtc_exact", delay_s=0.2), policy("rtc_exact", delay_s=None)
    first, second = two_plans(told)
    rows = []
    for delay_s in (0.0, 0.2):
        start = measured.plan(window(5.0), measured.initial_memory(0))
        assert start.memory[EXPECTED_DELAY] == 0.0
        memory = {**start.memory, EXPECTED_DELAY: np.array(delay_s)}
        rows.append(measured.plan(window(5.2), memory).traces["horizon"])
    assert EXPECTED_DELAY not in first.memory
    assert not np.array_equal(rows[0], rows[1])
    assert np.array_equal(rows[1], second.traces["horizon"])


@pytest.mark.parametrize(
    ("seam", "share"),
    [("switch", 1.0), ("prefix", 1.0), ("rtc_exact", 1 / 3), ("bidirectional", 1 / 3)],
)
def test_a_plan_that_begins_anew_costs_less_than_one_that_goes_on(seam, share):
    mine = policy(seam)
    memory = mine.plan(window(5.0), mine.initial_memory(0)).memory
    costs = [
        mine.facts.relative_cost(window(5.0), mine.initial_memory(0)),
        mine.facts.relative_cost(window(5.2), memory),
        mine.facts.relative_cost(window(9.0), memory),  # the chunk before is over
    ]
    wanted = [share, 1.0 if seam != "switch" else share, share]
    assert costs == [pytest.approx(each) for each in wanted]


def test_that_plans_take_no_time_is_nothing_a_checkpoint_tells():
    older = DiffusionPolicy(
        network(seam=SeamSettings("rtc", expected_delay_s=0.0)), ACTION_SPEC, PlanSettings()
    )
    assert EXPECTED_DELAY in older.initial_memory(0)
    assert EXPECTED_DELAY not in policy("rtc", delay_s=0.0).initial_memory(0)


def test_a_delay_of_whole_rows_between_stamps_of_today_counts_as_whole():
    requested_s = 1.79e9 + 0.05 * np.arange(2000)
    for rows in (1, 3):
        delays_s = ((requested_s + 0.1 * rows) - requested_s).tolist()
        weights = [
            target(covered=(6, 6), delays_s=(each, each)).weights(SeamSettings(overlap_s=0.0))
            for each in set(delays_s)
        ]
        assert {int(each[0].sum()) for each in weights} == {rows + 2}


def test_a_checkpoint_may_have_a_seam_and_need_not():
    config = dataclasses.replace(CONFIG, seam=SeamSettings(strategy="rtc", surprise_scale=(1, 2)))
    values = json.loads(json.dumps(dataclasses.asdict(config)))
    assert config_from(values) == config
    del values["seam"]  # as in older ones
    assert config_from(values).seam == SeamSettings("rtc_exact")
    settings = PlanSettings(overrides={"seam": "warm", "expected_delay_s": 0.2})
    chosen = DiffusionPolicy(network(seam=config.seam), ACTION_SPEC, settings).seam
    assert (chosen.strategy, chosen.expected_delay_s) == ("warm", 0.2)
    assert chosen.surprise_scale == (1, 2)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("strategy", "leap", r"strategy must be one of \['bidirectional'.*got 'leap'"),
        ("schedule", "cubic", "schedule must be one of .* got 'cubic'"),
        ("warm_level", 0.0, "warm_level must be above 0 and at most 1, got 0.0"),
        ("warm_level", 1.5, "warm_level must be above 0 and at most 1, got 1.5"),
        ("expected_delay_s", -0.1, "expected_delay_s must be finite and not below 0, got -0.1"),
        ("overlap_s", -0.1, "overlap_s must not be below 0, got -0.1"),
        ("beta", 0.0, "beta must be finite and above 0, got 0.0"),
        ("candidates", 0, "candidates must be at least 1, got 0"),
        ("decay", 0.0, "decay must be above 0 and at most 1, got 0.0"),
        ("ensemble_rate", -1.0, "ensemble_rate must be finite and not below 0, got -1.0"),
        ("surprise", float("nan"), "surprise must be finite and not below 0, got nan"),
        ("surprise_scale", (0.1, 0.0), "surprise_scale must be above 0, got"),
    ],
)
def test_settings_that_break_a_rule_are_refused(field, value, message):
    with pytest.raises(ValueError, match=message):
        SeamSettings(**{field: value})


def test_surprise_needs_a_stream_and_a_unit_for_every_joint():
    with pytest.raises(ValueError, match=r"surprise_scale needs one number for each.*got \[1.0\]"):
        policy("warm", surprise_scale=(1.0,))
    normalizer = network().action_normalizer
    settings = SeamSettings(strategy="warm", surprise=2.0)
    with pytest.raises(ValueError, match=r"surprise 2.0 needs a stream that measures"):
        PlanJoiner(settings, ACTION_SPEC, STREAMS[1:], normalizer, 2, 4)
