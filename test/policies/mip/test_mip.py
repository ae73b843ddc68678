"""MIP: two regressions, run by the same policy, seams and replay as everything that denoises."""

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from small_policy import ACTION_SPEC, CONFIG, STATISTICS, STREAMS

from ddpm_controller.checkpoint import load_checkpoint
from ddpm_controller.diffusion.samplers import sample_ddim
from ddpm_controller.policies.mip.config import MipConfig, mip_config_from
from ddpm_controller.policies.mip.network import MipNetwork
from ddpm_controller.policies.mip.process import MipLevels
from ddpm_controller.policy import PlanSettings
from ddpm_controller.systems import restore
from ddpm_controller.types import Observation


def network(**changes):
    torch.manual_seed(0)
    return MipNetwork(MipConfig(CONFIG, **changes), ACTION_SPEC, STREAMS, STATISTICS)


def batch(rows=3):
    generator = torch.Generator().manual_seed(0)
    return {
        "values": {
            "joint_state": torch.rand(rows, 2, 2, generator=generator),
            "camera": torch.randint(0, 255, (rows, 2, 16, 20, 3), generator=generator).byte(),
        },
        "actions": torch.rand(rows, 8, 2, generator=generator),
        "mask": torch.ones(rows, 8, dtype=torch.bool),
    }


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_ddim_over_its_levels_asks_nothing_first_and_then_most_of_the_answer():
    process = MipLevels(0.9)(torch.zeros(2, 1))
    asked = []

    def predict_x0(xt, t):
        asked.append((xt.clone(), int(t[0])))
        return xt + 0.5

    found = sample_ddim(process, predict_x0, (2, 4, 3), seeded())
    (first, at_first), (second, at_second) = asked
    assert (at_first, at_second) == (1, 0)
    assert (first == 0).all()
    torch.testing.assert_close(second, torch.full_like(second, 0.45))  # 0.9 of 0.5
    torch.testing.assert_close(found, torch.full_like(found, 0.95))


def test_the_loss_is_the_sum_of_both_regressions_by_hand():
    mine = network().eval()
    given = batch()
    generator = seeded(3)
    denoiser = mine.denoiser
    cond, x0 = denoiser.condition(given["values"]), denoiser.normalized_actions(given)
    noisy = 0.9 * x0 + 0.1 * torch.randn(x0.shape, generator=generator)
    one, zero = torch.ones(3, dtype=torch.int64), torch.zeros(3, dtype=torch.int64)
    expected = sum(
        (denoiser.unet(xt, t, cond) - x0).square().mean()
        for xt, t in ((torch.zeros_like(x0), one), (noisy, zero))
    )
    torch.testing.assert_close(mine.loss(given, seeded(3)), expected)
    regression = network(iterations=1).eval()
    only = (denoiser.unet(torch.zeros_like(x0), one, cond) - x0).square().mean()
    torch.testing.assert_close(regression.loss(given, seeded(3)), only)


def test_padding_does_not_count():
    mine, given = network().eval(), batch()
    before = mine.loss(given, seeded())
    given["mask"] = given["mask"].clone()
    given["mask"][:, 5:] = False
    masked = mine.loss(given, seeded())
    given["actions"] = given["actions"].clone()
    given["actions"][:, 5:] = 0.0
    assert not torch.equal(before, masked)
    # Later rows are in the second question, but what should be answered there does not count.
    only = network(iterations=1).eval()
    changed = {**given, "actions": given["actions"] + 1.0 * ~given["mask"][:, :, None]}
    torch.testing.assert_close(only.loss(given, seeded()), only.loss(changed, seeded()))


@pytest.fixture
def trained(tmp_path, monkeypatch):
    import tiny_training as tiny

    for name in ("draw_curves", "draw_samples"):
        monkeypatch.setattr(f"ddpm_controller.training.run.{name}", lambda *arguments: None)
    config = replace(tiny.CONFIG, kind="mip", policy=MipConfig(tiny.POLICY), num_steps=4)
    return tiny, tiny.train_tiny(tmp_path, config).last_checkpoint


def window(tiny):
    episode = tiny.episodes()[0]
    return [
        Observation(episode.stamps_s[at], {k: v[at] for k, v in episode.values.items()})
        for at in (5, 6)
    ]


def test_a_trained_one_plans_the_same_whatever_the_seed(trained):
    tiny, folder = trained
    manifest = load_checkpoint(folder).manifest
    assert manifest.kind == "mip"
    assert mip_config_from(manifest.config) == MipConfig(tiny.POLICY)
    policy = restore(folder, PlanSettings(overrides={"seam": "switch"}))
    assert policy.facts.num_inference_steps == 2
    plans = [policy.plan(window(tiny), policy.initial_memory(seed)) for seed in (0, 1)]
    assert np.array_equal(plans[0].chunk.actions, plans[1].chunk.actions)
    once = restore(folder, PlanSettings(overrides={"seam": "switch", "num_inference_steps": 1}))
    first = once.plan(window(tiny), once.initial_memory(0))
    assert not np.array_equal(first.chunk.actions, plans[0].chunk.actions)
    assert np.isfinite(first.chunk.actions).all()


@pytest.mark.parametrize("seam", ["replace", "warm_replace", "rtc", "rtc_exact"])
def test_seams_join_its_plans(trained, seam):
    tiny, folder = trained
    policy = restore(folder, PlanSettings(overrides={"seam": seam}))
    memory = policy.plan(window(tiny), policy.initial_memory(0)).memory
    later = [Observation(each.stamp_s + 0.2, each.values) for each in window(tiny)]
    assert np.isfinite(policy.plan(later, memory).chunk.actions).all()


def test_another_sampler_is_refused(trained):
    with pytest.raises(ValueError, match="sampler 'ddpm' .* choose num_inference_steps 1 or 2"):
        restore(trained[1], PlanSettings(overrides={"sampler": "ddpm"}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"signal": 1.0}, r"signal must be in \(0, 1\), got 1.0"),
        ({"iterations": 3}, "iterations must be 1 or 2, got 3"),
        ({"policy": replace(CONFIG, prefix_rows=4)}, "prefix_rows must be 0, .*MIP.*got 4"),
    ],
)
def test_numbers_that_break_a_rule_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        MipConfig(**{"policy": CONFIG, **changes})


def test_what_it_is_cannot_be_changed_by_a_recipe():
    mine = MipConfig(replace(CONFIG, prediction="epsilon", sampler="ddpm"))
    assert (mine.policy.prediction, mine.policy.sampler) == ("x0", "ddim")
    assert mip_config_from(asdict(mine)) == mine
