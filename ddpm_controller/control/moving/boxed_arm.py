"""A box in space, and the arm that is to stay in it."""

from dataclasses import dataclass

import numpy as np

_ROUNDING_M = 1e-9


@dataclass(frozen=True)
class CartesianBox:
    """A box along the axes of the base frame.

    Attributes:
        lower: Lowest x, y, z, m; -inf where there is no wall.
        upper: Highest x, y, z, m; inf where there is no wall.
    """

    lower: tuple[float, float, float]
    upper: tuple[float, float, float]

    def __post_init__(self) -> None:
        for name, low, high in zip("xyz", self.lower, self.upper, strict=True):
            if not low < high:
                raise ValueError(
                    f"box: lower {name} {low} must be below upper {name} {high}: exchange or "
                    "correct them"
                )

    def problem(self, points: np.ndarray) -> str:
        """Return where points (N, 3) are farthest outside, in words; empty when none is."""
        over = np.maximum(points - self.upper, self.lower - points)  # (N, 3)
        over = np.where(np.isnan(over), np.inf, over)
        row, axis = np.unravel_index(int(over.argmax()), over.shape)
        if over[row, axis] <= _ROUNDING_M:
            return ""
        value, low, high = points[row, axis], self.lower[axis], self.upper[axis]
        return f"{'xyz'[axis]} {value:.4f} m outside [{low:.4f}, {high:.4f}]"


@dataclass(frozen=True)
class BoxedArm:
    """A box and the arm that is to stay in it.

    Attributes:
        box: In the frame of the root link.
        urdf: Text of robot_description.
        joint_names: Columns of the joint positions.
        link: The end effector; empty: the last link.
    """

    box: CartesianBox
    urdf: str
    joint_names: tuple[str, ...]
    link: str = ""
