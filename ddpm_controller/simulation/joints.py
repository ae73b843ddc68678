"""The joints of a simulated robot: one table for its MJCF, its URDF and its limits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np


@dataclass(frozen=True)
class JointSpec:
    """One joint of the chain.

    Attributes:
        name: Joint name; its child body is called ``<name>_link``.
        unit: ``rad`` (hinge) or ``m`` (slide).
        offset: Of the joint frame in the parent link, m.
        axis: Unit vector in the joint frame.
        lower: Smallest position.
        upper: Largest position.
        velocity: Largest speed, per second.
        effort: Largest torque (N m) or force (N).
        stiffness: Of the position servo, effort per position.
    """

    name: str
    unit: str
    offset: tuple[float, float, float]
    axis: tuple[int, int, int]
    lower: float
    upper: float
    velocity: float
    effort: float
    stiffness: float

    def __post_init__(self) -> None:
        if not self.lower < self.upper:
            raise ValueError(
                f"joint {self.name!r}: lower {self.lower} must be below upper {self.upper}"
            )
        if self.unit not in ("rad", "m"):
            raise ValueError(f"joint {self.name!r}: unit must be 'rad' or 'm', got {self.unit!r}")


@dataclass(frozen=True)
class JointRange:
    """Limits of all joints as arrays, each (D,), rad and m, rad/s and m/s."""

    lower: np.ndarray
    upper: np.ndarray
    velocity: np.ndarray

    @classmethod
    def of(cls, joints: Sequence[JointSpec]) -> Self:
        """Return the limits of ``joints`` in their order."""
        return cls(
            lower=np.array([joint.lower for joint in joints]),
            upper=np.array([joint.upper for joint in joints]),
            velocity=np.array([joint.velocity for joint in joints]),
        )
