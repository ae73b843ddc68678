"""Field of view of what a policy sees, from the calibration that a camera publishes."""

import math
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from typing import Any

_TOLERANCE = 0.03
"""Share of the picture by which an edge may lie elsewhere.

Two calibrations of one camera differ by less, a zoom or another lens by more.
"""
_ASPECT_TOLERANCE = 0.02


class CameraError(ValueError):
    """A calibration that is not of the pictures."""


@dataclass(frozen=True)
class CameraView:
    """Where the edges of a picture are, as tangents of the angle from the optical axis.

    A calibration of any resolution gives the same numbers.

    Attributes:
        left: Left edge, usually below 0.
        top: Upper edge, usually below 0.
        right: Right edge.
        bottom: Lower edge.
    """

    left: float
    top: float
    right: float
    bottom: float

    def __str__(self) -> str:
        """Width and height in degrees, and where the optical axis is."""
        across, down = self.right - self.left, self.bottom - self.top
        wide, high = (
            math.degrees(math.atan(end) - math.atan(begin))
            for begin, end in ((self.left, self.right), (self.top, self.bottom))
        )
        x, y = -100 * self.left / across, -100 * self.top / down
        return f"{wide:.1f} x {high:.1f} degrees, optical axis at {x:.0f} % and {y:.0f} %"

    def differs_from(self, other: "CameraView") -> bool:
        """Return whether a policy would see something else."""
        across = _TOLERANCE * (other.right - other.left)
        down = _TOLERANCE * (other.bottom - other.top)
        offsets = [abs(a - b) for a, b in zip(astuple(self), astuple(other), strict=True)]
        return any(each > most for each, most in zip(offsets, (across, down) * 2, strict=True))


def view_from(
    info: Any, size: tuple[int, int], part: tuple[int, int, int, int]
) -> CameraView | None:
    """Return the view of the part of a picture that is seen; None without a calibration.

    Args:
        info: sensor_msgs/CameraInfo, whose K is of the full resolution of the camera.
        size: Rows and columns of the pictures.
        part: Top, left, rows and columns of the part.

    Raises:
        CameraError: The calibration is of pictures of another shape.
    """
    focal_x, _, centre_x, _, focal_y, centre_y = (float(each) for each in info.k[:6])
    width, height = info.width, info.height
    if info.roi.width and info.roi.height:
        centre_x, centre_y = centre_x - info.roi.x_offset, centre_y - info.roi.y_offset
        width, height = info.roi.width, info.roi.height
    is_known = math.isfinite(focal_x + focal_y + centre_x + centre_y)
    if not (is_known and focal_x > 0 and focal_y > 0 and width and height):
        return None
    rows, columns = size
    if abs(rows * width / (columns * height) - 1) > _ASPECT_TOLERANCE:
        raise CameraError(
            f"the calibration is of {height} x {width} pixels, the pictures have {rows} x "
            f"{columns}: the field of view cannot be compared"
        )
    top, left, seen_rows, seen_columns = part
    per_row, per_column = height / rows, width / columns
    return CameraView(
        (left * per_column - centre_x) / focal_x,
        (top * per_row - centre_y) / focal_y,
        ((left + seen_columns) * per_column - centre_x) / focal_x,
        ((top + seen_rows) * per_row - centre_y) / focal_y,
    )


def view_problem(name: str, trained: CameraView, now: CameraView) -> str:
    """Return why pictures are not those of the training, with both sides; or an empty text."""
    if not now.differs_from(trained):
        return ""
    return (
        f"{name}: the field of view is {now}, in training it was {trained}: use the lens, the "
        "zoom and the crop of the training, or train with these pictures"
    )


def as_fact(view: CameraView) -> list[float]:
    """Return what a checkpoint keeps of a view."""
    return [round(each, 5) for each in astuple(view)]


def views_in(sources: Mapping[str, Any]) -> dict[str, CameraView]:
    """Return stream -> view of the pictures that a checkpoint was trained with, where known."""
    return {
        name: CameraView(*source["view"])
        for name, source in sources.items()
        if source.get("view") is not None
    }
