"""A camera straight above a flat board, whose picture is the board itself."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class PlaneCamera:
    """An orthographic camera: a pixel is always the same length of the board.

    A pinhole cannot be that, and messages know pinholes only. ``intrinsics`` are those of one at
    ``distance_m`` above the centre of the board; they place every point *of the board* exactly
    and nothing above it, which is all that there is.

    Attributes:
        name: Name of the observation stream.
        board_m: Width and height of the board, which fills the picture, m.
        height: Pixels.
        width: Pixels.
        distance_m: Distance of the pinhole that shows the same.
    """

    name: str
    board_m: float
    height: int = 96
    width: int = 96
    distance_m: float = 1.0

    def __post_init__(self) -> None:
        for name in ("board_m", "height", "width", "distance_m"):
            if not getattr(self, name) > 0:
                raise ValueError(
                    f"camera {self.name!r}: {name} must be above 0, got {getattr(self, name)}"
                )

    @property
    def intrinsics(self) -> np.ndarray:
        """Camera matrix K, (3, 3), pixels, of the pinhole above the centre of the board."""
        scale = self.distance_m / self.board_m
        return np.array(
            [
                [scale * self.width, 0.0, self.width / 2],
                [0.0, scale * self.height, self.height / 2],
                [0.0, 0.0, 1.0],
            ]
        )
