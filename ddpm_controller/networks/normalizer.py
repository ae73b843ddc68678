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

    Args:
        minimum: Smallest value in the data of each dimension.
        maximum: Largest one.
        low: What becomes -1, where that is not the smallest; then every dimension is scaled, and
            one that is constant comes back as it was in the data.
        high: What becomes 1; above ``low``.
    """

    centre: Tensor
    half_range: Tensor
    moved: Tensor
    ends: Tensor

    def __init__(
        self,
        minimum: Sequence[float],
        maximum: Sequence[float],
        low: Sequence[float] | None = None,
        high: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        ends = _ends("min", minimum, "max", maximum)
        width = ends[1] - ends[0]
        moved = width >= SMALLEST_RANGE
        half, centre = torch.where(moved, width / 2, 1.0), ends.mean(0)
        if low is not None or high is not None:
            mapped = _ends("low", low or (), "high", high or ())
            half, centre = (mapped[1] - mapped[0]) / 2, mapped.mean(0)
            if half.shape != width.shape or not bool((half > 0).all()):
                raise ValueError(
                    f"need low < high for each of {len(width)}, got low {low} and high {high}"
                )
        # float64, as buffers that are not weights: the manifest of the checkpoint has them.
        self.register_buffer("ends", ends, persistent=False)
        self.register_buffer("centre", centre, persistent=False)
        self.register_buffer("moved", moved, persistent=False)
        self.register_buffer("half_range", half, persistent=False)

    def forward(self, values: Tensor) -> Tensor:
        """(..., D) in physical units -> (..., D) float32."""
        return ((values - self.centre) / self.half_range).float()

    def unnormalize(self, values: Tensor) -> Tensor:
        """(..., D) -> (..., D) in physical units, float64."""
        scaled = values.double() * self.half_range + self.centre
        return torch.where(self.moved, scaled, self.ends.mean(0))


def _ends(name_low: str, low: Sequence[float], name_high: str, high: Sequence[float]) -> Tensor:
    """Return both ends of ranges, (2, D) float64.

    Raises:
        ValueError: They are not finite, of other lengths or the wrong way round.
    """
    sizes = [torch.tensor(each, dtype=torch.float64) for each in (low, high)]
    if sizes[0].ndim != 1 or sizes[0].shape != sizes[1].shape:
        raise ValueError(
            f"{name_low} {tuple(sizes[0].shape)} and {name_high} {tuple(sizes[1].shape)} "
            "must be (D,)"
        )
    ends = torch.stack(sizes)
    if not bool(torch.isfinite(ends).all() & (ends[0] <= ends[1]).all()):
        raise ValueError(
            f"need finite {name_low} <= {name_high}, got {name_low} {low} and {name_high} {high}"
        )
    return ends


def normalize_images(images: Tensor) -> Tensor:
    """(N, H, W, 3) uint8 -> (N, 3, H, W) float32 in [-1, 1], channels_last in memory."""
    return images.permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)
