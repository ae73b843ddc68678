"""Mish that learns: torch's own is the oracle."""

import torch
from torch import nn

from ddpm_controller.networks.mish import Mish

PLACES = torch.tensor([-1e4, -90, -30, -5, -1.2, -1e-3, 0, 1e-3, 0.7, 3, 19.9, 20.1, 90, 1e4])


def test_value_and_derivative_are_torch_s_for_every_size_of_number():
    ours, oracle = (PLACES.clone().requires_grad_() for _ in range(2))
    found, expected = Mish()(ours), nn.functional.mish(oracle)
    torch.testing.assert_close(found, expected)
    found.sum().backward()
    expected.sum().backward()
    torch.testing.assert_close(ours.grad, oracle.grad)


def test_it_is_its_own_derivative_by_differences():
    places = PLACES.double()[2:-2].requires_grad_()
    assert torch.autograd.gradcheck(Mish(), places)
