"""Statistics of the features of a data set: those of all frames, no means of parts of them."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

QUANTILES = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}
_LEVELS = 256


def vector_statistics(rows: np.ndarray) -> dict[str, Any]:
    """Return the statistics of rows (N, D), each (D,) as a list, and their number."""
    rows = np.asarray(rows, dtype=np.float64)
    found: dict[str, Any] = {
        "min": rows.min(axis=0).tolist(),
        "max": rows.max(axis=0).tolist(),
        "mean": rows.mean(axis=0).tolist(),
        "std": rows.std(axis=0).tolist(),
        "count": [len(rows)],
    }
    quantiles = np.quantile(rows, list(QUANTILES.values()), axis=0)
    return found | {name: row.tolist() for name, row in zip(QUANTILES, quantiles, strict=True)}


@dataclass
class ImageStatistics:
    """Counts how often each level of each channel comes: every pixel of every picture.

    Attributes:
        num_images: Number of pictures.
    """

    num_images: int = 0
    _counts: np.ndarray = field(default_factory=lambda: np.zeros((3, _LEVELS), dtype=np.int64))

    def take(self, image: np.ndarray) -> None:
        """Count one picture, (H, W, 3) uint8."""
        self.num_images += 1
        for channel in range(3):
            levels = image[..., channel].ravel()
            self._counts[channel] += np.bincount(levels, minlength=_LEVELS)

    def add(self, other: "ImageStatistics") -> None:
        """Count all pictures of another one too."""
        self.num_images += other.num_images
        self._counts += other._counts

    def found(self) -> dict[str, Any]:
        """Return the statistics of levels from 0 to 1, each (3, 1, 1), and their number."""
        levels = np.arange(_LEVELS) / (_LEVELS - 1)
        totals = self._counts.sum(axis=1)
        mean = self._counts @ levels / totals
        variance = (self._counts * (levels - mean[:, None]) ** 2).sum(axis=1) / totals
        numbers = {
            "min": self._quantile(0.0),
            "max": self._quantile(1.0),
            "mean": mean,
            "std": np.sqrt(variance),
            **{name: self._quantile(share) for name, share in QUANTILES.items()},
        }
        shaped: dict[str, Any] = {k: v.reshape(3, 1, 1).tolist() for k, v in numbers.items()}
        return shaped | {"count": [self.num_images]}

    def _quantile(self, share: float) -> np.ndarray:
        """Return the quantile of each channel, (3,), linear between two pixels."""
        ends = np.cumsum(self._counts, axis=1)
        place = share * (ends[:, -1] - 1)
        below = np.floor(place).astype(np.int64)
        low, high = (
            np.array([np.searchsorted(e, i, side="right") for e, i in zip(ends, at, strict=True)])
            for at in (below, np.minimum(below + 1, ends[:, -1] - 1))
        )
        found: np.ndarray = (low + (place - below) * (high - low)) / (_LEVELS - 1)
        return found
