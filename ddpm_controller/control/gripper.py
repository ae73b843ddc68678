"""What a gripper is sent: not every small change, and of a binary one only open or closed."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class BinaryGripper:
    """A gripper that is only ever sent to two places.

    The two thresholds are apart, so that a motion which trembles around one does not make it
    open and close.

    Attributes:
        open: Position that is sent to open it, in the unit of the joint.
        closed: Position that is sent to close it.
        close_above: Share of the way from open to closed above which it closes.
        open_below: Share of that way below which it opens; at most ``close_above``.
    """

    open: float
    closed: float
    close_above: float
    open_below: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.open) or not math.isfinite(self.closed):
            raise ValueError(f"open {self.open} and closed {self.closed} must be finite")
        if self.open == self.closed:
            raise ValueError(f"open and closed are both {self.open}: they must differ")
        if not 0 <= self.open_below <= self.close_above <= 1:
            raise ValueError(
                "shares of the way from open to closed need 0 <= open_below <= close_above <= 1, "
                f"got open_below {self.open_below} and close_above {self.close_above}"
            )

    def place(self, wish: float, sent: float | None) -> float:
        """Return ``open`` or ``closed``; before anything was sent the nearer one counts."""
        share = (wish - self.open) / (self.closed - self.open)
        if share > self.close_above:
            return self.closed
        if share < self.open_below:
            return self.open
        if sent is None:
            return self.closed if share > 0.5 else self.open
        return sent


@dataclass(frozen=True)
class GripperRule:
    """When a gripper is sent another position.

    Attributes:
        dead_band: Change below which nothing is sent, in the unit of the joint.
        binary: The two places of a binary gripper; None: any position.
        max_effort: Force or torque with which it may grip, N or N m; None: not given.
    """

    dead_band: float = 0.0
    binary: BinaryGripper | None = None
    max_effort: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.dead_band < math.inf:
            raise ValueError(f"dead_band must be 0 or above, got {self.dead_band}")
        if self.max_effort is not None and not 0 < self.max_effort < math.inf:
            raise ValueError(f"max_effort must be above 0, got {self.max_effort}")

    def due(self, wish: float, sent: float | None) -> float | None:
        """Return the position to be sent, or None: the gripper keeps what it was sent last.

        Args:
            wish: Position of the motion at this moment; one that is not finite is not sent.
            sent: Position that was sent last, from which a change counts; None: nothing yet.
        """
        if not math.isfinite(wish):
            return None
        place = wish if self.binary is None else self.binary.place(wish, sent)
        if sent is None:
            return place
        change = abs(place - sent)
        return None if change == 0 or change < self.dead_band else place
