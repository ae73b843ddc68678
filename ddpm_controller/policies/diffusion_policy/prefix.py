"""Rows of a chunk that a denoiser is given clean: training-time RTC, arXiv:2512.05964.

Black et al. 2025 draw in training how many rows at the beginning of a chunk are settled, put
their clean values in the place of the noisy ones and mask their loss. At run time the rows that a
robot executes while it plans go in likewise, in one plain pass of every step.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Given:
    """Clean rows of a batch of chunks.

    Attributes:
        rows: (B, Tp, Da), normalized.
        which: (B, Tp) bool, True where a row is given; what ``rows`` has elsewhere counts nothing.
    """

    rows: Tensor
    which: Tensor

    def put_into(self, chunk: Tensor) -> Tensor:
        """Return a chunk (B, Tp, Da) with these rows in it, exactly."""
        return torch.where(self.which[:, :, None], self.rows.to(chunk), chunk)


def drawn_prefix(shape: tuple[int, int], most: int, generator: torch.Generator) -> Tensor:
    """Return which rows of chunks are given in training, (B, Tp) bool.

    The first n of each, n even over 0 to ``most``: 0 is a plan that continues from nothing.
    """
    count = torch.randint(most + 1, (shape[0], 1), generator=generator)
    return torch.arange(shape[1]) < count


def network_input(xt: Tensor, given: Given | None) -> Tensor:
    """Return what a U-Net that takes given rows sees of x_t (B, Tp, Da), (B, Tp, Da + 1).

    The last column is 1 where a row is given and 0 elsewhere; None gives none.
    """
    if given is None:
        return torch.nn.functional.pad(xt, (0, 1))
    return torch.cat([given.put_into(xt), given.which[:, :, None].to(xt)], dim=2)
