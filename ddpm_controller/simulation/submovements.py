"""A smooth reference as a sum of overlapping bell-shaped movements.

People reach in such pieces (Flash & Henis 1991): a correction is one more piece added to what
is under way, so the sum stays twice differentiable whatever happens.
"""

from dataclasses import dataclass

import numpy as np


def minimum_jerk(progress: float) -> float:
    """Rise from 0 to 1 with zero speed and acceleration at both ends (Flash & Hogan 1985)."""
    u = min(max(progress, 0.0), 1.0)
    return u**3 * (10.0 + u * (6.0 * u - 15.0))


def detour(progress: float) -> float:
    """Go from 0 to 1 and back to 0, twice differentiable at both ends."""
    u = min(max(progress, 0.0), 1.0)
    return 64.0 * (u * (1.0 - u)) ** 3


@dataclass(frozen=True, eq=False)
class _Piece:
    start_s: float
    duration_s: float
    size: np.ndarray  # (D,)
    returns: bool


class Submovements:
    """A reference (D,) over time, built up piece by piece."""

    def __init__(self, start: np.ndarray) -> None:
        self._settled = start.astype(np.float64)  # start and finished pieces
        self._pieces: list[_Piece] = []

    @property
    def end(self) -> np.ndarray:
        """Where the reference will come to rest, (D,)."""
        return self._settled + sum(piece.size for piece in self._pieces if not piece.returns)

    @property
    def end_s(self) -> float:
        """When the last piece ends; minus infinity when at rest."""
        return max((p.start_s + p.duration_s for p in self._pieces), default=-np.inf)

    def go(self, target: np.ndarray, start_s: float, duration_s: float) -> None:
        """Add the piece that makes ``target`` (D,) the end; NaN leaves an element as it is."""
        size = np.where(np.isnan(target), 0.0, target - self.end)
        self._pieces.append(_Piece(start_s, duration_s, size, returns=False))

    def bow(self, size: np.ndarray, start_s: float, duration_s: float) -> None:
        """Add a detour of ``size`` (D,) that ends where it began."""
        self._pieces.append(_Piece(start_s, duration_s, size, returns=True))

    def at(self, now_s: float) -> np.ndarray:
        """Return the reference (D,); time must not go back past a finished piece."""
        done = [p for p in self._pieces if now_s >= p.start_s + p.duration_s]
        self._settled = self._settled + sum(piece.size for piece in done if not piece.returns)
        self._pieces = [p for p in self._pieces if now_s < p.start_s + p.duration_s]
        value = self._settled.copy()
        for piece in self._pieces:
            shape = detour if piece.returns else minimum_jerk
            value += piece.size * shape((now_s - piece.start_s) / piece.duration_s)
        return value
