"""ResNet-18 (He et al. 2016) with group normalization and a spatial softmax, Chi et al. 2023.

As the code that they released and LeRobot have it, with the names of its weights.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ddpm_controller.networks.image_encoder import SpatialSoftmax

_WIDTHS = (64, 128, 256, 512)
_A_GROUP = 16
"""Channels of a group of a normalization."""
_HALVED = 32
"""Rows and columns that are one place in the end; with one place alone nothing is seen."""


class ResNetEncoder(nn.Module):
    """Encoder of camera images.

    Args:
        shape: (H, W, 3) of an image.
        num_keypoints: Image points that are found.
        crop: Height and width of the middle that is seen; None: all.

    Attributes:
        scale: (3, 1, 1), by which the colours are multiplied first, and
        offset: what is added then; both are kept with the weights and do not learn.

    Raises:
        ValueError: If the crop or the image is too small or too large.
    """

    scale: Tensor
    offset: Tensor

    def __init__(
        self, shape: Sequence[int], num_keypoints: int, crop: tuple[int, int] | None = None
    ) -> None:
        super().__init__()
        height, width = crop or shape[:2]
        fits = 1 <= height <= shape[0] and 1 <= width <= shape[1]
        if not fits or max(height, width) <= _HALVED or num_keypoints < 1:
            raise ValueError(
                f"resnet18 needs an image or a crop of it more than {_HALVED} high or wide, for "
                f"{_HALVED} pixels become one place, and a keypoint at least: got "
                f"{height}x{width} of {shape[0]}x{shape[1]} and {num_keypoints} keypoints"
            )
        self.register_buffer("scale", torch.ones(3, 1, 1))
        self.register_buffer("offset", torch.zeros(3, 1, 1))
        # As CenterCrop of torchvision, whose rounding is Python's.
        self._top, self._left = round((shape[0] - height) / 2), round((shape[1] - width) / 2)
        self._size = height, width
        levels = [
            nn.Sequential(_Block(before, width, stride), _Block(width, width))
            for before, width, stride in zip((64, *_WIDTHS), _WIDTHS, (1, 2, 2, 2), strict=False)
        ]
        first = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.backbone = nn.Sequential(first, _norm(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1), *levels)
        self.nets = nn.Conv2d(_WIDTHS[-1], num_keypoints, 1)
        for _ in range(5):
            height, width = -(-height // 2), -(-width // 2)
        self.keypoints = SpatialSoftmax(height, width)
        self.out = nn.Linear(2 * num_keypoints, 2 * num_keypoints)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) float in [-1, 1] -> (B, 2 * num_keypoints)."""
        height, width = self._size
        rows, columns = slice(self._top, self._top + height), slice(self._left, self._left + width)
        maps = self.backbone(images[:, :, rows, columns] * self.scale + self.offset)
        features: Tensor = self.out(self.keypoints(self.nets(maps)).flatten(1)).relu()
        return features


class _Block(nn.Module):
    """Two convolutions and what goes around them."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = _norm(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = _norm(outputs)
        self.downsample: nn.Module = nn.Identity()
        if stride > 1:
            around = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(around, _norm(outputs))

    def forward(self, maps: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H / stride, W / stride)."""
        found = self.bn2(self.conv2(self.bn1(self.conv1(maps)).relu()))
        out: Tensor = (found + self.downsample(maps)).relu()
        return out


def _norm(width: int) -> nn.GroupNorm:
    return nn.GroupNorm(width // _A_GROUP, width)
