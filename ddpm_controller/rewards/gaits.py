"""When each foot is in the air and how high: gaits as a duty, a cadence and phases.

Heights follow the released code of DIAL-MPC (Xue et al. 2024, arXiv:2409.15610).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Gait:
    """A periodic pattern of feet.

    Attributes:
        duty: Share of a period that a foot is on the ground, [0, 1].
        cadence_hz: Periods a second, above 0.
        height_m: Height of a foot in the middle of its swing.
        phases: Share of a period by which each foot is later than the first pattern, in the order
            front right, front left, rear right, rear left.
    """

    duty: float
    cadence_hz: float
    height_m: float
    phases: tuple[float, ...]

    def __post_init__(self) -> None:
        if not (0 <= self.duty <= 1 and self.cadence_hz > 0 and self.height_m >= 0):
            raise ValueError(
                "a gait needs duty in [0, 1], cadence_hz above 0 and height_m not below 0, got "
                f"{self.duty}, {self.cadence_hz} and {self.height_m}"
            )

    @property
    def period_s(self) -> float:
        """Time of one period."""
        return 1.0 / self.cadence_hz


GAITS = {
    "stand": Gait(1.0, 1.0, 0.0, (0.0, 0.0, 0.0, 0.0)),
    "walk": Gait(0.75, 1.0, 0.08, (0.5, 0.0, 0.25, 0.75)),
    "trot": Gait(0.45, 2.0, 0.08, (0.0, 0.5, 0.5, 0.0)),
    "canter": Gait(0.4, 4.0, 0.06, (0.33, 0.0, 0.66, 0.33)),
    "gallop": Gait(0.3, 3.5, 0.10, (0.05, 0.0, 0.35, 0.4)),
    "pronk": Gait(0.5, 2.0, 0.06, (0.0, 0.0, 0.0, 0.0)),
    "bound": Gait(0.5, 2.5, 0.06, (0.0, 0.0, 0.5, 0.5)),
}
"""Gaits of quadrupeds by name."""


def swing_heights(
    turns: np.ndarray, duty: float, height_m: float, phases: Sequence[float]
) -> np.ndarray:
    """Return how high above the ground each foot should be, (F, H).

    Args:
        turns: (H,) periods that have passed since the gait began.
        duty: As of a ``Gait``; at 1 no foot leaves the ground.
        height_m: Likewise.
        phases: F of them.
    """
    later = np.asarray(phases)[:, None]
    if duty >= 1:
        return np.zeros((len(later), len(turns)))
    # A swing has its middle half a period after the beginning of the pattern.
    angle = 2 * np.pi * (np.mod(turns - later, 1.0) - 0.5)
    bent = np.clip(0.5 / (1 - duty) * angle, -np.pi / 2, np.pi / 2)
    heights: np.ndarray = height_m * np.cos(bent)
    return heights
