"""Every engine gives the answers of torch, for every shape of network."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_policy import ACTION_SPEC, network

from ddpm_controller.inference import choice
from ddpm_controller.inference.engine import EngineError, Served, version_of
from ddpm_controller.inference.engines import ENGINES
from ddpm_controller.networks.unet1d import ConditionalUnet1d
from ddpm_controller.policies.diffusion_policy.policy import DiffusionPolicy
from ddpm_controller.policies.seams.strategies import SeamSettings
from ddpm_controller.policy import PlanSettings

SIZES = {
    "action_dim": 2,
    "cond_dim": 3,
    "channels": (16, 32),
    "kernel_size": 3,
    "num_groups": 4,
    "timestep_dim": 8,
}
COMPILED = [
    pytest.param(
        each,
        id=each.name,
        marks=pytest.mark.skipif(not version_of(each), reason="not installed"),
    )
    for each in ENGINES.values()
    if each.name != "torch"
]
FULL = [each for each in COMPILED if each.id != "openvino_bf16"]


def served(horizon=8, **changes):
    torch.manual_seed(0)
    unet = ConditionalUnet1d(**{**SIZES, **changes}).eval()
    return Served(unet, horizon, 1)


def asked(net, rows=1, seed=1):
    generator = torch.Generator().manual_seed(seed)
    unet = net.unet
    xt = torch.randn(rows, net.horizon, unet.input_dim, generator=generator)
    return xt, torch.randn(rows, sum(unet.modulation_sizes), generator=generator)


@pytest.mark.parametrize("engine", FULL)
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"answers": 2, "input_dim": 3, "cond_hidden": 4},
        {"channels": (8, 16, 24), "horizon": 12, "kernel_size": 5},
        {"channels": (16, 16), "horizon": 2},
        {"channels": (8, 16, 24), "horizon": 12, "form": "released"},
    ],
)
def test_an_engine_answers_as_torch_does(engine, changes):
    """Within what float32 rounds in some twenty layers; with bf16 it would be 1e-2."""
    net = served(**changes)
    with torch.no_grad():
        answer = engine.bind(net)
        for rows in (1, 3):
            xt, modulation = asked(net, rows)
            expected = net.unet.denoise_modulated(xt, modulation)
            torch.testing.assert_close(answer(xt, modulation), expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize("engine", FULL)
def test_an_answer_is_the_same_bit_for_bit_and_stays_as_it_is(engine):
    net = served()
    with torch.no_grad():
        answer = engine.bind(net)
        xt, modulation = asked(net, rows=2)
        first = answer(xt[:1], modulation[:1])
        kept = first.clone()
        both = answer(xt, modulation)  # in between something else is asked
        assert torch.equal(first, kept)
        assert torch.equal(both[:1], kept)
        assert torch.equal(engine.bind(net)(xt[:1], modulation[:1]), kept)


@pytest.mark.skipif(not version_of(ENGINES["openvino"]), reason="not installed")
def test_bf16_is_what_is_asked_for_by_name_or_refused():
    net = served(channels=(64, 128))
    with torch.no_grad():
        try:
            answer = ENGINES["openvino_bf16"].bind(net)
        except EngineError as refused:
            words = str(refused)
        else:
            words = ""
        if words:
            assert "needs a processor with bf16" in words
            return
        xt, modulation = asked(net)
        found = answer(xt, modulation).numpy()
        difference = np.abs(found - net.unet.denoise_modulated(xt, modulation).numpy()).max()
    assert 1e-4 < difference < 0.1


@pytest.mark.parametrize("changes", [{}, {"answers": 2, "input_dim": 3, "cond_hidden": 4}])
def test_a_network_of_the_same_sizes_has_weights_of_the_same_shapes(changes):
    """What is tried in another process is a network like the one that is served."""
    unet = served(**changes).unet
    again = ConditionalUnet1d(**unet.sizes).state_dict()
    assert {name: w.shape for name, w in again.items()} == {
        name: w.shape for name, w in unet.state_dict().items()
    }


@pytest.mark.skipif(not version_of(ENGINES["openvino"]), reason="not installed")
@pytest.mark.parametrize(("seam", "prefix_rows"), [("prefix", 3), ("warm_replace", 0), ("rtc", 0)])
def test_plans_that_continue_are_those_of_torch(monkeypatch, seam, prefix_rows):
    """SI units, half ranges of up to 2: within a few roundings of float32 a step."""
    monkeypatch.setattr(choice, "try_first", lambda engine, served: None)
    net = network(seam=SeamSettings(seam, expected_delay_s=0.1), prefix_rows=prefix_rows)
    policies = [
        DiffusionPolicy(net, ACTION_SPEC, PlanSettings(engine=name))
        for name in ("torch", "openvino")
    ]
    window = policies[0].facts.warm_up_window
    memories = [each.initial_memory(0) for each in policies]
    for later_s in (0.0, 0.2):
        seen = [replace(each, stamp_s=each.stamp_s + later_s) for each in window]
        plans = [one.plan(seen, memory) for one, memory in zip(policies, memories, strict=True)]
        memories = [each.memory for each in plans]
        rows = [each.chunk.actions for each in plans]
        np.testing.assert_allclose(rows[1], rows[0], rtol=0, atol=2e-5)
        assert (rows[1] != rows[0]).any()  # it is another engine that has answered
