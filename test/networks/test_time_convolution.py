"""The convolution over time that learns: torch's own is the oracle."""

import pytest
import torch
from torch import nn

from ddpm_controller.networks.time_convolution import TimeConvolution
from ddpm_controller.networks.unet1d import Convolution1d

SIZES = pytest.mark.parametrize(
    ("length", "kernel_size", "stride"),
    [
        (16, 5, 1),
        (16, 3, 2),
        (4, 3, 1),
        (2, 5, 1),
        (2, 7, 1),
        (1, 3, 1),
        (4, 7, 2),
        (12, 5, 2),
        (8, 5, 1),
    ],
)


def drawn(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(3))


@SIZES
@pytest.mark.parametrize("batch", [3, 40])
def test_it_is_torch_s_convolution_forwards_and_backwards(length, kernel_size, stride, batch):
    features, bias = drawn(batch, length, 4), drawn(6)
    taps = drawn(6, kernel_size, 4)  # (outputs, k, C)
    inputs = [each.requires_grad_() for each in (features, taps, bias)]
    oracle = nn.functional.conv1d(
        features.transpose(1, 2), taps.transpose(1, 2), bias, stride, kernel_size // 2
    ).transpose(1, 2)
    found = TimeConvolution.apply(features, taps.flatten(1), bias, kernel_size, stride)
    torch.testing.assert_close(found, oracle)
    weights = drawn(*oracle.shape)
    for one, other in zip(
        torch.autograd.grad((found * weights).sum(), inputs),
        torch.autograd.grad((oracle * weights).sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


def test_it_is_its_own_derivative_by_differences():
    features, weight, bias = (
        each.requires_grad_() for each in (drawn(2, 4, 3), drawn(2, 9), drawn(2))
    )
    assert torch.autograd.gradcheck(
        lambda *each: TimeConvolution.apply(*each, 3, 2), (features, weight, bias)
    )


def test_what_learns_and_what_plans_give_the_same_numbers():
    layer = Convolution1d(8, 12, 5)
    features = torch.randn(4, 16, 8, generator=torch.Generator().manual_seed(0))
    learned = layer(features)
    with torch.no_grad():
        planned = layer(features)
    assert learned.grad_fn.name().startswith("TimeConvolution")
    torch.testing.assert_close(learned, planned)


def test_in_bfloat16_the_weights_keep_float32_gradients():
    layer = Convolution1d(8, 12, 5)
    features = torch.randn(4, 16, 8, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        found = layer(features)
    assert found.dtype == torch.bfloat16
    found.float().sum().backward()
    assert layer.linear.weight.grad.dtype == torch.float32
