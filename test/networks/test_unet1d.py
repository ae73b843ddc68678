import pytest
import torch
from torch import nn

from ddpm_controller.networks.unet1d import (
    ConditionalUnet1d,
    Convolution1d,
    Doubling1d,
    check_unet_sizes,
)


def unet(channels=(8, 16), action_dim=3, cond_dim=5):
    torch.manual_seed(0)
    return ConditionalUnet1d(
        action_dim=action_dim,
        cond_dim=cond_dim,
        channels=channels,
        kernel_size=3,
        num_groups=4,
        timestep_dim=8,
    )


@pytest.mark.parametrize(("kernel_size", "stride"), [(5, 1), (3, 2), (1, 1)])
def test_the_convolution_is_the_one_of_torch(kernel_size, stride):
    """The same weights in the layout of ``nn.Conv1d`` give the same numbers."""
    layer = Convolution1d(4, 6, kernel_size, stride)
    reference = nn.Conv1d(4, 6, kernel_size, stride, padding=kernel_size // 2)
    weight = layer.linear.weight.reshape(6, kernel_size, 4).transpose(1, 2)
    reference.weight.data, reference.bias.data = weight, layer.linear.bias
    features = torch.randn(2, 8, 4)
    expected = reference(features.transpose(1, 2)).transpose(1, 2)
    torch.testing.assert_close(layer(features), expected, rtol=1e-5, atol=1e-6)


def test_doubling_keeps_the_order_of_time():
    layer = Doubling1d(4)
    features = torch.zeros(1, 6, 4)
    features[0, 1] = 1.0  # seen by steps 0 to 2, so by steps 0 to 5 after doubling
    change = (layer(features) - layer(torch.zeros(1, 6, 4))).abs().sum(2)[0]
    assert change.shape == (12,)
    assert (change > 0).tolist() == [True] * 6 + [False] * 6


@pytest.mark.parametrize(("channels", "horizon"), [((8, 16), 2), ((8, 16, 16), 16), ((8, 8), 10)])
def test_a_chunk_comes_out_in_the_shape_in_which_it_went_in(channels, horizon):
    xt = torch.randn(2, horizon, 3)
    assert unet(channels)(xt, torch.tensor([0, 99]), torch.randn(2, 5)).shape == xt.shape


def test_the_two_parts_of_the_modulation_are_the_whole():
    """What planning computes once per plan and per checkpoint is what training computes."""
    network = unet()
    xt, t, cond = torch.randn(2, 8, 3), torch.tensor([3, 70]), torch.randn(2, 5)
    table = network.time_modulation(torch.arange(100))
    apart = network.denoise_modulated(xt, network.cond_modulation(cond) + table[t])
    torch.testing.assert_close(apart, network(xt, t, cond), rtol=1e-5, atol=1e-6)


def test_chunk_timestep_and_condition_all_matter_and_rows_do_not_mix():
    network = unet()
    xt, t, cond = torch.randn(2, 8, 3), torch.tensor([3, 70]), torch.randn(2, 5)
    answer = network(xt, t, cond)
    for changed in (
        network(xt + torch.tensor([1.0, 0.0])[:, None, None], t, cond),
        network(xt, torch.tensor([4, 70]), cond),
        network(xt, t, cond + torch.tensor([1.0, 0.0])[:, None]),
    ):
        assert (changed[0] - answer[0]).abs().max() > 1e-4
        torch.testing.assert_close(changed[1], answer[1], rtol=1e-5, atol=1e-6)


def test_every_weight_learns():
    network = unet((8, 16, 16))
    network(
        torch.randn(2, 8, 3), torch.tensor([3, 70]), torch.randn(2, 5)
    ).square().sum().backward()
    idle = [
        name
        for name, each in network.named_parameters()
        if each.grad is None or not each.grad.any()
    ]
    assert idle == []


@pytest.mark.parametrize(
    ("horizon", "channels", "kernel_size", "message"),
    [
        (15, (8, 8, 8), 3, r"horizon 15 must be divisible by 4 .*16 would fit"),
        (2, (8, 8, 8), 3, r"horizon 2 must be divisible by 4 .*4 would fit"),
        (16, (8,), 3, "at least two levels"),
        (16, (8, 8), 4, "kernel_size must be odd .* got 4"),
        (16, (8, 10), 3, r"channels \[10\] must be divisible by num_groups = 4"),
    ],
)
def test_sizes_that_break_a_rule_are_refused_with_the_remedy(
    horizon, channels, kernel_size, message
):
    with pytest.raises(ValueError, match=message):
        check_unet_sizes(horizon, channels, kernel_size, 4)
