"""The last thing that a command passes: position and velocity limits, and finite numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class JointLimits:
    """Limits in the order of the action's joints.

    Attributes:
        lower: (Da,) lowest position, rad or m.
        upper: (Da,) highest position, rad or m.
        velocity: (Da,) highest speed, rad/s or m/s.
    """

    lower: np.ndarray
    upper: np.ndarray
    velocity: np.ndarray

    def __post_init__(self) -> None:
        shapes = {self.lower.shape, self.upper.shape, self.velocity.shape}
        if len(shapes) != 1 or self.lower.ndim != 1:
            raise ValueError(f"limits must be three vectors of one length, got shapes {shapes}")
        if np.isnan(np.stack([self.lower, self.upper, self.velocity])).any():
            raise ValueError(f"limits must not be NaN, got {self}")
        if not (self.lower < self.upper).all():
            raise ValueError(f"lower limits {self.lower} must be below upper limits {self.upper}")
        if not (self.velocity > 0).all():
            raise ValueError(f"velocity limits must be above 0, got {self.velocity}")

    def violations(self, position: np.ndarray, names: Sequence[str]) -> str:
        """Return in words which joints of ``position`` (Da,) are outside, or an empty text."""
        outside = (position < self.lower) | (position > self.upper)
        return ", ".join(
            f"{name} at {position[i]:.4f} outside [{self.lower[i]:.4f}, {self.upper[i]:.4f}]"
            for i, name in enumerate(names)
            if outside[i]
        )


@dataclass(frozen=True)
class Limited:
    """A command that may be sent, and which limits changed it.

    Attributes:
        position: (Da,) finite and inside the limits.
        reasons: Any of ``not_finite``, ``position``, ``velocity``.
    """

    position: np.ndarray
    reasons: tuple[str, ...] = ()


def limit(wish: np.ndarray, last: np.ndarray, limits: JointLimits, period_s: float) -> Limited:
    """Return the command nearest to ``wish`` that respects every limit.

    A wish that is not finite holds ``last``: a policy that has diverged must not
    move the robot. Inside the limits stays inside, because the result lies between
    ``last`` and the clipped wish.

    Args:
        wish: (Da,) wanted position.
        last: (Da,) the command sent before, inside the limits.
        limits: Of the same joints.
        period_s: Time since ``last`` was sent.
    """
    if not np.isfinite(wish).all():
        return Limited(last, ("not_finite",))
    reasons = []
    inside = np.clip(wish, limits.lower, limits.upper)
    if (inside != wish).any():
        reasons.append("position")
    reach = limits.velocity * period_s
    position = np.clip(inside, last - reach, last + reach)
    if (position != inside).any():
        reasons.append("velocity")
    return Limited(position, tuple(reasons))
