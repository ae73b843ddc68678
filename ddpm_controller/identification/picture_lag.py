"""How much later a camera shows a motion than the joints report it, by their stamps.

A driver that stamps a picture when it arrives hides exposure, readout and transport; a motion that
both see shows them.
"""

from dataclasses import dataclass

import numpy as np

from ddpm_controller.identification.dead_time import smallest

_PARTS = 3
"""Principal components of the pictures that may give the position: it need not be linear."""
_EARLIEST_S, _GRID_S = -0.1, 0.01
_EXPLAINED = 0.7
"""Below this share the camera does not see the joint, or sees other things move."""
_FEWEST = 20


@dataclass(frozen=True)
class PictureLag:
    """The lag with which pictures explain a joint's position best.

    Attributes:
        delay_s: Pictures behind joint states, by the stamps of both; below 0: before them.
        explained: Share of the variance of the position that the pictures explain then, R^2.
    """

    delay_s: float
    explained: float


def thumbnail(picture: np.ndarray, most: int = 16) -> np.ndarray:
    """(H, W, 3) -> mean brightness of at most ``most`` x ``most`` parts, in one row."""
    height, width = (max(size // most, 1) for size in picture.shape[:2])
    rows, columns = picture.shape[0] // height, picture.shape[1] // width
    inside = picture[: rows * height, : columns * width].astype(np.float64)
    parts: np.ndarray = inside.reshape(rows, height, columns, width, -1).mean(axis=(1, 3, 4))
    return parts.ravel()


def picture_lag(
    stamps_s: np.ndarray,
    thumbnails: np.ndarray,
    moved_s: np.ndarray,
    moved: np.ndarray,
    longest_s: float,
) -> PictureLag | None:
    """Return the lag of pictures behind one joint's motion; None when they do not show it.

    The position is fitted by the first principal components of the pictures, for every lag; the
    best one counts. A sine repeats itself with the sign turned, so the lags that are looked for
    must span less than half a period.

    Args:
        stamps_s: (N,) of the pictures.
        thumbnails: (N, P).
        moved_s: (M,) acquisition times of the joint, any order.
        moved: (M,) positions.
        longest_s: Longest lag that is looked for.
    """
    order = np.argsort(moved_s)
    moved_s, moved = moved_s[order], moved[order]
    inside = (stamps_s - longest_s >= moved_s[0]) & (stamps_s - _EARLIEST_S <= moved_s[-1])
    stamps_s, seen = stamps_s[inside], thumbnails[inside]
    if len(stamps_s) < _FEWEST:
        return None
    seen = seen - seen.mean(axis=0)
    basis, sizes, _ = np.linalg.svd(seen, full_matrices=False)
    basis = basis[:, :_PARTS][:, sizes[:_PARTS] > 1e-9]  # orthonormal, each of mean 0

    def unexplained(delay_s: float) -> float:
        position = np.interp(stamps_s - delay_s, moved_s, moved)
        position = position - position.mean()
        total = float(np.square(position).sum())
        return 1.0 - float(np.square(basis.T @ position).sum()) / total if total > 0 else 1.0

    grid_s = np.arange(_EARLIEST_S, longest_s + _GRID_S / 2, _GRID_S)
    best = int(np.argmin([unexplained(delay_s) for delay_s in grid_s]))
    low_s, high_s = grid_s[max(best - 1, 0)], grid_s[min(best + 1, len(grid_s) - 1)]
    delay_s = smallest(unexplained, float(low_s), float(high_s))
    explained = 1.0 - unexplained(delay_s)
    at_end = best in (0, len(grid_s) - 1)
    return None if explained < _EXPLAINED or at_end else PictureLag(delay_s, explained)
