"""The U-Net of released code, in plain functions of torch, is ours with its weights."""

import pytest
import torch
from released_policy import CONFIG, unet_answer, weights

from ddpm_controller.networks.control_branch import ControlledUnet1d
from ddpm_controller.networks.released_unet import weights_of_released
from ddpm_controller.networks.unet1d import ConditionalUnet1d, check_unet_sizes

COLUMNS = [3, 0, 1, 2, 9, 8, 7, 6, 5, 4]


def ours(config=CONFIG):
    return ConditionalUnet1d(
        action_dim=2,
        cond_dim=10,
        channels=config["down_dims"],
        kernel_size=config["kernel_size"],
        num_groups=config["n_groups"],
        timestep_dim=config["diffusion_step_embed_dim"],
        form="released",
    )


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"use_film_scale_modulation": False},
        {"down_dims": [16, 8], "kernel_size": 5, "n_groups": 8},
    ],
)
def test_released_weights_give_the_answers_that_they_gave(changes):
    config = {**CONFIG, **changes}
    released, network = weights(config), ours(config)
    network.load_state_dict(weights_of_released(released, len(config["down_dims"]), COLUMNS))
    generator = torch.Generator().manual_seed(0)
    xt, cond = (torch.randn(3, *size, generator=generator) for size in ((8, 2), (10,)))
    t = torch.tensor([0, 7, 19])
    expected = unet_answer(released, config, xt, t, cond)
    with torch.no_grad():
        found = network(xt, t, cond[:, COLUMNS])
    # What float32 rounds in some thirty layers; the answers are of about 1.
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-5)


def test_weights_that_are_missing_left_over_or_of_another_size_are_named():
    released = weights()
    gone = dict(released)
    del gone["up_modules.1.2.weight"]
    with pytest.raises(ValueError, match=r"'up_modules.1.2.weight' is missing"):
        weights_of_released(gone, 3, COLUMNS)
    with pytest.raises(ValueError, match=r"1 weights have no place, first 'more'"):
        weights_of_released({**released, "more": torch.zeros(1)}, 3, COLUMNS)
    with pytest.raises(ValueError, match="do not fit each other"):
        weights_of_released(released | {"final_conv.1.weight": torch.zeros(2)}, 3, COLUMNS)
    with pytest.raises(ValueError, match="divisible by 8 with unet_form 'released'"):
        check_unet_sizes(8, (12, 16), 3, 4, "released")


def test_a_control_branch_on_a_released_base_adds_nothing_at_birth_and_learns_everywhere():
    torch.manual_seed(0)
    base = ours()
    controlled = ControlledUnet1d(base, horizon=8)
    xt, t = torch.randn(2, 8, 2), torch.tensor([3, 7])
    seen, before = torch.randn(2, 10), torch.ones(2, controlled.sizes[2])
    answer = controlled(xt, t, torch.cat([seen, before], dim=1))
    # Float32: training sums in another order.
    torch.testing.assert_close(answer, base(xt, t, seen), rtol=0, atol=1e-5)
    answer.square().sum().backward()
    closed = [*controlled.branch.of_skips, controlled.branch.of_middle]
    assert all(layer.weight.grad.abs().max() > 0 for layer in closed)
