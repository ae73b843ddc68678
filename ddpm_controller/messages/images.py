"""Image and CompressedImage to what a policy sees, the same for a live topic and for a bag.

The size is checked by the header before anything is decoded: a small message can be a large
picture. Then the pixels are decoded, cropped and resized.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ddpm_controller.messages.compressed_images import (
    compressed_color,
    compressed_distances,
    compressed_size,
)
from ddpm_controller.messages.depth_images import depth_picture
from ddpm_controller.messages.image_encodings import ImageError, color_pixels, distances
from ddpm_controller.messages.resizing import resized

Crop = tuple[int, int, int, int]
"""Top, left, height and width, pixels of the message."""


def image_from(
    message: Any,
    height: int,
    width: int,
    resize: Sequence[int] | None = None,
    crop: Crop | None = None,
    depth_range_m: tuple[float, float] | None = None,
) -> np.ndarray:
    """Return an Image or CompressedImage as RGB, (H, W, 3) uint8, in memory of its own.

    Args:
        message: Any encoding of ``image_encodings``, JPEG, PNG or compressedDepth.
        height: Rows that the message must have.
        width: Columns that the message must have.
        resize: (H, W) of the result; as the message or the crop when None.
        crop: Part that is kept; all of it when None.
        depth_range_m: Nearest and farthest distance of a picture of distances; None: it is one of
            colour or grey.

    Raises:
        ImageError: Another size, another encoding, cut data, or distances in place of colour.
    """
    refuse_size(message, height, width)
    is_raw = hasattr(message, "encoding")
    if depth_range_m is None:
        return seen(color_pixels(message) if is_raw else compressed_color(message), resize, crop)
    numbers, unit_m = distances(message) if is_raw else compressed_distances(message)
    part = cropped(numbers, crop)
    return depth_picture(part, unit_m, depth_range_m, part.shape if resize is None else resize)


def refuse_size(message: Any, height: int, width: int) -> None:
    """Refuse a message of another size; nothing is decoded.

    Raises:
        ImageError: It is, or has no header.
    """
    is_raw = hasattr(message, "encoding")
    came = (message.height, message.width) if is_raw else compressed_size(message)
    if came != (height, width):
        raise ImageError(
            f"image of {came[0]} x {came[1]} came (height x width), the robot file has "
            f"{height} x {width}: set the camera or the robot file"
        )


def seen(
    pixels: np.ndarray, resize: Sequence[int] | None = None, crop: Crop | None = None
) -> np.ndarray:
    """Return the part of RGB pixels that a policy sees, at its size."""
    part = cropped(pixels, crop)
    if resize is not None and tuple(resize) != part.shape[:2]:
        return resized(part, resize[0], resize[1])
    return np.ascontiguousarray(part)


def cropped(pixels: np.ndarray, crop: Crop | None) -> np.ndarray:
    """Return a part of pixels (H, W, ...) as a view."""
    if crop is None:
        return pixels
    top, left, height, width = crop
    return pixels[top : top + height, left : left + width]
