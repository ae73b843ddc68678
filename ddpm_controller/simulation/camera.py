"""A pinhole camera of a simulated scene: where it is, and what a picture of it means."""

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class CameraSpec:
    """A pinhole camera fixed to a body.

    Attributes:
        name: Name in the model and of the observation stream.
        body: ``world`` or a link.
        position: In the body's frame, m.
        target: The point looked at, in the body's frame, m.
        up: Direction that is up in the picture, in the body's frame.
        vertical_view_rad: Full vertical angle of view.
        height: Pixels.
        width: Pixels.
    """

    name: str
    body: str
    position: tuple[float, float, float]
    target: tuple[float, float, float]
    up: tuple[float, float, float]
    vertical_view_rad: float
    height: int = 96
    width: int = 96

    def __post_init__(self) -> None:
        if not 0 < self.vertical_view_rad < math.pi:
            raise ValueError(
                f"camera {self.name!r}: vertical_view_rad must be between 0 and pi, "
                f"got {self.vertical_view_rad}"
            )

    @property
    def intrinsics(self) -> np.ndarray:
        """Camera matrix K, (3, 3), pixels."""
        focal = 0.5 * self.height / math.tan(0.5 * self.vertical_view_rad)
        return np.array(
            [[focal, 0.0, self.width / 2], [0.0, focal, self.height / 2], [0.0, 0.0, 1.0]]
        )

    @property
    def axes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Unit vectors right, down and forward in the picture, each (3,), in the body's frame."""
        forward = np.subtract(self.target, self.position)
        right = np.cross(forward, self.up)
        right, down, forward = (
            each / np.linalg.norm(each) for each in (right, np.cross(forward, right), forward)
        )
        return right, down, forward

    def mjcf(self) -> str:
        """Return the camera element for the MJCF of its body."""
        right, down, _ = self.axes
        axes = np.concatenate([right, -down])
        return (
            f'<camera name="{self.name}" pos="{_text(self.position)}" xyaxes="{_text(axes)}" '
            f'fovy="{math.degrees(self.vertical_view_rad)}"/>'
        )


def _text(numbers: object) -> str:
    return " ".join(f"{number:.9g}" for number in np.asarray(numbers, dtype=float))
