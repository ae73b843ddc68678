"""A convolution over time as matrix products without padding, forwards and backwards.

The taps that one row of the result sees lie side by side in memory, so a row of all examples is
one product of parts of the input with a part of the weights. Nothing is copied, and no product
has the zeros that padding would bring: of a map of four rows and five taps they are a third.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

_LARGE_BATCH = 32
"""Examples from which on a product for each row is large enough to be quick."""


class _Part(NamedTuple):
    """What one row of the result is made from.

    Attributes:
        row: Its number.
        inputs: Columns of the input (B, L * C).
        taps: Columns of the weights (outputs, k * C).
    """

    row: int
    inputs: slice
    taps: slice


def _parts(length: int, width: int, kernel_size: int, stride: int) -> Iterator[_Part]:
    for row in range(length // stride):
        begin = row * stride - kernel_size // 2
        first, last = max(0, begin), min(length, begin + kernel_size)
        inputs = slice(first * width, last * width)
        yield _Part(row, inputs, slice((first - begin) * width, (last - begin) * width))


class TimeConvolution(torch.autograd.Function):
    """The convolution of (B, L, C) with weights (outputs, k * C); see ``Convolution1d``."""

    @staticmethod
    def forward(
        ctx: Any, features: Tensor, weight: Tensor, bias: Tensor, kernel_size: int, stride: int
    ) -> Tensor:
        """(B, L, C), (outputs, k * C), (outputs,) -> (B, L / stride, outputs)."""
        ctx.shape, ctx.sizes = features.shape, (kernel_size, stride)
        batch, length, width = features.shape
        # In a longer map few products have zeros, and one large product is the quicker.
        longest = 2 * kernel_size - 1 if batch >= _LARGE_BATCH else kernel_size
        ctx.is_short = length <= longest
        if not ctx.is_short:
            windows = _windows(features, kernel_size, stride)
            ctx.save_for_backward(windows, weight)
            return torch.addmm(bias, windows, weight.t()).view(batch, -1, len(weight))
        flat = features.reshape(batch, length * width)
        ctx.save_for_backward(flat, weight)
        out = flat.new_empty(batch, length // stride, len(weight))
        for row, inputs, taps in _parts(length, width, kernel_size, stride):
            torch.addmm(bias, flat[:, inputs], weight[:, taps].t(), out=out[:, row])
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        """(B, L / stride, outputs) -> gradients of features, weight and bias."""
        seen, weight = ctx.saved_tensors
        (batch, length, width), gradient = ctx.shape, gradient.contiguous()
        parts = list(_parts(length, width, *ctx.sizes))
        of_features = None
        if ctx.needs_input_grad[0]:
            of_features = gradient.new_zeros(batch, length * width)
            for row, inputs, taps in parts:
                of_features[:, inputs].addmm_(gradient[:, row], weight[:, taps])
            of_features = of_features.view(ctx.shape)
        if ctx.is_short:
            of_weight = torch.zeros_like(weight)
            for row, inputs, taps in parts:
                of_weight[:, taps].addmm_(gradient[:, row].t(), seen[:, inputs])
        else:
            of_weight = gradient.flatten(0, 1).t() @ seen
        return of_features, of_weight, gradient.sum((0, 1)), None, None


def _windows(features: Tensor, kernel_size: int, stride: int) -> Tensor:
    """(B, L, C), zero-padded -> what each row of the result sees, (B * L / stride, k * C)."""
    batch, length, width = features.shape
    margin = kernel_size // 2
    padded = pad(features, (0, 0, margin, margin)).contiguous()
    rows = padded.as_strided(
        (batch, length // stride, kernel_size * width),
        ((length + 2 * margin) * width, stride * width, 1),
    )
    return rows.reshape(-1, kernel_size * width)
