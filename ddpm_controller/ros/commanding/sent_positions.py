"""What was sent lately, to distinguish it from commands of others on the same topics."""

import math
import time
from collections import deque
from collections.abc import Sequence

import numpy as np

from ddpm_controller.robots.outputs import RobotOutput, columns_of, numbers_of

_KEPT_S = 5.0
_MOST = 4096


class SentPositions:
    """Numbers that were sent to one output within the last seconds.

    One thread notes, another one asks.

    Attributes:
        gap_s: Monotonic time until which not all that was sent is known.
    """

    def __init__(self) -> None:
        self._sent: deque[tuple[float, bytes]] = deque(maxlen=_MOST)
        self.gap_s = -math.inf
        self._read_s: float | None = None

    def note_read(self) -> None:
        """Note that all that another process has reported until now is noted."""
        self._read_s = time.monotonic()

    @property
    def known_s(self) -> float:
        """Monotonic time up to which all that was sent is noted."""
        return time.monotonic() if self._read_s is None else self._read_s

    def note(self, numbers: np.ndarray) -> None:
        """Note the numbers (D,) of a command that is sent now or was a moment ago."""
        row = np.asarray(numbers, dtype=np.float64).tobytes()
        if self._sent and self._sent[-1][1] == row:  # a robot at rest
            self._sent[-1] = (time.monotonic(), row)
        else:
            self._sent.append((time.monotonic(), row))

    def has(self, message: bytes, now_s: float) -> bool:
        """Return whether a serialized command contains one of these rows of numbers."""
        for sent_s, row in reversed(self._sent.copy()):
            if now_s - sent_s > _KEPT_S:
                return False
            if row in message:
                return True
        return False


class SentCommands:
    """What was sent to each output of a robot.

    Args:
        outputs: Outputs of the robot.

    Attributes:
        of: Name of an output -> what was sent to it.
    """

    def __init__(self, outputs: Sequence[RobotOutput]) -> None:
        self._outputs, self._columns = tuple(outputs), columns_of(outputs)
        self.of = {output.name: SentPositions() for output in outputs}

    def note(self, position: np.ndarray) -> None:
        """Note all columns (Da,) of a command that is sent now or was a moment ago."""
        for output in self._outputs:
            part, sent = position[self._columns[output.name]], self.of[output.name]
            binary = output.gripper.binary if output.gripper is not None else None
            if binary is None:
                sent.note(numbers_of(output, part))
            else:  # whichever of the two it was
                sent.note(np.array([binary.open]))
                sent.note(np.array([binary.closed]))

    def note_read(self) -> None:
        """Note that all that another process has reported until now is noted."""
        for sent in self.of.values():
            sent.note_read()

    def note_gap(self) -> None:
        """Note that not all that was sent until now is known."""
        for sent in self.of.values():
            sent.gap_s = time.monotonic()
