"""Joints that turn without end, reported within one turn: positions counted through the seam."""

import numpy as np

from ddpm_controller.types import StreamSpec

TURN = 2 * np.pi
_MOST = TURN + 0.1
"""No driver that reports within one turn reports more, rad; a little for its rounding."""
_NEAR_A_TURN = 1.0
"""A step is a whole turn where it differs by less, rad: what a joint moves between messages."""
_TOO_FAST = 10.0
"""A step of a turn that is slower may be a motion, of a stream that was silent, rad/s."""


class TurnError(ValueError):
    """What a driver reports does not fit ``wraps`` of the robot file."""


def turns_towards(reported: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Return the whole turns that take ``reported`` to within half a turn of ``near``."""
    turns: np.ndarray = np.round((near - reported) / TURN)
    return turns


def wrapping(stream: StreamSpec) -> np.ndarray:
    """Return which elements of a stream are reported within one turn, (D,) bool."""
    return np.array([name in stream.wraps for name in stream.names])


class TurnCounter:
    """Counts the turns of one stream's joints, from message to message.

    Args:
        stream: A vector stream.
    """

    def __init__(self, stream: StreamSpec) -> None:
        self._stream = stream
        self._wraps = wrapping(stream)
        self._others = ~self._wraps & np.array([unit == "rad" for unit in stream.units])
        self._turns = np.zeros(len(stream.names))
        self._last: np.ndarray | None = None  # with the turns
        self._last_s = 0.0  # of the newest message, taken or not
        self._jumped = np.zeros(len(stream.names), dtype=bool)

    def counted(self, reported: np.ndarray, stamp_s: float) -> np.ndarray:
        """Return the position (D,) with the turns since ``begin``.

        Raises:
            TurnError: A joint of ``wraps`` is beyond a turn, or another one has jumped by one.
        """
        self._refuse_beyond(reported)
        last, elapsed_s = self._last, stamp_s - self._last_s
        self._last_s = stamp_s
        if last is not None:
            self._refuse_jump(reported - last, elapsed_s)
        if not self._wraps.any():
            self._last = reported
            return reported
        if last is not None:
            self._turns = np.where(self._wraps, turns_towards(reported, last), 0.0)
        self._last = reported + TURN * self._turns
        return self._last

    def begin(self, *, keeps: bool) -> np.ndarray:
        """Count from the newest position on, as it was reported; return what is to be taken off.

        Args:
            keeps: Whether positions from before are kept: the next one is compared with them, and
                they are less by the returned (D,) from now on.
        """
        before = TURN * self._turns
        self._turns = np.zeros_like(self._turns)
        self._jumped = np.zeros_like(self._jumped)
        self._last = self._last - before if keeps and self._last is not None else None
        return before

    def _refuse_beyond(self, reported: np.ndarray) -> None:
        beyond = self._wraps & (np.abs(reported) > _MOST)
        if beyond.any():
            i = int(beyond.argmax())
            raise TurnError(
                f"{self._stream.name}: {self._stream.names[i]} is in wraps, and reported at "
                f"{reported[i]:.3f} rad, more than a turn: remove it from wraps in the robot file"
            )

    def _refuse_jump(self, step: np.ndarray, elapsed_s: float) -> None:
        size = np.abs(step)
        jumped = self._others & (np.abs(size - TURN) < _NEAR_A_TURN)
        jumped &= size > _TOO_FAST * max(elapsed_s, 0.0)
        # It stays so until the joint is back: else the jump would be taken a moment later.
        self._jumped = jumped = jumped | (self._jumped & (size > TURN / 2))
        if jumped.any():
            i = int(jumped.argmax())
            raise TurnError(
                f"{self._stream.name}: {self._stream.names[i]} jumps by {step[i]:.3f} rad from "
                "one message to the next, a whole turn: name it in wraps of this stream in the "
                "robot file if it turns without end"
            )
