"""Whether others leave the robot to one loop: what commands it besides, what takes commands."""

from dataclasses import replace

from ddpm_controller.control.states import Reason, State, Verdict


class RightOfWay:
    """Keeps what was found outside of the loop that forbids to command.

    Another commander is kept until the next beginning, also when it has fallen silent: a robot
    that is left alone must not begin to move by itself. The rest counts as long as it is found.
    """

    def __init__(self) -> None:
        self._found: Verdict | None = None
        self._kept: Verdict | None = None

    def begin(self) -> None:
        """Forget another commander, unless it still commands; look again before anything moves."""
        kept, self._kept = self._kept, None
        if kept is not None and self._found is None:
            self._found = Verdict(State.WAITING, Reason.NONE, "looking who else commands")
        self.note(self._found)

    def note(self, found: Verdict | None) -> None:
        """Take what is found now; None: nothing forbids to command."""
        self._found = found
        if found is not None and found.reason == Reason.OTHER_COMMANDER and self._kept is None:
            self._kept = found

    @property
    def problem(self) -> Verdict | None:
        """Why no motion may begin; None: it may."""
        return self._kept or self._found

    @property
    def stopping(self) -> Verdict | None:
        """The same for a motion in progress, which stops smoothly."""
        problem = self.problem
        return None if problem is None else replace(problem, state=State.HOLDING)

    @property
    def refuses(self) -> str:
        """Who commands now, so that a run need not begin; empty: none that is known."""
        found = self._found
        return found.text if found and found.reason == Reason.OTHER_COMMANDER else ""

    @property
    def other_commander(self) -> str:
        """What is known of another commander; empty: there was none since the beginning."""
        return self._kept.text if self._kept else ""
