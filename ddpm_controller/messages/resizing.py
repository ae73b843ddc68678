"""Pictures made smaller or larger by exact means over areas."""

import math

import cv2
import numpy as np


def resized(values: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return values (H, W, C), uint8 or float32, at another size by averaging over areas.

    A pixel counts for the share of its area that is in the new one. OpenCV does that where the
    size shrinks; before one that grows, each pixel is repeated until the rest is shrinking.
    """
    rows = math.ceil(height / values.shape[0])
    columns = math.ceil(width / values.shape[1])
    if rows > 1 or columns > 1:
        values = values.repeat(rows, axis=0).repeat(columns, axis=1)
    return np.asarray(cv2.resize(values, (width, height), interpolation=cv2.INTER_AREA))
