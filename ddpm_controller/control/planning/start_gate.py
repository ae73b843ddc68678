"""Whether a policy may begin: only where it was trained, and only near its first action."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ddpm_controller.control.moving.interpolation import Motion, Quintic, fade_peaks
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.policy import TrainingRange
from ddpm_controller.types import ActionChunk

SLACK_S = 0.05
"""A joint may be outside its training range by what it moves in this time at its velocity limit:
one that never moved in training has no range that a fraction could be taken of."""
MARGIN = 0.1
"""Of a joint's training range; what a controller takes by default."""
_NOTHING = np.zeros(0)


@dataclass(frozen=True)
class StartGate:
    """What must be true before the first chunk of a run is followed.

    Attributes:
        lower: (Da,) lowest position to start from, rad or m; empty: anywhere.
        upper: (Da,) highest.
        distance: (Da,) farthest that the first action may be from the measured position, rad or
            m; empty: any.
        approach_share: Share of the velocity, acceleration and jerk limits with which the robot
            is brought to the first action in place of a refusal; 0: refuse.
    """

    lower: np.ndarray = field(default_factory=lambda: _NOTHING)
    upper: np.ndarray = field(default_factory=lambda: _NOTHING)
    distance: np.ndarray = field(default_factory=lambda: _NOTHING)
    approach_share: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.approach_share <= 1:
            raise ValueError(f"approach_share must be in [0, 1], got {self.approach_share}")
        if self.lower.shape != self.upper.shape or (self.lower > self.upper).any():
            raise ValueError(f"need lower <= upper, got {self.lower} and {self.upper}")
        if not (self.distance > 0).all():
            raise ValueError(f"distances must be above 0, got {self.distance}")

    def state_problem(
        self, measured: np.ndarray, limits: JointLimits, names: Sequence[str]
    ) -> str:
        """Return in words which joints of ``measured`` (Da,) are where training never was."""
        if self.lower.size == 0:
            return ""
        slack = SLACK_S * limits.of_joints.velocity
        outside = (measured < self.lower - slack) | (measured > self.upper + slack)
        found = [
            f"{name} is at {measured[i]:.4f}, outside [{self.lower[i]:.4f}, {self.upper[i]:.4f}]"
            for i, name in enumerate(names)
            if outside[i]
        ]
        return f"outside the training range: {', '.join(found)}" if found else ""

    def action_problem(
        self, first: np.ndarray, measured: np.ndarray, limits: JointLimits, names: Sequence[str]
    ) -> str:
        """Return in words which joints the first action (Da,) would take too far.

        A velocity takes a joint nowhere at once: it begins at 0, and its rate is limited.
        """
        if self.distance.size == 0:
            return ""
        allowed = np.maximum(self.distance, SLACK_S * limits.velocity)
        away = np.abs(first - measured)
        if limits.velocities is not None:
            away = np.where(limits.velocities.chosen, 0.0, away)
        found = [
            f"{name} from {measured[i]:.4f} to {first[i]:.4f}, {away[i]:.4f} away, at most "
            f"{allowed[i]:.4f}"
            for i, name in enumerate(names)
            if away[i] > allowed[i]
        ]
        return f"the first action is far: {', '.join(found)}" if found else ""


def start_gate(
    trained: TrainingRange | None,
    *,
    margin: float = MARGIN,
    distance: float | None = None,
    approach_share: float = 0.0,
) -> StartGate:
    """Return the gate of a policy.

    Args:
        trained: Where the joints were in training; None: the policy does not know.
        margin: Fraction of a joint's range by which it may be outside; infinite: anywhere.
        distance: rad or m, for every joint; None: half of each joint's range; infinite: anywhere.
        approach_share: As in ``StartGate``.
    """
    if trained is None:
        return StartGate(approach_share=approach_share)
    state = _NOTHING, _NOTHING
    if math.isfinite(margin):
        slack = margin * (trained.state_high - trained.state_low)
        state = trained.state_low - slack, trained.state_high + slack
    farthest = _NOTHING
    half = (trained.state_high - trained.state_low) / 2
    if distance is None:
        farthest = np.maximum(half, 1e-9)  # a joint that never moved: the velocity's slack only
    elif math.isfinite(distance):
        farthest = np.full_like(half, distance)
    return StartGate(*state, farthest, approach_share)


def approach_chunk(
    begin: np.ndarray,
    goal: np.ndarray,
    limits: JointLimits,
    share: float,
    *,
    start_s: float,
    period_s: float,
    joint_names: tuple[str, ...],
) -> ActionChunk:
    """Return a slow straight way from rest at ``begin`` to rest at ``goal``, both (Da,).

    All joints arrive together, along the quintic whose highest velocity, acceleration and jerk
    are ``share`` of the limits at most. Velocities stay 0.
    """
    begin = np.clip(limits.resting(begin), limits.lower, limits.upper)
    goal = np.clip(limits.resting(goal), limits.lower, limits.upper)
    slow = limits.scaled(share)
    velocity, acceleration, jerk = fade_peaks(Motion.rest(goal - begin), 1.0)
    duration_s = max(
        float((velocity / slow.velocity).max()),
        float((acceleration / slow.acceleration).max()) ** (1 / 2),
        float((jerk / slow.jerk).max()) ** (1 / 3),
        period_s,
    )
    way = Quintic(Motion.rest(begin), Motion.rest(goal), duration_s)
    # One row more than needed: a curve ends with the slope of its last step.
    moments_s = period_s * np.arange(math.ceil(duration_s / period_s) + 2)
    rows = np.stack([way.at(min(each, duration_s)).position for each in moments_s])
    return ActionChunk(start_s, period_s, joint_names, rows)
