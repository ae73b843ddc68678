"""Where joints were measured in a recording."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class MeasuredTrack:
    """Positions in the order of their stamps.

    Attributes:
        stamps_ns: (N,).
        rows: (N, D), all numbers known.
    """

    stamps_ns: np.ndarray
    rows: np.ndarray

    @classmethod
    def of(cls, stamps_ns: Sequence[int], rows: Sequence[np.ndarray]) -> "MeasuredTrack":
        """Return the track of rows (D,) in any order; NaN is as in the row before.

        It begins when all are known.
        """
        order = np.argsort(np.array(stamps_ns), kind="stable")
        found = np.stack(rows)[order]  # (N, D)
        known = np.where(np.isnan(found), -1, np.arange(len(found))[:, None])
        newest = np.maximum.accumulate(known, axis=0)
        filled = np.take_along_axis(found, np.maximum(newest, 0), axis=0)
        complete = (newest >= 0).all(axis=1)
        return cls(np.array(stamps_ns)[order][complete], filled[complete])

    def at(self, moment_ns: int) -> np.ndarray | None:
        """Return the newest row at a moment, (D,); None before the first."""
        i = int(np.searchsorted(self.stamps_ns, moment_ns, side="right")) - 1
        return self.rows[i] if i >= 0 else None
