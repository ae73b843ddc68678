"""Camera images turned into a few keypoints."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ddpm_controller.networks.normalizer import normalize_images


class SpatialSoftmax(nn.Module):
    """Expected image coordinates of each feature map, Finn et al. 2016, Sec. V-A.

    Coordinates run from -1 to 1; x to the right, y downwards. No temperature: the
    convolution before it learns its own scale.
    """

    grid: Tensor

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        y, x = torch.meshgrid(
            torch.linspace(-1.0, 1.0, height), torch.linspace(-1.0, 1.0, width), indexing="ij"
        )
        self.register_buffer("grid", torch.stack([x, y], -1).reshape(-1, 2), persistent=False)

    def forward(self, maps: Tensor) -> Tensor:
        """(B, K, H, W) -> (B, K, 2)."""
        # Never in half precision: 8 bits of a coordinate are a coarse place.
        with torch.autocast(maps.device.type, enabled=False):
            return torch.softmax(maps.flatten(2).float(), dim=-1) @ self.grid


class ImageEncoder(nn.Module):
    """Small convolutional network with group normalization and a spatial softmax.

    Group instead of batch normalization, because the weights are averaged over training (Chi et
    al. 2023, Sec. 3.2). The first two layers halve the resolution.
    """

    def __init__(
        self, shape: Sequence[int], channels: Sequence[int], num_keypoints: int, num_groups: int
    ) -> None:
        super().__init__()
        height, width, colours = shape
        check_encoder_sizes((height, width), channels, num_keypoints, num_groups)
        layers: list[nn.Module] = []
        for index, (inputs, outputs) in enumerate(
            zip((colours, *channels[:-1]), channels, strict=True)
        ):
            kernel, stride = (5, 2) if index == 0 else (3, 2 if index == 1 else 1)
            layers += [
                nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2),
                nn.GroupNorm(num_groups, outputs),
                nn.ReLU(inplace=True),
            ]
        layers.append(nn.Conv2d(channels[-1], num_keypoints, 1))
        for each in layers:
            if isinstance(each, nn.Conv2d):  # twice as fast on a CPU
                each.weight.data = each.weight.data.contiguous(memory_format=torch.channels_last)
        self.layers = nn.Sequential(*layers)
        for _ in range(min(2, len(channels))):
            height, width = -(-height // 2), -(-width // 2)
        self.keypoints = SpatialSoftmax(height, width)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) float in [-1, 1], best in channels_last -> (B, 2 * num_keypoints)."""
        features: Tensor = self.keypoints(self.layers(images)).flatten(1)
        return features


IMAGES_AT_ONCE = 256
"""That are encoded without a gradient; more would only need more memory."""


def image_features(encoder: nn.Module, seen: Tensor) -> Tensor:
    """Camera images (B, H, W, 3) uint8, or their features found before -> (B, 2 * num_keypoints).

    A training whose encoders do not learn finds the features of every image once.
    """
    found: Tensor = encoder(normalize_images(seen)) if seen.dtype == torch.uint8 else seen
    return found


def check_encoder_sizes(
    size: tuple[int, int], channels: Sequence[int], num_keypoints: int, num_groups: int
) -> None:
    """Refuse sizes that the encoder cannot have.

    Raises:
        ValueError: Naming the value and the rule.
    """
    if not channels or num_keypoints < 1:
        raise ValueError(
            f"image encoder needs channels and keypoints, got {tuple(channels)}, {num_keypoints}"
        )
    wrong = [width for width in channels if width < 1 or width % num_groups]
    if wrong:
        raise ValueError(f"image_channels {wrong} must be divisible by num_groups = {num_groups}")
    if min(size) < 8:
        raise ValueError(f"images of {size[0]}x{size[1]} are too small: at least 8x8")


def random_shift(images: Tensor, pixels: int, generator: torch.Generator) -> Tensor:
    """Shift every example by up to ``pixels`` each way, edges repeated. uint8 in, uint8 out.

    Yarats et al. 2021 (DrQ), Sec. 3.1. All images of one example shift together, so that motion
    between them stays what it was.

    Args:
        images: (B, To, H, W, 3).
        pixels: Largest shift; 0 returns the images as they are.
        generator: Source of the shifts, on the CPU.
    """
    if pixels == 0:
        return images
    batch, _, height, width, _ = images.shape
    rows = torch.arange(-pixels, height + pixels).clamp(0, height - 1).to(images.device)
    columns = torch.arange(-pixels, width + pixels).clamp(0, width - 1).to(images.device)
    padded = images.index_select(2, rows).index_select(3, columns)
    shifts = torch.randint(2 * pixels + 1, (batch, 2), generator=generator).tolist()
    # One slice per example: much faster here than indexing every pixel.
    return torch.stack(
        [
            each[:, top : top + height, left : left + width]
            for each, (top, left) in zip(padded, shifts, strict=True)
        ]
    )
