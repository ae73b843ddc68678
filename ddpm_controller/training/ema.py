"""An average of the weights over the training, which plans better than the last weights."""

import math
from copy import deepcopy

import torch
from torch import Tensor, nn


def ema_decay(update: int, power: float, max_decay: float) -> float:
    """Return the decay of update number ``update`` (from 0).

    The warm-up of Chi et al. 2023 (Diffusion Policy): ``1 - (1 + update) ** -power``. It is 0 at
    the first update, so the random start is forgotten at once.
    """
    return min(max_decay, 1.0 - math.pow(1.0 + update, -power))


class Ema:
    """Exponential moving average of a network's parameters; buffers are copied.

    Attributes:
        network: A copy of the network that holds the average, in evaluation mode.
    """

    def __init__(self, network: nn.Module, power: float, max_decay: float) -> None:
        """Begin with a copy of ``network`` as it is now."""
        self.network = deepcopy(network).eval().requires_grad_(False)
        self._power = power
        self._max_decay = max_decay

    @torch.no_grad()
    def update(self, network: nn.Module, update: int) -> None:
        """Take in the weights after update number ``update`` (from 0)."""
        weight = 1.0 - ema_decay(update, self._power, self._max_decay)
        averages: list[Tensor] = list(self.network.parameters())
        torch._foreach_lerp_(averages, list(network.parameters()), weight)
        for average, buffer in zip(self.network.buffers(), network.buffers(), strict=True):
            average.copy_(buffer)
