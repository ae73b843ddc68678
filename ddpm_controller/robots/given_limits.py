"""Limits of one joint, as one source gives them."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class GivenLimits:
    """Limits of one joint; infinite where the source has none.

    Attributes:
        min_position: Lowest, rad or m.
        max_position: Highest.
        max_velocity: Highest speed, rad/s or m/s.
        max_acceleration: Highest acceleration and deceleration, rad/s^2 or m/s^2.
        max_jerk: rad/s^3 or m/s^3.
        max_step_from_measured: Farthest that a command may be from where the joint is measured,
            rad or m; not a word of MoveIt.
        follow_tolerance: Farthest that a joint is measured from where it was led, rad or m; None:
            as for its kind; not a word of MoveIt.
        place: Source and line, for messages.
    """

    min_position: float = -math.inf
    max_position: float = math.inf
    max_velocity: float = math.inf
    max_acceleration: float = math.inf
    max_jerk: float = math.inf
    max_step_from_measured: float = math.inf
    follow_tolerance: float | None = None
    place: str = ""

    def stricter(self, other: "GivenLimits") -> "GivenLimits":
        """Return the stricter of both, value by value; the place of this one.

        Raises:
            ValueError: No position is allowed by both; with both ranges and places.
        """
        lower = max(self.min_position, other.min_position)
        upper = min(self.max_position, other.max_position)
        if not lower < upper:
            raise ValueError(
                f"{self.range_text} and {other.range_text} have no range in common: correct one "
                "of them"
            )
        both = self.follow_tolerance, other.follow_tolerance
        tolerances = [each for each in both if each is not None]
        return GivenLimits(
            lower,
            upper,
            min(self.max_velocity, other.max_velocity),
            min(self.max_acceleration, other.max_acceleration),
            min(self.max_jerk, other.max_jerk),
            min(self.max_step_from_measured, other.max_step_from_measured),
            min(tolerances, default=None),
            self.place,
        )

    @property
    def range_text(self) -> str:
        """The positions with their place, in words."""
        return f"[{self.min_position:g}, {self.max_position:g}] ({self.place})"
