"""The two clocks of the control thread: the wall, and /clock tick by tick."""

import math
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from functools import partial

from ddpm_controller.ros.controller.session import ControlSession

_PERIOD_S = 1.0
_CROSSING_S = 0.25
"""Repetitions received within this time may all have been sent before an answer arrived; less than
the time between two of them."""


class ClockWatchdog:
    """Finds words, once a second, for a time that stands still or has not begun."""

    def __init__(self) -> None:
        self._now_s = math.nan
        self._since_s = self._told_s = math.nan

    def text(self, now_s: float, wall_s: float) -> str:
        """Return a warning about the time ``now_s``, asked at ``wall_s``; mostly nothing."""
        if now_s != self._now_s:
            self._now_s, self._since_s, self._told_s = now_s, wall_s, wall_s
        if wall_s - self._told_s < _PERIOD_S:
            return ""
        self._told_s = wall_s
        still_s = wall_s - self._since_s
        if now_s <= 0:
            return f"no time has come on /clock for {still_s:.0f} s: nothing is sent"
        return f"the time stands still at {now_s:.3f} s for {still_s:.0f} s: nothing is sent"


LogError = Callable[[str], None]


class RealTimeThread:
    """Ticks at absolute deadlines on a monotonic clock.

    The deadlines do not drift: a late tick is followed by one at its own time, and ticks
    whose whole period has passed are counted as missed and left out.

    Args:
        session: Is stepped.
        period_s: Time between ticks.
        now: Returns the node's time, s; not above 0 while there is none.
        log_error: For what must not happen.
    """

    def __init__(
        self,
        session: ControlSession,
        period_s: float,
        now: Callable[[], float],
        log_error: LogError,
    ) -> None:
        self._session = session
        self._period_s = period_s
        self._now = now
        self._log_error = log_error
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="control", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread after the tick that runs."""
        self._closing = True
        self._thread.join()
        self._session.close()

    def on_clock(self, stamp_s: float) -> None:
        """Nothing: the time is asked for."""

    def _run(self) -> None:
        deadline_s = time.monotonic()
        last_s = 0.0
        watchdog = ClockWatchdog()
        while not self._closing:
            deadline_s += self._period_s
            if self._session.wait(deadline_s):
                deadline_s -= self._period_s  # one more tick, now
            missed = int((time.monotonic() - deadline_s) / self._period_s)
            if missed > 0:
                self._session.miss(missed)
                deadline_s += missed * self._period_s
            now_s = self._now()
            silence = watchdog.text(now_s, time.monotonic())
            if now_s <= 0 or now_s == last_s:  # simulated time has not begun, or stands still
                stand = partial(self._session.stand_still, text=silence)
                _guarded(stand, now_s, self._session, self._log_error)
                continue
            last_s = now_s
            _guarded(self._session.step, now_s, self._session, self._log_error)


class AnswerWatch:
    """Finds whether the answer to a time is lost when that time is published again.

    A world publishes its time again after a while without an answer. What was sent before the
    answer is no sign of it, and one more may have crossed it on the way; a world that still
    publishes the time some while later has no answer. To answer earlier would send a tick twice.
    """

    def __init__(self) -> None:
        self._answered_s = self._crossed_s = math.nan

    def answered(self, sent_s: float) -> None:
        """Note an answer; times are of the monotonic clock."""
        self._answered_s, self._crossed_s = sent_s, math.nan

    def is_lost(self, heard_s: float) -> bool:
        """Return whether a repetition received at ``heard_s`` asks for the answer again."""
        if heard_s <= self._answered_s:
            return False
        if math.isnan(self._crossed_s):
            self._crossed_s = heard_s
        return heard_s - self._crossed_s >= _CROSSING_S


class LockstepThread:
    """Ticks once for every new time on /clock.

    Args:
        session: Is stepped.
        log_error: For what must not happen.
    """

    def __init__(self, session: ControlSession, log_error: LogError) -> None:
        self._session = session
        self._log_error = log_error
        self._closing = False
        self._clocks: deque[tuple[float, float]] = deque()  # stamp, when it was received
        self._thread = threading.Thread(target=self._run, name="control", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread, also out of a tick that waits."""
        self._closing = True
        self._session.abort()
        self._thread.join()
        self._session.close()

    def on_clock(self, stamp_s: float) -> None:
        """Let the control thread answer the time ``stamp_s``; a repeated one counts too."""
        self._clocks.append((stamp_s, time.monotonic()))
        self._session.wake()

    def _run(self) -> None:
        answered = False
        clock_s = None
        answers = AnswerWatch()
        watchdog = ClockWatchdog()
        while not self._closing:
            if not self._clocks:
                self._session.sleep(0.1)
                # A world that waits for a command stands still; it has published its time.
                silence = watchdog.text(0.0, time.monotonic()) if clock_s is None else ""
                stand = partial(self._session.stand_still, text=silence)
                _guarded(stand, 0.0, self._session, self._log_error)
            if self._clocks:
                stamp_s, heard_s = self._clocks.popleft()
                answered = answered and stamp_s == clock_s
                if answered and answers.is_lost(heard_s):
                    self._session.repeat()
                    answers.answered(time.monotonic())
                clock_s = stamp_s
            if clock_s is not None and not answered:
                step = self._session.step_in_lockstep
                answered = _guarded(step, clock_s, self._session, self._log_error)
                answers.answered(time.monotonic())


def _guarded(
    step: Callable[[float], bool | None],
    now_s: float,
    session: ControlSession,
    log_error: LogError,
) -> bool:
    """Step; return whether a command was sent. An error is reported and the thread continues."""
    try:
        return bool(step(now_s))
    except Exception:
        what = "its command was sent" if session.has_sent else "nothing was sent"
        log_error(f"control tick failed, {what}:\n{traceback.format_exc()}")
        return session.has_sent
