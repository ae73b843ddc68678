"""What a controller does and why; the numbers are those of ddpm_msgs/ControllerStatus."""

from collections.abc import Iterable
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
    OUT_OF_DISTRIBUTION = 8
    FROZEN_IMAGE = 9
    START_REFUSED = 10
    TOO_SLOW = 11
    CLOCK_JUMP = 12
    CONTROLLER_LOST = 13
    NOT_FOLLOWED = 14
    OTHER_COMMANDER = 15
    NO_LISTENER = 16
    LIMIT_POSITION = 20
    LIMIT_VELOCITY = 21
    LIMIT_ACCELERATION = 22
    LIMIT_JERK = 23
    LIMIT_STEP = 24
    LIMIT_BOX = 25
    LIMIT_STRICTER = 26
    DEACTIVATED = 30


OBSERVATION_REASONS = frozenset(
    {
        Reason.NO_OBSERVATION,
        Reason.STALE_OBSERVATION,
        Reason.INVALID_OBSERVATION,
        Reason.FROZEN_IMAGE,
    }
)
"""After these a chunk in force is out of date: it was made for a world no longer seen."""


LIMIT_REASONS = {
    "not_finite": Reason.PLAN_FAILED,
    "stricter": Reason.LIMIT_STRICTER,
    "position": Reason.LIMIT_POSITION,
    "box": Reason.LIMIT_BOX,
    "step": Reason.LIMIT_STEP,
    "velocity": Reason.LIMIT_VELOCITY,
    "acceleration": Reason.LIMIT_ACCELERATION,
    "jerk": Reason.LIMIT_JERK,
}
"""What the governor changes a command for, the most important first."""


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
        code = next(code for name, code in LIMIT_REASONS.items() if name in reasons)
        return Verdict(self.state, code, f"limited: {', '.join(reasons)}")


class LimitCounts:
    """Ticks on which each limit changed the command, by name; all names from the beginning on."""

    def __init__(self) -> None:
        self._counts = dict.fromkeys(LIMIT_REASONS, 0)

    def add(self, limited: Iterable[str]) -> None:
        """Count one tick."""
        for name in limited:
            self._counts[name] += 1

    @property
    def names(self) -> list[str]:
        """In the order of the counts."""
        return list(self._counts)

    @property
    def counts(self) -> list[int]:
        """As many as names."""
        return list(self._counts.values())
