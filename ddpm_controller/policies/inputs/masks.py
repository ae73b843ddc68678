"""Streams that a policy can do without: left out of some training windows, and told so."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ddpm_controller.policy import Window
from ddpm_controller.types import StreamSpec

MASKED = "masked"
"""Key among the values of a batch: (B, M) bool, a column for each of ``maskable_streams``."""


def refuse_masks(maskable: Sequence[str], streams: Sequence[StreamSpec]) -> None:
    """Raise ValueError unless some stream is left when all that can be masked are."""
    names = [each.name for each in streams]
    if set(maskable) - set(names) or (maskable and set(maskable) == set(names)):
        raise ValueError(
            f"maskable_streams {list(maskable)} must be some of the streams {names}, and not all"
        )


def drawn_masks(
    maskable: Sequence[str], share: float, rows: int, generator: torch.Generator
) -> Tensor:
    """Return which streams each of ``rows`` training windows lacks, (B, M) bool."""
    return torch.rand((rows, len(maskable)), generator=generator) < share


def masks_of(windows: Sequence[Window], maskable: Sequence[str]) -> Tensor:
    """Return which streams the newest observation of each window lacks, (B, M) bool.

    Raises:
        ValueError: A stream is masked without which the policy cannot plan.
    """
    masked = [set(window[-1].masked) for window in windows]
    if needed := sorted(set().union(*masked) - set(maskable)):
        raise ValueError(
            f"streams {needed} are masked, but the policy can only plan without "
            f"{list(maskable)}: set when_stale to hold or stop in the robot file"
        )
    rows = [[name in each for name in maskable] for each in masked]
    return torch.tensor(rows, dtype=torch.bool).reshape(len(rows), len(maskable))
