"""A camera that repeats its picture although the robot has moved."""

import math

import numpy as np

MOTION = {"rad": 0.1, "m": 0.03}
"""Unit -> motion of a joint that a camera must show.

Less may be smaller than a pixel: see ``FrozenImage``.
"""
_STRIDE = 8
"""Of the rows and columns that are looked at first: pictures that differ do so there already."""


class FrozenImage:
    """Compares each picture of a camera with the one before, and how far the joints went.

    A picture of a robot at rest repeats itself rightly where a camera has no noise, as a
    simulated one, and a small motion is less than a pixel. So a picture is frozen when it still
    comes ``after_s`` after one of the joints had moved by more than its motion. Noise lets no
    real camera send the same picture twice.

    Args:
        after_s: Time.
        motion: (Da,) that a camera must show.

    Attributes:
        is_frozen: Whether the newest picture is.
    """

    def __init__(self, after_s: float, motion: np.ndarray) -> None:
        self._after_s, self._motion = after_s, motion
        self._image: np.ndarray | None = None
        self.forget_motion()

    def forget_motion(self) -> None:
        """Count the motion from now on, as after a jump of the clock."""
        self.is_frozen = False
        self._moved_s = math.inf
        self._lowest: np.ndarray = np.full_like(self._motion, math.inf)
        self._highest: np.ndarray = np.full_like(self._motion, -math.inf)

    def see(self, stamp_s: float, image: np.ndarray) -> None:
        """Take a picture, (H, W, 3)."""
        if self._image is None or not _same(image, self._image):
            self._image = image
            self.forget_motion()
        elif stamp_s - self._moved_s > self._after_s:
            self.is_frozen = True

    def move(self, stamp_s: float, position: np.ndarray) -> None:
        """Take a measured position, (Da,)."""
        self._lowest = np.minimum(position, self._lowest)
        self._highest = np.maximum(position, self._highest)
        if math.isinf(self._moved_s) and (self._highest - self._lowest > self._motion).any():
            self._moved_s = stamp_s


def _same(first: np.ndarray, second: np.ndarray) -> bool:
    few = (slice(None, None, _STRIDE),) * 2
    return np.array_equal(first[few], second[few]) and np.array_equal(first, second)
