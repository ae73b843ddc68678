"""Follow chunk after chunk without a jump in position, velocity or acceleration."""

from typing import Protocol

import numpy as np

from ddpm_controller.control.moving.interpolation import (
    ChunkCurve,
    FadingOffset,
    Motion,
    Stop,
    fade_peaks,
)
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.types import ActionChunk

_FADE_SHARE = 0.5
"""Of each limit that a fade may use; the rest is for the chunk itself."""
LONGEST_FADE = 2.0
"""Times ``fade_s``: a chunk must be joined before the next comes; the governor does the rest."""


class Curve(Protocol):
    """Where to be at each moment: a chunk, or a stop."""

    def at(self, now_s: float) -> Motion:
        """Return the motion at ``now_s``."""
        ...


class ChunkFollower:
    """The curve that is commanded now: a chunk or a stop, plus an offset that fades.

    A chunk counts in absolute time, so rows that are past when it comes are skipped. The
    difference to what was commanded, up to its acceleration, is added and faded out.

    Args:
        position: (Da,) where to begin, at rest.
        now_s: The moment.
        limits: Let a fade take up to twice ``fade_s`` where half of them would not do.
        fade_s: How long the difference takes to fade.
        stop_s: How long a stop behind the last row takes.
    """

    def __init__(
        self,
        position: np.ndarray,
        now_s: float,
        limits: JointLimits | None = None,
        *,
        fade_s: float = 0.2,
        stop_s: float = 0.2,
    ) -> None:
        if not fade_s > 0 or not stop_s > 0:
            raise ValueError(f"fade_s and stop_s must be above 0, got {fade_s} and {stop_s}")
        self._limits = limits
        self._fade_s = fade_s
        self._stop_s = stop_s
        self._curve: Curve = Stop(now_s, Motion.rest(position), stop_s)
        self._offset: FadingOffset | None = None
        self.chunk: ActionChunk | None = None

    def command(self, now_s: float) -> Motion:
        """Return where to be at ``now_s``, how fast, and how that changes."""
        motion = self._curve.at(now_s)
        if self._offset is None:
            return motion
        offset = self._offset.at(now_s)
        return Motion(
            motion.position + offset.position,
            motion.velocity + offset.velocity,
            motion.acceleration + offset.acceleration,
        )

    def accept(self, chunk: ActionChunk, begin: Motion, begin_s: float) -> None:
        """Follow ``chunk``, joined to the motion ``begin`` that was sent for ``begin_s``."""
        velocities = self._limits.velocities if self._limits is not None else None
        chosen = velocities.chosen if velocities is not None else None
        self._curve = ChunkCurve(chunk, self._stop_s, chosen)
        self.chunk = chunk
        curve = self._curve.at(begin_s)
        difference = Motion(
            begin.position - curve.position,
            begin.velocity - curve.velocity,
            begin.acceleration - curve.acceleration,
        )
        self._offset = FadingOffset(begin_s, difference, self._fading_s(difference))

    def stop(self, curve: Curve) -> None:
        """Leave the chunk and come to rest along ``curve``."""
        self._curve = curve
        self._offset = None
        self.chunk = None

    def _fading_s(self, difference: Motion) -> float:
        """Return how long ``difference`` fades, within half of the limits where that can be."""
        duration_s, longest_s = self._fade_s, LONGEST_FADE * self._fade_s
        while self._limits is not None and duration_s < longest_s:
            velocity, acceleration, jerk = fade_peaks(difference, duration_s)
            if (
                (velocity <= _FADE_SHARE * self._limits.velocity).all()
                and (acceleration <= _FADE_SHARE * self._limits.acceleration).all()
                and (jerk <= _FADE_SHARE * self._limits.jerk).all()
            ):
                break
            duration_s = min(1.25 * duration_s, longest_s)
        return duration_s
