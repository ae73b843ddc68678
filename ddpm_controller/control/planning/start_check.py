"""The beginning of a run under a start gate: let the first plan pass, refuse it, or approach."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ddpm_controller.control.moving.cartesian_box import BoxGuard
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.control.observing.observation_watch import ObservationWatch
from ddpm_controller.control.planning.plan_schedule import PlanSchedule
from ddpm_controller.control.planning.start_gate import StartGate, approach_chunk
from ddpm_controller.control.states import Reason, State, Verdict
from ddpm_controller.types import ActionChunk, ActionSpec

_MARGIN_S = 0.05
"""A robot may be measured this far outside its limits, as time at the velocity limit, s."""


def place_problem(
    watch: ObservationWatch,
    limits: JointLimits,
    joint_names: Sequence[str],
    guard: BoxGuard | None,
    now_s: float,
) -> Verdict | None:
    """Return why nothing may be sent from where the robot is, or None.

    Args:
        watch: Has what is measured.
        limits: Limits of the columns of the action.
        joint_names: Joint names of the action.
        guard: Guard of the end effector's box, where there is one.
        now_s: The moment.
    """
    problem = watch.problem(now_s, only=watch.measuring)
    if problem is not None:
        return replace(problem, state=State.WAITING)
    measured = watch.measured(now_s)
    if measured is None:
        text = f"{', '.join(watch.measuring)} is ahead of the clock"
        return Verdict(State.WAITING, Reason.NO_OBSERVATION, text)
    limits = limits.of_joints
    margin = limits.velocity * _MARGIN_S
    inside = np.clip(measured, limits.lower, limits.upper)
    if (np.abs(inside - measured) > margin).any():
        text = limits.violations(measured, joint_names)
        text = f"measured {text}: move the robot inside its limits first"
        return Verdict(State.WAITING, Reason.LIMIT_POSITION, text)
    outside = guard.start_problem(measured) if guard else ""
    return Verdict(State.WAITING, Reason.LIMIT_BOX, outside) if outside else None


_SETTLE_S = 0.5
"""After an approach the robot may take this long to be where it was sent."""


class StartCheck:
    """Looks at the first plan whenever none is in force: at the start, and after a stop.

    An approach is a chunk in the place of the plan. When it is over the run starts afresh, with a
    plan for where the robot is then; what is still outside or far is refused.

    Args:
        action_spec: The joints, and the period of an approach.
        schedule: Has the plan that waits.
        gate: Gate of the policy that plans first.

    Attributes:
        gate: Gate of the policy that plans.
    """

    def __init__(self, action_spec: ActionSpec, schedule: PlanSchedule, gate: StartGate) -> None:
        self.gate = gate
        self._spec = action_spec
        self._schedule = schedule
        self.begin()

    def begin(self) -> None:
        """Forget what was before."""
        self._refused = ""
        self._approaches = ""
        self._until_s = -math.inf
        self._approached = False

    @property
    def is_approaching(self) -> bool:
        """Whether the robot is being brought to the first action: no plan is to be made."""
        return bool(self._approaches)

    def state(self, measured: np.ndarray, limits: JointLimits) -> Verdict | None:
        """Return why nothing may be sent while the robot is at ``measured`` (Da,), or None."""
        if self._can_approach(limits):
            return None
        text = self.gate.state_problem(measured, limits, self._spec.joint_names)
        return Verdict(State.WAITING, Reason.START_REFUSED, _remedied(text)) if text else None

    def plan(
        self, measured: np.ndarray | None, limits: JointLimits | None, now_s: float
    ) -> Verdict | None:
        """Return what to do in place of following the schedule at ``now_s``, or None."""
        if self._schedule.in_force is None and self._schedule.first(now_s) is None:
            self._approaches = ""  # an approach that was given up, with all that was planned
        if self._approaches and now_s <= self._until_s:
            return self._approaching()
        if self._approaches:
            self._approaches, self._approached = "", True
            self._schedule.abandon()
        takeover = self._schedule.first(now_s)
        if takeover is None or measured is None or limits is None:
            # A refused plan is reported until there is another one.
            waits = self._refused and self._schedule.in_force is None
            return Verdict(State.HOLDING, Reason.START_REFUSED, self._refused) if waits else None
        names, first = self._spec.joint_names, _next_row(takeover.plan.chunk, now_s)
        text = self.gate.state_problem(measured, limits, names)
        text = text or self.gate.action_problem(first, measured, limits, names)
        if not text:
            self._refused = ""
            return None
        if self._approached or not self._can_approach(limits):
            self._refused = _remedied(text)
            self._schedule.replace_first(None)
            return Verdict(State.HOLDING, Reason.START_REFUSED, self._refused)
        chunk = approach_chunk(
            measured,
            first,
            limits,
            self.gate.approach_share,
            start_s=now_s,
            period_s=self._spec.period_s,
            joint_names=names,
        )
        self._schedule.replace_first(chunk)
        self._approaches, self._until_s = text, chunk.end_s + _SETTLE_S
        return self._approaching()

    def _can_approach(self, limits: JointLimits) -> bool:
        """Return whether the robot may be led to the first action; velocities lead nowhere."""
        are_all = limits.velocities is not None and bool(limits.velocities.chosen.all())
        return self.gate.approach_share > 0 and not are_all

    def _approaching(self) -> Verdict:
        text = f"approaching slowly, for {self._approaches}"
        return Verdict(State.RUNNING, Reason.START_REFUSED, text)


def _next_row(chunk: ActionChunk, now_s: float) -> np.ndarray:
    """Return the row (Da,) that would be reached first, those in the past left out."""
    past = math.ceil((now_s - chunk.start_s) / chunk.period_s - 1e-6)
    row: np.ndarray = chunk.actions[min(max(past, 0), len(chunk.actions) - 1)]
    return row


def _remedied(text: str) -> str:
    return (
        f"{text}: move the robot to where demonstrations began, set "
        "start.approach_slowly, or raise start.margin or start.distance"
    )
