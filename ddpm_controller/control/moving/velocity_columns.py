"""Columns of an action that are velocities: what is governed is the velocity itself.

The position of their motion is the velocity, its velocity the acceleration, its acceleration the
jerk. So they are led, faded and limited as positions are, in numbers of their own; two things
differ, and are here: at rest they are 0, and the joints behind them have position limits.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class VelocityColumns:
    """Which columns are velocities, and where the joints may be that they move.

    Attributes:
        chosen: (Da,) bool.
        lower: (Da,) lowest position of the joint, rad or m; -inf: none is known.
        upper: (Da,) highest; inf: none is known.
        late_s: Longest time by which a measured position is behind what was sent.

    Raises:
        ValueError: No column is chosen, or the time is below 0.
    """

    chosen: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    late_s: float = 0.0

    def __post_init__(self) -> None:
        if not self.chosen.any() or not 0 <= self.late_s < np.inf:
            raise ValueError(
                f"velocities need a column and a finite late_s of 0 or more, got {self.chosen} "
                f"and {self.late_s}"
            )

    @property
    def are_bounded(self) -> bool:
        """Whether a joint behind them has a position limit."""
        return bool(np.isfinite(np.where(self.chosen, [self.lower, self.upper], np.inf)).any())
