"""How far, how fast and how abruptly the joints may move."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ddpm_controller.control.moving.boxed_arm import BoxedArm

ACCELERATION_TIME_S = 0.025
"""Where no acceleration limit is given, the velocity limit is reached in this time, s.

Generous, so that it changes nothing in what a learned policy does: with 0.1 s the noise between
two rows of a chunk, 0.1 s apart, ran into the limit all the time, and the shipped reach policy
failed in more than half of its trials.
"""
JERK_TIME_S = 0.02
"""Where no jerk limit is given, the acceleration limit is reached in this time, s."""


@dataclass(frozen=True)
class VelocityColumns:
    """Which columns of an action are velocities, and where the joints may be that they move.

    What is governed is the velocity itself: the position of its motion is the velocity, its
    velocity the acceleration, its acceleration the jerk. So it is led, faded and limited as
    positions are; but at rest it is 0, and the joint behind it has position limits.

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


@dataclass(frozen=True)
class JointLimits:
    """Limits in the order of the action's columns.

    Of a column that is a velocity they are those of the velocity: its lowest and highest value,
    and what its rate, the rate of that and once more may be; see ``commanding_velocities``.

    Attributes:
        lower: (Da,) lowest position, rad or m.
        upper: (Da,) highest position, rad or m.
        velocity: (Da,) highest speed, rad/s or m/s.
        acceleration: (Da,) highest, rad/s^2 or m/s^2; left out or infinite: derived from the
            velocity by ``ACCELERATION_TIME_S``.
        jerk: (Da,) highest, rad/s^3 or m/s^3; left out or infinite: derived from the
            acceleration by ``JERK_TIME_S``.
        step: (Da,) farthest that a command may be from the measured position, rad or m; left out:
            infinite.
        follow: (Da,) farthest that a joint that follows is measured from where it was led, rad or
            m; left out: infinite, it need not follow.
        arm: With the box that its end effector must not leave; None: no box.
        velocities: Columns that are velocities; None: each is a position.
        stand: (Da,) positions to which a stop leads, rad, of a robot that would fall where it
            stops, as one on legs; left out: it rests where it stops.

    Raises:
        ValueError: Limits that contradict each other or allow no motion.
    """

    lower: np.ndarray
    upper: np.ndarray
    velocity: np.ndarray
    acceleration: np.ndarray = field(default_factory=lambda: np.zeros(0))
    jerk: np.ndarray = field(default_factory=lambda: np.zeros(0))
    step: np.ndarray = field(default_factory=lambda: np.zeros(0))
    follow: np.ndarray = field(default_factory=lambda: np.zeros(0))
    arm: BoxedArm | None = None
    velocities: VelocityColumns | None = None
    stand: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        shapes = {self.lower.shape, self.upper.shape, self.velocity.shape}
        more = (self.acceleration, self.jerk, self.step, self.follow, self.stand)
        shapes |= {each.shape for each in more if each.size}
        if len(shapes) != 1 or self.lower.ndim != 1:
            raise ValueError(f"limits must be vectors of one length, got shapes {shapes}")
        self._derive("acceleration", self.velocity / ACCELERATION_TIME_S)
        self._derive("jerk", self.acceleration / JERK_TIME_S)
        for name in ("step", "follow"):
            if getattr(self, name).size == 0:
                object.__setattr__(self, name, np.full_like(self.velocity, np.inf))
        rows = (self.lower, self.upper, self.velocity, self.acceleration, self.jerk)
        if np.isnan(np.stack([*rows, self.step, self.follow])).any():
            raise ValueError(f"limits must not be NaN, got {self}")
        if not (self.lower < self.upper).all():
            raise ValueError(
                f"lower limits {self.lower} must be below upper limits {self.upper}: correct the "
                "URDF or the joint-limits file"
            )
        for name, word in (("step", "max_step_from_measured"), ("follow", "follow_tolerance")):
            if not (getattr(self, name) > 0).all():
                raise ValueError(
                    f"{word} must be above 0, got {getattr(self, name)}: correct the "
                    "joint-limits file"
                )
        for name in ("velocity", "acceleration", "jerk"):
            values = getattr(self, name)
            if not ((values > 0) & np.isfinite(values)).all():
                raise ValueError(
                    f"{name} limits must be above 0 and finite, got {values}: correct the URDF or "
                    "the joint-limits file"
                )

        self._check_stand()

    def _check_stand(self) -> None:
        if not self.stands:
            return
        if self.velocities is not None:
            raise ValueError("a stand is for positions of joints: leave it out, or command those")
        if not ((self.stand >= self.lower) & (self.stand <= self.upper)).all():
            raise ValueError(
                f"the stand {self.stand} must be within the limits {self.lower} to {self.upper}: "
                "correct the robot file or the joint-limits file"
            )

    @property
    def stands(self) -> bool:
        """Whether a stop leads to ``stand``."""
        return self.stand.size > 0

    def _derive(self, name: str, derived: np.ndarray) -> None:
        given = getattr(self, name)
        values = derived if given.size == 0 else np.where(np.isposinf(given), derived, given)
        object.__setattr__(self, name, values)

    def commanding_velocities(self, chosen: np.ndarray, late_s: float = 0.0) -> "JointLimits":
        """Return the limits of commands that are velocities of the joints ``chosen`` (Da,).

        The rate of a velocity keeps the acceleration limit and the rate of that the jerk limit,
        which is reached in ``JERK_TIME_S``.

        Args:
            chosen: (Da,) bool.
            late_s: As ``VelocityColumns``.
        """
        if not chosen.any():
            return self
        return replace(
            self,
            lower=np.where(chosen, -self.velocity, self.lower),
            upper=np.where(chosen, self.velocity, self.upper),
            velocity=np.where(chosen, self.acceleration, self.velocity),
            acceleration=np.where(chosen, self.jerk, self.acceleration),
            jerk=np.where(chosen, self.jerk / JERK_TIME_S, self.jerk),
            step=np.where(chosen, np.inf, self.step),
            velocities=VelocityColumns(chosen, self.lower, self.upper, late_s),
        )

    @property
    def of_joints(self) -> "JointLimits":
        """Limits of the joints themselves, whatever is commanded."""
        if self.velocities is None:
            return self
        chosen = self.velocities.chosen
        return replace(
            self,
            lower=np.where(chosen, self.velocities.lower, self.lower),
            upper=np.where(chosen, self.velocities.upper, self.upper),
            velocity=np.where(chosen, self.upper, self.velocity),
            acceleration=np.where(chosen, self.velocity, self.acceleration),
            jerk=np.where(chosen, self.acceleration, self.jerk),
            velocities=None,
        )

    def resting(self, position: np.ndarray) -> np.ndarray:
        """Return the command (Da,) that keeps a robot at ``position``: there a velocity is 0."""
        return (
            position
            if self.velocities is None
            else np.where(self.velocities.chosen, 0.0, position)
        )

    def is_rest(self, command: np.ndarray, rate: np.ndarray) -> bool:
        """Return whether a robot stays where it is under a command (Da,) with this rate (Da,)."""
        keeps_on = np.zeros(0) if self.velocities is None else command[self.velocities.chosen]
        return not (rate.any() or keeps_on.any())

    @property
    def need_measured(self) -> bool:
        """Whether a command depends on where the robot is measured."""
        has_bounds = self.velocities is not None and self.velocities.are_bounded
        return has_bounds or bool(np.isfinite(self.step).any())

    def scaled(self, share: float) -> "JointLimits":
        """Return the same positions with ``share`` of velocity, acceleration and jerk."""
        return replace(
            self,
            velocity=share * self.velocity,
            acceleration=share * self.acceleration,
            jerk=share * self.jerk,
        )

    def violations(self, position: np.ndarray, names: Sequence[str]) -> str:
        """Return in words which joints of ``position`` (Da,) are outside, or an empty text."""
        outside = (position < self.lower) | (position > self.upper)
        return ", ".join(
            f"{name} at {position[i]:.4f} outside [{self.lower[i]:.4f}, {self.upper[i]:.4f}]"
            for i, name in enumerate(names)
            if outside[i]
        )

    def strictest(self, other: "JointLimits") -> "JointLimits":
        """Return the stricter of both, number by number.

        Raises:
            ValueError: Nothing is left between two position limits.
        """
        kinds = ("upper", "velocity", "acceleration", "jerk", "step", "follow")
        lowest = {kind: np.minimum(getattr(self, kind), getattr(other, kind)) for kind in kinds}
        return replace(self, lower=np.maximum(self.lower, other.lower), **lowest)

    def stricter_in(self, after: "JointLimits", names: Sequence[str]) -> str:
        """Return in words where ``after`` is stricter than these limits, or an empty text."""
        lower = ("lower", self.lower, after.lower, after.lower > self.lower)
        kinds = ("upper", "velocity", "acceleration", "jerk", "step")
        pairs = [(kind, getattr(self, kind), getattr(after, kind)) for kind in kinds]
        rows = [lower, *((kind, old, new, new < old) for kind, old, new in pairs)]
        return ", ".join(
            f"{name} {kind} {old[i]:.4g} -> {new[i]:.4g}"
            for kind, old, new, is_stricter in rows
            for i, name in enumerate(names)
            if is_stricter[i]
        )
