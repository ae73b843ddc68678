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
        self._last = np.full(len(stream.names), np.nan)  # with the turns; NaN before the first
        self._last_s = np.zeros(len(stream.names))  # of the newest message, taken or not
        self._jumped = np.zeros(len(stream.names), dtype=bool)

    def counted(
        self, reported: np.ndarray, stamp_s: float, present: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the position (D,) with the turns since ``begin``.

        Args:
            reported: (D,) position.
            stamp_s: Acquisition time.
            present: (D,) which joints it has; None: all. The others stay as they are counted.

        Raises:
            TurnError: A joint of ``wraps`` is beyond a turn, or another one has jumped by one.
        """
        present = np.ones(len(self._last), dtype=bool) if present is None else present
        self._refuse_beyond(reported, present)
        elapsed_s = np.maximum(stamp_s - self._last_s, 0.0)
        self._last_s[present] = stamp_s
        # A joint without a last position is NaN here, and no comparison with that is true.
        self._refuse_jump(reported - self._last, elapsed_s, present)
        if self._wraps.any():
            known = self._wraps & present & np.isfinite(self._last)
            turns = turns_towards(reported, self._last)
            self._turns = np.where(known, turns, self._turns)
            reported = reported + TURN * self._turns
        self._last = np.where(present, reported, self._last)
        return reported

    def begin(self, kept: np.ndarray) -> np.ndarray:
        """Count from the newest position on, as it was reported; return what is to be taken off.

        Args:
            kept: (D,) joints of which positions from before are kept: the next one is compared
                with them, and they are less by the returned (D,) from now on.
        """
        before = TURN * self._turns
        self._turns = np.zeros_like(self._turns)
        self._jumped = np.zeros_like(self._jumped)
        self._last = np.where(kept, self._last - before, np.nan)
        return before

    def _refuse_beyond(self, reported: np.ndarray, present: np.ndarray) -> None:
        beyond = self._wraps & present & (np.abs(reported) > _MOST)
        if beyond.any():
            i = int(beyond.argmax())
            raise TurnError(
                f"{self._stream.name}: {self._stream.names[i]} is in wraps, and reported at "
                f"{reported[i]:.3f} rad, more than a turn: remove it from wraps in the robot file"
            )

    def _refuse_jump(self, step: np.ndarray, elapsed_s: np.ndarray, present: np.ndarray) -> None:
        size = np.abs(step)
        far = present & (size > TURN / 2)
        self._jumped &= far | ~present  # until a joint is back: else its jump would be taken
        if not far.any():
            return
        is_turn = (np.abs(size - TURN) < _NEAR_A_TURN) & (size > _TOO_FAST * elapsed_s)
        self._jumped |= far & self._others & is_turn
        jumped = self._jumped & present
        if jumped.any():
            i = int(jumped.argmax())
            raise TurnError(
                f"{self._stream.name}: {self._stream.names[i]} jumps by {step[i]:.3f} rad from "
                "one message to the next, a whole turn: name it in wraps of this stream in the "
                "robot file if it turns without end"
            )
