"""The U-Net written a second time, in the operations of whatever compiles it.

So an engine gets real convolutions in its own layout, and neither traces torch nor needs an
exchange format. That both are the same network is what ``choice.checked`` compares.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from torch import Tensor, nn

from ddpm_controller.networks.unet1d import (
    ConditionalUnet1d,
    ConvBlock1d,
    Convolution1d,
    Doubling1d,
    ResidualBlock1d,
    joined_levels,
)

Node = TypeVar("Node")


class Operations(Protocol[Node]):
    """What an engine computes with; each takes and returns maps in its own layout."""

    def given(self) -> Node:
        """Return the noisy chunk."""
        ...

    def modulations(self, sizes: Sequence[int]) -> list[Node]:
        """Return the parts of the modulation, which have these sizes."""
        ...

    def convolved(self, maps: Node, layer: Convolution1d) -> Node:
        """Return a zero-padded convolution over time."""
        ...

    def projected(self, maps: Node, layer: nn.Linear) -> Node:
        """Return a linear layer of each row."""
        ...

    def normed_mish(self, maps: Node, layer: nn.GroupNorm) -> Node:
        """Return Mish of a group normalization."""
        ...

    def modulated(self, maps: Node, scale: Node, bias: Node) -> Node:
        """Return maps * (1 + scale) + bias."""
        ...

    def doubled(self, maps: Node, columns: int) -> Node:
        """Return 2 L rows of L that have ``columns``: the first half of a row comes first."""
        ...

    def joined(self, one: Node, other: Node) -> Node:
        """Return the columns of both."""
        ...

    def added(self, one: Node, other: Node) -> Node:
        """Return the sum."""
        ...


def unet_graph(unet: ConditionalUnet1d, operations: Operations[Node]) -> Node:
    """Return what ``unet.denoise_modulated`` computes, in these operations."""
    return _Walk(operations, unet).answer(unet)


def kernel_of(layer: Convolution1d) -> np.ndarray:
    """Return the weights of a convolution, (outputs, inputs, kernel size)."""
    weight = array_of(layer.linear.weight)
    return weight.reshape(len(weight), layer.kernel_size, -1).transpose(0, 2, 1)


def array_of(weight: Tensor) -> np.ndarray:
    """Return weights as an array that shares their memory."""
    array: np.ndarray = weight.detach().numpy()
    return array


class _Walk(Generic[Node]):
    def __init__(self, operations: Operations[Node], unet: ConditionalUnet1d) -> None:
        self._operations = operations
        # Two blocks a pair, each with scales and biases.
        widths = [size // 4 for size in unet.modulation_sizes for _ in range(4)]
        self._parts: Iterator[Node] = iter(operations.modulations(widths))

    def answer(self, unet: ConditionalUnet1d) -> Node:
        operations, skips = self._operations, []
        shorten: list[Any] = list(unet.shorten)
        up: list[Any] = list(zip(unet.lengthen, unet.up, strict=True))
        maps = operations.given()
        for level, pair in enumerate(unet.down):
            maps = self._pair(maps, pair)
            skips.append(maps)
            if level < len(shorten):
                maps = operations.convolved(maps, shorten[level])
        maps = self._pair(maps, unet.middle)
        skips = joined_levels(skips, unet.form)
        for lengthen, pair in up:
            if unet.form == "released":
                maps = self._pair(operations.joined(maps, skips.pop()), pair)
                maps = self._longer(maps, lengthen)
            else:
                maps = operations.joined(self._longer(maps, lengthen), skips.pop())
                maps = self._pair(maps, pair)
        return operations.projected(self._block(maps, unet.last), unet.out)

    def _longer(self, maps: Node, layer: Doubling1d) -> Node:
        operations = self._operations
        columns = layer.convolution.linear.out_features
        return operations.doubled(operations.convolved(maps, layer.convolution), columns)

    def _pair(self, maps: Node, pair: Any) -> Node:
        return self._residual(self._residual(maps, pair.first), pair.second)

    def _residual(self, maps: Node, block: ResidualBlock1d) -> Node:
        operations = self._operations
        scale, bias = next(self._parts), next(self._parts)
        first = operations.modulated(self._block(maps, block.first), scale, bias)
        kept = maps
        if isinstance(block.residual, nn.Linear):
            kept = operations.projected(maps, block.residual)
        return operations.added(self._block(first, block.second), kept)

    def _block(self, maps: Node, block: ConvBlock1d) -> Node:
        operations = self._operations
        return operations.normed_mish(operations.convolved(maps, block.convolution), block.norm)
