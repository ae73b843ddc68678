"""Whether a chunk can be followed at all, and what it would demand of the joints."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ddpm_controller.control.moving.cartesian_box import BoxGuard
from ddpm_controller.control.moving.interpolation import (
    Motion,
    Quintic,
    monotone_accelerations,
    monotone_slopes,
)
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.control.states import Reason
from ddpm_controller.types import ActionChunk, ActionSpec

_LARGEST = 1e6
"""rad or m; beyond, a curve through the rows would overflow."""
_NUM_MOMENTS = 9
"""Moments per segment between two rows, its ends included."""
_ROUNDING = 1e-6
"""Of a limit, and of a joint's range: what is off by less is rounding."""


@dataclass(frozen=True)
class ChunkTolerance:
    """From where on a chunk is not merely limited but refused, as a policy gone wrong.

    Acceleration and jerk refuse nothing: their limits differ by orders of magnitude from robot to
    robot, and a chunk that keeps the others can be followed as well as they allow.

    Attributes:
        position: Beyond a position limit, as a share of the joint's range.
        velocity: Times the velocity limit. The shipped policies ask for 3.1 at the most.
    """

    position: float = 0.5
    velocity: float = 10.0

    def __post_init__(self) -> None:
        if not self.position >= 0 or not self.velocity >= 1:
            raise ValueError(
                "position must be 0 or more and velocity 1 or more, got "
                f"{self.position} and {self.velocity}"
            )


@dataclass(frozen=True)
class ChunkDemand:
    """The most that a chunk asks for.

    Attributes:
        worst: ``position``: how far beyond a limit, as a share of the joint's range, 0 inside;
            ``velocity``, ``acceleration``, ``jerk``: times the limit.
        places: The same names -> joint and row of it, in words.
    """

    worst: Mapping[str, float]
    places: Mapping[str, str]

    @property
    def reasons(self) -> tuple[str, ...]:
        """The limits that the chunk does not keep."""
        free = {"position": 0.0}
        return tuple(n for n, worst in self.worst.items() if worst > free.get(n, 1.0) + _ROUNDING)

    @property
    def text(self) -> str:
        """What it asks beyond the limits, in words; empty when nothing is."""
        return ", ".join(self._told(name) for name in self.reasons)

    def refusal(self, tolerance: ChunkTolerance) -> str:
        """Return why it must not be followed at all, or an empty text."""
        bounds = {"position": tolerance.position, "velocity": tolerance.velocity}
        gross = [
            self._told(name) for name, bound in bounds.items() if self.worst.get(name, 0.0) > bound
        ]
        return f"the chunk is far beyond the limits: {', '.join(gross)}" if gross else ""

    def _told(self, name: str) -> str:
        worst, place = self.worst[name], self.places[name]
        if name == "position":
            return f"position {worst:.3g} of the range beyond its limit ({place})"
        return f"{name} {worst:.3g} times the limit ({place})"


@dataclass(frozen=True)
class ChunkVerdict:
    """Whether a chunk may be followed.

    Attributes:
        problem: Why not; empty where it may.
        reason: The same as a code.
        note: What it asks beyond the limits, in words; it is followed as far as they allow.
    """

    problem: str = ""
    reason: Reason = Reason.PLAN_FAILED
    note: str = ""


def chunk_verdict(
    chunk: ActionChunk,
    requested_s: float,
    action_spec: ActionSpec,
    limits: JointLimits | None,
    tolerance: ChunkTolerance | None,
    guard: BoxGuard | None,
) -> ChunkVerdict:
    """Return whether a chunk that was asked for at ``requested_s`` may be followed.

    With limits and a tolerance a chunk that is far beyond the limits is refused, with a guard one
    that leads out of its box.
    """
    problem, note = chunk_problem(chunk, action_spec), ""
    if not problem and limits is not None and tolerance is not None:
        demand = chunk_demand(chunk, limits)
        problem, note = demand.refusal(tolerance), demand.text
    if problem or guard is None:
        return ChunkVerdict(problem, note=note)
    return ChunkVerdict(guard.chunk_problem(chunk, requested_s), Reason.LIMIT_BOX, note)


def chunk_problem(chunk: ActionChunk, action_spec: ActionSpec) -> str:
    """Return why a chunk cannot be followed, or an empty text."""
    if chunk.joint_names != action_spec.joint_names:
        return f"the plan is for {chunk.joint_names}, the robot has {action_spec.joint_names}"
    if len(chunk.actions) == 0 or not chunk.period_s > 0:
        return f"the plan has {len(chunk.actions)} rows, {chunk.period_s} s apart"
    if not np.isfinite(chunk.actions).all():
        wrong = np.argwhere(~np.isfinite(chunk.actions))
        row, column = wrong[0]
        joint = chunk.joint_names[column]
        return f"the plan is not finite in {len(wrong)} places, first in row {row}, joint {joint}"
    largest = float(np.abs(chunk.actions).max())
    if largest > _LARGEST:
        return f"the plan goes to {largest:.3g}: no position is beyond {_LARGEST:.0e}"
    return ""


def chunk_demand(chunk: ActionChunk, limits: JointLimits) -> ChunkDemand:
    """Return what the curve through a chunk's rows demands; the way to its first row is left out.

    The jerk is that between neighbouring moments.
    """
    rows, period_s = chunk.actions, chunk.period_s
    range_ = limits.upper - limits.lower
    # Joints without position limits have no range, and are never beyond it.
    beyond = np.maximum(limits.lower - rows, rows - limits.upper)
    beyond = np.where(np.isfinite(range_), np.maximum(beyond, 0.0) / range_, 0.0)
    shares = {"position": beyond}
    if len(rows) > 1:
        motion = _curve(rows, period_s)  # (M, Ta - 1, Da)
        jerk = np.diff(motion.acceleration, axis=0) * (_NUM_MOMENTS - 1) / period_s
        shares["velocity"] = np.abs(motion.velocity).max(axis=0) / limits.velocity
        shares["acceleration"] = np.abs(motion.acceleration).max(axis=0) / limits.acceleration
        shares["jerk"] = np.abs(jerk).max(axis=0) / limits.jerk
    worst, places = {}, {}
    for name, share in shares.items():
        row, joint = np.unravel_index(int(share.argmax()), share.shape)
        worst[name] = float(share[row, joint])
        places[name] = f"{chunk.joint_names[joint]}, row {row}"
    return ChunkDemand(worst, places)


def _curve(rows: np.ndarray, period_s: float) -> Motion:
    """Return the motions at ``_NUM_MOMENTS`` of all segments, (M, Ta - 1, Da) each."""
    slopes = monotone_slopes(rows)
    velocity = slopes / period_s
    acceleration = monotone_accelerations(rows, slopes) / period_s**2
    segments = Quintic(
        Motion(rows[:-1], velocity[:-1], acceleration[:-1]),
        Motion(rows[1:], velocity[1:], acceleration[1:]),
        period_s,
    )
    return segments.at(np.linspace(0.0, period_s, _NUM_MOMENTS)[:, None, None])
