"""Distances as pictures, for networks that take RGB of 8 bits."""

from collections.abc import Sequence

import cv2
import numpy as np

from ddpm_controller.messages.resizing import resized

LEAST_MEASURED = 0.5
"""Share of a pixel's area that must be measured; else the pixel counts as not measured."""


def depth_picture(
    numbers: np.ndarray, unit_m: float, range_m: tuple[float, float], size: Sequence[int]
) -> np.ndarray:
    """Return distances as grey, (H, W, 3) uint8.

    0 is no measurement, 1 the nearest distance of the range or less, 255 the farthest or more,
    linear between them. A pixel of another size is the mean of what was measured in its area, or
    0 where that is less than half of it.

    Args:
        numbers: (H, W) uint16 or float32 distances; NaN or not above 0: none was measured. By
            REP 117, minus infinity is too near and infinity too far to be measured.
        unit_m: What a number of 1 is in m.
        range_m: Nearest and farthest.
        size: (H, W) of the result.
    """
    near, far = (each / unit_m for each in range_m)
    measured: np.ndarray = numbers > 0  # not of NaN
    is_float = numbers.dtype == np.float32
    if is_float:
        measured |= numbers == -np.inf
    if tuple(size) != numbers.shape:
        numbers, measured = _averaged(np.clip(numbers, near, far), measured, size)
    scale = 254 / (far - near)
    levels: np.ndarray = cv2.addWeighted(
        numbers, scale, numbers, 0, 1 - near * scale, dtype=cv2.CV_8U
    )
    levels += (levels == 0).view(np.uint8)
    if is_float:  # a large float may have become 0
        levels |= _mask(numbers >= far)
    return np.asarray(cv2.cvtColor(levels & _mask(measured), cv2.COLOR_GRAY2RGB))


def _mask(chosen: np.ndarray) -> np.ndarray:
    """Return 255 where it is chosen, else 0."""
    return np.negative(chosen.view(np.uint8))


def _averaged(
    inside: np.ndarray, measured: np.ndarray, size: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of what was measured in each area, float32, and where that is enough."""
    share = measured.astype(np.float32)
    both = np.stack([np.where(measured, inside, 0).astype(np.float32), share], axis=2)
    mean = resized(both, size[0], size[1])
    enough = mean[..., 1] >= LEAST_MEASURED
    return mean[..., 0] / np.where(enough, mean[..., 1], np.float32(1)), enough
