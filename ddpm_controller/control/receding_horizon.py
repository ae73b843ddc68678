"""Follow chunk after chunk without a jump in position or velocity."""

from typing import Protocol

import numpy as np

from ddpm_controller.control.interpolation import ChunkCurve, FadingOffset, Motion, Stop
from ddpm_controller.types import ActionChunk


class Curve(Protocol):
    """Where to be at each moment: a chunk, or a stop."""

    def at(self, now_s: float) -> Motion:
        """Return the motion at ``now_s``."""
        ...


class ChunkFollower:
    """The curve that is commanded now: a chunk or a stop, plus an offset that fades.

    A chunk counts in absolute time, so rows that are past when it comes are skipped. The
    difference to what was commanded, in position and in velocity, is added and faded out.

    Args:
        position: (Da,) where to begin, at rest.
        now_s: The moment.
        fade_s: How long the difference takes to fade.
        stop_s: How long a stop takes.
    """

    def __init__(
        self, position: np.ndarray, now_s: float, *, fade_s: float = 0.2, stop_s: float = 0.2
    ) -> None:
        if not fade_s > 0 or not stop_s > 0:
            raise ValueError(f"fade_s and stop_s must be above 0, got {fade_s} and {stop_s}")
        self._fade_s = fade_s
        self._stop_s = stop_s
        rest = Motion(position, np.zeros_like(position))
        self._curve: Curve = Stop(now_s, rest, stop_s)
        self._offset: FadingOffset | None = None
        self.chunk: ActionChunk | None = None

    def command(self, now_s: float) -> Motion:
        """Return where to be at ``now_s`` and how fast."""
        motion = self._curve.at(now_s)
        if self._offset is None:
            return motion
        offset = self._offset.at(now_s)
        return Motion(motion.position + offset.position, motion.velocity + offset.velocity)

    def accept(self, chunk: ActionChunk, now_s: float) -> None:
        """Follow ``chunk`` from ``now_s`` on, joined to what is commanded at ``now_s``."""
        motion = self.command(now_s)
        self._curve = ChunkCurve(chunk, self._stop_s)
        self.chunk = chunk
        self.rejoin(motion, now_s)

    def rejoin(self, motion: Motion, now_s: float, joints: np.ndarray | None = None) -> None:
        """Go on from ``motion``, which was really sent, back to the curve.

        Args:
            motion: At ``now_s``.
            now_s: The moment.
            joints: (Da,) bool, those for which it counts; all when None.
        """
        curve = self._curve.at(now_s)
        begin_s = np.full_like(motion.position, now_s)
        position, velocity = motion.position - curve.position, motion.velocity - curve.velocity
        old = self._offset
        if joints is not None and old is not None:
            begin_s = np.where(joints, begin_s, old.begin_s)
            position = np.where(joints, position, old.begin.position)
            velocity = np.where(joints, velocity, old.begin.velocity)
        self._offset = FadingOffset(begin_s, Motion(position, velocity), self._fade_s)

    def stop(self, begin: Motion, begin_s: float) -> None:
        """Leave the chunk and come to rest, beginning with the motion at ``begin_s``."""
        self._curve = Stop(begin_s, begin, self._stop_s)
        self._offset = None
        self.chunk = None
