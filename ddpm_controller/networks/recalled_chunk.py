"""The chunk before as columns of a condition: its values for the rows of the next one.

Columns, the last ones of the condition: its rows moved to the new moments and normalized, 0 where
it has no row (Tp * Da) | 1 where it has one (Tp) | its age in horizons (1). All of them 0
mean that there is no chunk before: a null prior.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class RecalledChunk(NamedTuple):
    """The columns, apart.

    Attributes:
        rows: (B, Tp, Da) normalized.
        valid: (B, Tp, 1), 1 or 0.
        age: (B, 1), in horizons.
    """

    rows: Tensor
    valid: Tensor
    age: Tensor

    @property
    def exists(self) -> Tensor:
        """Whether there is a chunk before, (B,) bool."""
        return self.valid.flatten(1).any(dim=1)

    def columns(self) -> Tensor:
        """(B, Dr)."""
        return torch.cat([self.rows.flatten(1), self.valid.flatten(1), self.age], dim=1)

    def where(self, kept: Tensor) -> "RecalledChunk":
        """Return it where ``kept`` (B,) is True, and a null prior elsewhere."""
        share = kept.to(self.rows)
        rows, valid = (each * share[:, None, None] for each in (self.rows, self.valid))
        return RecalledChunk(rows, valid, self.age * share[:, None])


def recalled_dim(horizon: int, action_dim: int) -> int:
    """Return the number of columns, Dr."""
    return horizon * (action_dim + 1) + 1


def recalled_chunk(columns: Tensor, horizon: int, action_dim: int) -> RecalledChunk:
    """Return the parts of columns (B, Dr)."""
    rows, valid, age = columns.split([horizon * action_dim, horizon, 1], dim=1)
    return RecalledChunk(rows.unflatten(1, (horizon, action_dim)), valid[:, :, None], age)


def shifted(chunk: Tensor, gap: Tensor, shift: bool = True) -> RecalledChunk:
    """Return a chunk as the horizon sees it that begins ``gap`` rows later.

    Row i of the answer is for the moment of row ``gap + i``, between two rows linearly. With
    ``shift`` off the rows stay where they are, so that row i is for a moment ``gap`` rows before
    the new row i.

    Args:
        chunk: (B, Tp, Da), normalized.
        gap: (B,), in rows, not below 0.
        shift: Whether rows move.
    """
    horizon = chunk.shape[1]
    index = torch.arange(horizon, device=chunk.device)
    place = index[None] + (gap if shift else torch.zeros_like(gap))[:, None]  # (B, Tp)
    valid = (place <= horizon - 1).to(chunk)[:, :, None]
    before = place.long().clamp(max=horizon - 1)
    behind = (before + 1).clamp(max=horizon - 1)
    share = (place - before).to(chunk)[:, :, None]
    rows = torch.lerp(_rows(chunk, before), _rows(chunk, behind), share.clamp(max=1.0))
    return RecalledChunk(rows * valid, valid, (gap / horizon).to(chunk)[:, None])


def _rows(chunk: Tensor, index: Tensor) -> Tensor:
    return chunk.gather(1, index[:, :, None].expand(-1, -1, chunk.shape[2]))
