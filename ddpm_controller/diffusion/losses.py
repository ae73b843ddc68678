"""What training minimises."""

import torch
from torch import Tensor


def simple_loss(answer: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """L_simple, Ho et al. 2020, Eq. 14: mean squared error over the rows that exist. Scalar.

    Args:
        answer: (B, Tp, Da), what the denoiser said.
        target: (B, Tp, Da), what it should have said.
        mask: (B, Tp) bool, False where a row is padding; None when none is.

    Raises:
        ValueError: If the shapes differ, which broadcasting would hide.
    """
    if answer.shape != target.shape:
        raise ValueError(
            f"answer {tuple(answer.shape)} and target {tuple(target.shape)} must have one shape"
        )
    squared = (answer - target).square()
    if mask is None:
        return squared.mean()
    if mask.shape != answer.shape[:2]:
        raise ValueError(f"mask {tuple(mask.shape)} must be {tuple(answer.shape[:2])}")
    weight = mask.to(squared)[:, :, None]
    # A batch that is padding only has nothing to learn from: 0, not 0 / 0.
    return (squared * weight).sum() / torch.clamp(weight.sum() * answer.shape[2], min=1.0)
