"""The console line that each change of state or reason is worth."""

import math
from collections.abc import Callable

from ddpm_controller.control.states import Reason, State

_REPEAT_S = 1.0
"""A state that comes and goes faster has one line in this time."""
_USUAL = {Reason.NONE, Reason.DEACTIVATED}
_AT_FIRST = {Reason.NO_PLAN, Reason.NO_OBSERVATION}
"""These are usual where a run begins: the first messages and the first plan are on their way."""
_PATIENCE_S = 3.0
"""But not for longer than this."""


class ReasonLog:
    """Writes why the controller does what it does, once per change.

    Args:
        inform: Receiver of what is usual.
        warn: Receiver of what stops the robot.
    """

    def __init__(self, inform: Callable[[str], object], warn: Callable[[str], object]) -> None:
        self._inform, self._warn = inform, warn
        self._shown: tuple[State, Reason, bool] | None = None
        self._shown_s: dict[tuple[State, Reason, bool], float] = {}
        self._begin_s = math.nan

    def note(self, state: State, reason: Reason, text: str, now_s: float) -> None:
        """Write a line where state or reason is not that of the last one; call it at 1 Hz or more.

        Limits change the commands of a robot that runs from tick to tick: status and diagnostics
        count them, and no line is written.

        Args:
            state: State that is published.
            reason: Its reason, as a code.
            text: The same in words.
            now_s: Time by a clock that never stands still.
        """
        is_running = state == State.RUNNING
        if state == State.INACTIVE:
            self._begin_s = math.nan
        elif is_running:
            self._begin_s = -math.inf
        elif math.isnan(self._begin_s):
            self._begin_s = now_s
        is_early = reason in _AT_FIRST and now_s - self._begin_s < _PATIENCE_S
        now = state, Reason.NONE if is_running else reason, is_early
        is_new = now_s - self._shown_s.get(now, -_REPEAT_S) >= _REPEAT_S
        if now == self._shown or not is_new:
            return
        self._shown, self._shown_s[now] = now, now_s
        cause = "" if now[1] == Reason.NONE else f" ({now[1].name})"
        words = "" if is_running or not text else f": {text}"
        line = f"{now[0].name}{cause}{words}"
        if is_early or now[1] in _USUAL:  # rclpy refuses two severities from one line of code
            self._inform(line)
        else:
            self._warn(line)
