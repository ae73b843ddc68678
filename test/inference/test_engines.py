"""Every engine gives the answers of torch, for every shape of network."""

import numpy as np
import pytest
import torch

from ddpm_controller.inference.engine import EngineError, Served, version_of
from ddpm_controller.inference.engines import ENGINES
from ddpm_controller.networks.unet1d import ConditionalUnet1d

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


def asked(network, rows=1, seed=1):
    generator = torch.Generator().manual_seed(seed)
    unet = network.unet
    xt = torch.randn(rows, network.horizon, unet.input_dim, generator=generator)
    return xt, torch.randn(rows, sum(unet.modulation_sizes), generator=generator)


@pytest.mark.parametrize("engine", FULL)
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"answers": 2, "input_dim": 3, "cond_hidden": 4},
        {"channels": (8, 16, 24), "horizon": 12, "kernel_size": 5},
        {"channels": (16, 16), "horizon": 2},
    ],
)
def test_an_engine_answers_as_torch_does(engine, changes):
    """Within what float32 rounds in some twenty layers; with bf16 it would be 1e-2."""
    network = served(**changes)
    with torch.no_grad():
        answer = engine.bind(network)
        for rows in (1, 3):
            xt, modulation = asked(network, rows)
            expected = network.unet.denoise_modulated(xt, modulation)
            torch.testing.assert_close(answer(xt, modulation), expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize("engine", FULL)
def test_an_answer_is_the_same_bit_for_bit_and_stays_as_it_is(engine):
    network = served()
    with torch.no_grad():
        answer = engine.bind(network)
        xt, modulation = asked(network, rows=2)
        first = answer(xt[:1], modulation[:1])
        kept = first.clone()
        both = answer(xt, modulation)  # in between something else is asked
        assert torch.equal(first, kept)
        assert torch.equal(both[:1], kept)
        assert torch.equal(engine.bind(network)(xt[:1], modulation[:1]), kept)


@pytest.mark.skipif(not version_of(ENGINES["openvino"]), reason="not installed")
def test_bf16_is_what_is_asked_for_by_name_or_refused():
    network = served(channels=(64, 128))
    with torch.no_grad():
        try:
            answer = ENGINES["openvino_bf16"].bind(network)
        except EngineError as refused:
            words = str(refused)
        else:
            words = ""
        if words:
            assert "needs a processor with bf16" in words
            return
        xt, modulation = asked(network)
        found = answer(xt, modulation).numpy()
        difference = np.abs(found - network.unet.denoise_modulated(xt, modulation).numpy()).max()
    assert 1e-4 < difference < 0.1


@pytest.mark.parametrize("changes", [{}, {"answers": 2, "input_dim": 3, "cond_hidden": 4}])
def test_a_network_of_the_same_sizes_has_weights_of_the_same_shapes(changes):
    """What is tried in another process is a network like the one that is served."""
    unet = served(**changes).unet
    again = ConditionalUnet1d(**unet.sizes).state_dict()
    assert {name: w.shape for name, w in again.items()} == {
        name: w.shape for name, w in unet.state_dict().items()
    }
