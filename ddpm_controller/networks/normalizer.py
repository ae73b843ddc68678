"""Physical units to [-1, 1] and back."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

SMALLEST_RANGE = 1e-4
"""A dimension that moves less than this in the data is shifted to 0 and not scaled."""


class MinMaxNormalizer(nn.Module):
    """Maps each dimension's range in the data onto [-1, 1].

    Not z-score: the sampler clips x_0 to [-1, 1], and what lies outside could never be commanded
    (Chi et al. 2023, App. A.3). A constant dimension is shifted only, for dividing by its range
    would blow up its noise; and it comes back as that constant, for what denoising leaves of the
    noise, a hundredth of a radian, must not move a joint that never moved.
    """

    centre: Tensor
    half_range: Tensor
    moved: Tensor

    def __init__(self, minimum: Sequence[float], maximum: Sequence[float]) -> None:
        super().__init__()
        low = torch.tensor(minimum, dtype=torch.float64)
        high = torch.tensor(maximum, dtype=torch.float64)
        if low.ndim != 1 or low.shape != high.shape:
            raise ValueError(f"min {tuple(low.shape)} and max {tuple(high.shape)} must be (D,)")
        if not bool(torch.isfinite(low).all() & torch.isfinite(high).all() & (low <= high).all()):
            raise ValueError(f"need finite min <= max, got min {minimum} and max {maximum}")
        width = high - low
        # float64, as buffers that are not weights: the manifest of the checkpoint has them.
        self.register_buffer("centre", (low + high) / 2, persistent=False)
        moved = width >= SMALLEST_RANGE
        self.register_buffer("moved", moved, persistent=False)
        half = torch.where(moved, width / 2, 1.0)
        self.register_buffer("half_range", half, persistent=False)

    def forward(self, values: Tensor) -> Tensor:
        """(..., D) in physical units -> (..., D) float32."""
        return ((values - self.centre) / self.half_range).float()

    def unnormalize(self, values: Tensor) -> Tensor:
        """(..., D) -> (..., D) in physical units, float64."""
        return values.double() * self.half_range * self.moved + self.centre


def normalize_images(images: Tensor) -> Tensor:
    """(N, H, W, 3) uint8 -> (N, 3, H, W) float32 in [-1, 1], channels_last in memory."""
    return images.permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)
