"""What a controller does and why; the numbers are those of ddpm_msgs/ControllerStatus."""

from dataclasses import dataclass
from enum import IntEnum


class State(IntEnum):
    """What the controller does."""

    INACTIVE = 0
    WAITING = 1
    RUNNING = 2
    HOLDING = 3


class Reason(IntEnum):
    """Why it waits or holds, or what limited the command while it runs."""

    NONE = 0
    NO_CHECKPOINT = 1
    NO_OBSERVATION = 2
    STALE_OBSERVATION = 3
    INVALID_OBSERVATION = 4
    NO_PLAN = 5
    PLAN_LATE = 6
    PLAN_FAILED = 7
    LIMIT_POSITION = 20
    LIMIT_VELOCITY = 21
    DEACTIVATED = 30


OBSERVATION_REASONS = frozenset(
    {Reason.NO_OBSERVATION, Reason.STALE_OBSERVATION, Reason.INVALID_OBSERVATION}
)
"""After these a chunk in force is out of date: it was made for a world no longer seen."""


@dataclass(frozen=True)
class Verdict:
    """What to do at one tick.

    Attributes:
        state: Waiting sends nothing, running follows the chunk, holding stops smoothly.
        reason: As a code.
        text: The same in words, with the values.
    """

    state: State
    reason: Reason = Reason.NONE
    text: str = ""

    def limited(self, reasons: tuple[str, ...]) -> "Verdict":
        """Name the limits while running; a reason to hold is more important than a limit."""
        if self.state != State.RUNNING:
            return self
        code = Reason.LIMIT_POSITION if "position" in reasons else Reason.LIMIT_VELOCITY
        return Verdict(self.state, code, f"limited: {', '.join(reasons)}")
