import pytest
import torch
from torch import nn

from ddpm_controller.training.ema import Ema, ema_decay


def test_the_decay_warms_up_from_nothing_to_its_limit():
    assert ema_decay(0, 0.75, 0.9999) == 0.0
    assert ema_decay(15, 0.75, 0.9999) == pytest.approx(1 - 1 / 8)  # 16 ** 0.75 = 8
    assert ema_decay(10**9, 0.75, 0.9999) == 0.9999


def test_the_average_is_the_recursion_worked_out_by_hand():
    network = nn.Linear(1, 1, bias=False)
    ema = Ema(network, power=1.0, max_decay=0.9999)  # decay n / (1 + n): the plain mean
    values = [4.0, 1.0, 1.0, 6.0]
    for number, value in enumerate(values):
        with torch.no_grad():
            network.weight.fill_(value)
        ema.update(network, number)
    assert ema.network.weight.item() == pytest.approx(sum(values) / 4)


def test_buffers_are_copied_and_not_averaged():
    network = nn.BatchNorm1d(1)
    ema = Ema(network, 0.75, 0.9999)
    network.running_mean.fill_(5.0)
    ema.update(network, 100)
    assert ema.network.running_mean.item() == 5.0


def test_the_average_shares_no_memory_with_the_network_and_is_for_evaluation():
    network = nn.Linear(2, 2).train()
    ema = Ema(network, 0.75, 0.9999)
    before = ema.network.weight.clone()
    with torch.no_grad():
        network.weight.add_(1.0)
    assert torch.equal(ema.network.weight, before)
    assert not ema.network.training
    assert not any(parameter.requires_grad for parameter in ema.network.parameters())
