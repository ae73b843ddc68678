"""Weights of the 1-D U-Net that Chi et al. 2023 released, as LeRobot names them, for ours.

``ConditionalUnet1d`` of the form "released" computes the same with them: a convolution is a
product with its taps side by side, a transposed one a sub-pixel convolution, and what modulates
all blocks is one linear layer, which answers the scale less 1.
"""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

Named = Iterator[tuple[str, Tensor]]


def weights_of_released(
    released: Mapping[str, Tensor], num_levels: int, cond_columns: Sequence[int]
) -> dict[str, Tensor]:
    """Return the weights of a ``ConditionalUnet1d`` of the form "released".

    Args:
        released: Name -> weight. A modulation has a scale and a bias, or a bias alone.
        num_levels: Levels of the U-Net.
        cond_columns: Released column of each column of the condition, (Dc,).

    Raises:
        ValueError: A weight is missing, has no place, or does not fit the others.
    """
    left = dict(released)
    try:
        found = dict(_all(left, num_levels, list(cond_columns)))
    except KeyError as error:
        raise ValueError(f"the weight {error} is missing") from None
    except (RuntimeError, IndexError, TypeError) as error:
        raise ValueError(f"the weights do not fit each other: {error}") from None
    if left:
        raise ValueError(f"{len(left)} weights have no place, first {min(left)!r}")
    return found


def _all(left: dict[str, Tensor], num_levels: int, cond_columns: list[int]) -> Named:
    """Take weights out of ``left`` and yield ours."""
    levels, last = range(num_levels), num_levels - 1
    pairs = [(f"down_modules.{level}", f"down.{level}") for level in levels]
    pairs += [("mid_modules", "middle")]
    pairs += [(f"up_modules.{step}", f"up.{step}") for step in range(last)]
    modulations = []
    for theirs, ours in pairs:
        for number, name in enumerate(("first", "second")):
            modulations.append(_modulation(left, f"{theirs}.{number}"))
            yield from _block(left, f"{theirs}.{number}", f"{ours}.{name}")
    for level in range(last):
        yield from _convolution(left, f"down_modules.{level}.2", f"shorten.{level}")
        yield from _doubling(left, f"up_modules.{level}.2", f"lengthen.{level}.convolution")
    yield from _convolution_block(left, "final_conv.0.block", "last")
    yield from _pointwise(left, "final_conv.1", "out")
    for theirs, ours in (("1", "0"), ("3", "2")):
        yield from _same(left, f"diffusion_step_encoder.{theirs}", f"embedding.mlp.{ours}")
    weight, bias = (torch.cat(each) for each in zip(*modulations, strict=True))
    of_time, of_cond = weight.tensor_split([weight.shape[1] - len(cond_columns)], dim=1)
    yield "from_time.weight", of_time
    yield "from_time.bias", bias
    yield "from_cond.weight", of_cond[:, cond_columns]


def _block(left: dict[str, Tensor], theirs: str, ours: str) -> Named:
    yield from _convolution_block(left, f"{theirs}.conv1.block", f"{ours}.first")
    yield from _convolution_block(left, f"{theirs}.conv2.block", f"{ours}.second")
    if f"{theirs}.residual_conv.weight" in left:
        yield from _pointwise(left, f"{theirs}.residual_conv", f"{ours}.residual")


def _modulation(left: dict[str, Tensor], block: str) -> tuple[Tensor, Tensor]:
    """Return weight (2 C, E + Dc) and bias (2 C,) of what modulates a block, scales first.

    Before ``_block``, for the width of the block is that of its norm.
    """
    weight, bias = _taken(left, f"{block}.cond_encoder.1")
    width = len(left[f"{block}.conv2.block.1.bias"])
    if len(bias) == width:  # biases alone: the scale is 1
        nothing = torch.zeros_like(weight), torch.zeros_like(bias)
        return torch.cat([nothing[0], weight]), torch.cat([nothing[1], bias])
    return weight, torch.cat([bias[:width] - 1, bias[width:]])


def _convolution_block(left: dict[str, Tensor], theirs: str, ours: str) -> Named:
    yield from _convolution(left, f"{theirs}.0", f"{ours}.convolution")
    yield from _same(left, f"{theirs}.1", f"{ours}.norm")


def _convolution(left: dict[str, Tensor], theirs: str, ours: str) -> Named:
    weight, bias = _taken(left, theirs)
    yield f"{ours}.linear.weight", _taps_side_by_side(weight)
    yield f"{ours}.linear.bias", bias


def _doubling(left: dict[str, Tensor], theirs: str, ours: str) -> Named:
    """A transposed convolution of four taps, stride 2, margin 1; weights (inputs, outputs, 4).

    Row 2 i of the result sees the rows i - 1 and i, row 2 i + 1 the rows i and i + 1.
    """
    weight, bias = _taken(left, theirs)
    taps = weight.permute(2, 1, 0)  # (4, outputs, inputs)
    none = torch.zeros_like(taps[0])
    even = torch.stack([taps[3], taps[1], none], dim=2)
    odd = torch.stack([none, taps[2], taps[0]], dim=2)
    yield f"{ours}.linear.weight", _taps_side_by_side(torch.cat([even, odd]))
    yield f"{ours}.linear.bias", torch.cat([bias, bias])


def _pointwise(left: dict[str, Tensor], theirs: str, ours: str) -> Named:
    weight, bias = _taken(left, theirs)
    yield f"{ours}.weight", weight.squeeze(2)
    yield f"{ours}.bias", bias


def _same(left: dict[str, Tensor], theirs: str, ours: str) -> Named:
    weight, bias = _taken(left, theirs)
    yield f"{ours}.weight", weight
    yield f"{ours}.bias", bias


def _taken(left: dict[str, Tensor], name: str) -> tuple[Tensor, Tensor]:
    return left.pop(f"{name}.weight"), left.pop(f"{name}.bias")


def _taps_side_by_side(weight: Tensor) -> Tensor:
    """(outputs, inputs, k) -> (outputs, k * inputs)."""
    return weight.permute(0, 2, 1).flatten(1)
