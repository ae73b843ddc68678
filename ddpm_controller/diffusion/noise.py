"""Where all randomness of this room comes from."""

from collections.abc import Sequence

import torch
from torch import Tensor

Generators = torch.Generator | Sequence[torch.Generator]
"""One generator for a whole batch, or one per row so that a row never depends on the others."""


def standard_normal(shape: tuple[int, ...], generator: Generators) -> Tensor:
    """Draw N(0, I) of ``shape`` (B, ...), from one generator or from one per row.

    Raises:
        ValueError: If the number of generators is not the number of rows.
    """
    if isinstance(generator, torch.Generator):
        return torch.randn(shape, generator=generator, device=generator.device)
    if len(generator) != shape[0]:
        raise ValueError(f"{len(generator)} generators for {shape[0]} rows: give one per row")
    rows = [torch.randn(shape[1:], generator=each, device=each.device) for each in generator]
    return torch.stack(rows)
