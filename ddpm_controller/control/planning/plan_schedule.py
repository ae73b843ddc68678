"""Which plan is awaited, which one waits to be followed, and which one is in force."""

import math
from dataclasses import replace

from ddpm_controller.control.moving.cartesian_box import BoxGuard
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.control.observing.observation_buffer import ObservationBuffer
from ddpm_controller.control.plan_request import PlanRequest, Takeover
from ddpm_controller.control.planning.chunk_check import ChunkTolerance, chunk_verdict
from ddpm_controller.control.planning.deadline import Deadline, PlanCost, UsualDelay
from ddpm_controller.control.planning.plan_memory import STEPS, PlanMemory
from ddpm_controller.control.planning.plan_pace import PlanPace
from ddpm_controller.control.states import Reason, State, Verdict
from ddpm_controller.types import ActionChunk, ActionSpec, Memory, Plan

_SAME_MOMENT_S = 1e-6
"""Sums of periods are off by rounding; what is so near is the same moment."""


class PlanSchedule:
    """Book-keeping of plans, by time and by epoch; one plan is awaited at a time.

    Args:
        action_spec: The joints a chunk must have, and the policy's clock.
        n_obs_steps: Observations in a window.
        replan_period_s: Time between two requests; less where chunks are short or plans slow.
        period_s: Time between ticks.
        lead_s: A row is sent so much before its moment.
        committed_s: Time ahead that is sent already and not changed any more: a plan counts
            from its end on.
        deadline: Chooses the denoising steps of plans; None: as the policy does.

    Attributes:
        memory: What the policy remembers.

    Raises:
        ValueError: A time or a number is out of range.
    """

    def __init__(
        self,
        action_spec: ActionSpec,
        n_obs_steps: int,
        replan_period_s: float,
        period_s: float,
        lead_s: float = 0.0,
        deadline: Deadline | None = None,
        *,
        committed_s: float = 0.0,
    ) -> None:
        if not replan_period_s > 0 or n_obs_steps < 1:
            raise ValueError(
                f"replan_period_s and n_obs_steps must be above 0, got {replan_period_s} "
                f"and {n_obs_steps}"
            )
        if not 0 <= lead_s < math.inf:
            raise ValueError(f"lead_s must be finite and not below 0, got {lead_s}")
        self._action_spec = action_spec
        self._lead_s, self._ahead_s = lead_s, lead_s + committed_s
        self._delay = UsualDelay()
        self._pace = PlanPace(replan_period_s, period_s, deadline)
        self._n_obs_steps = n_obs_steps
        self.epoch = 0
        self.memory = PlanMemory()
        self._plan_number = 0
        self._awaited: PlanRequest | None = None
        self._pending: Takeover | None = None
        self._pending_since_s: float | None = None
        self._current: Takeover | None = None
        self._failure, self._failure_reason = "", Reason.PLAN_FAILED
        self._late = ""
        self._note = ""

    def ask_within(self, longest_s: float) -> None:
        """Request plans at most so far apart, s, from the next one on."""
        self._pace.ask_within(longest_s)

    @property
    def has_policy(self) -> bool:
        """Whether plans can be asked for."""
        return self.memory.now is not None

    @property
    def awaits_plan(self) -> bool:
        """Whether a plan has been asked for and has not come."""
        return self._awaited is not None

    def sent_ahead(self, chunk: ActionChunk) -> ActionChunk:
        """Return a chunk with its rows at the moments at which they are sent."""
        return replace(chunk, start_s=chunk.start_s - self._lead_s)

    def start(self, memory: Memory | None) -> None:
        """Begin a run with the policy's initial memory."""
        self.memory.begin(memory)
        self._plan_number = 0
        self.abandon()

    def use_policy(
        self,
        n_obs_steps: int,
        memory: Memory,
        num_inference_steps: int | None = None,
        *,
        keeps_memory: bool = False,
    ) -> None:
        """Ask another policy from the next request on; drop a plan that is being made.

        Args:
            n_obs_steps: Observations in a window.
            memory: Its initial memory.
            num_inference_steps: That it takes when there is time; None: as the one before.
            keeps_memory: It continues from what the one before remembered.
        """
        self._n_obs_steps = n_obs_steps
        if num_inference_steps is not None:
            self._pace.use(num_inference_steps)
        self._pace.begin()
        if not keeps_memory:
            self._delay.restart()
        self.epoch += 1
        self.memory.hand_over(memory, self.epoch, keeps=keeps_memory)
        self._awaited = None
        self._failure = ""

    def abandon(self, why: str = "") -> None:
        """Drop the chunk in force, the one that waits and the plan that is being made.

        What the policy remembers of them goes too: the next plan must not continue from a chunk
        that the robot has left. Within a run ``why`` is reported.
        """
        self.epoch += 1
        self.memory.forget(self.epoch, why)
        self._awaited = None
        self._pending = None
        self._current = None
        self._failure = ""
        self._late = ""
        self._pace.begin()

    def request(self, buffer: ObservationBuffer, now_s: float) -> PlanRequest | None:
        """Return what to plan for when a plan is due at ``now_s`` and none is awaited."""
        remembered = self.memory.now
        if remembered is None or self._awaited is not None or not self._pace.is_due(now_s):
            return None
        window = buffer.window(now_s, self._n_obs_steps, self._action_spec.period_s)
        if window is None:
            return None
        num_steps = None
        if self._pace.chooses_steps and STEPS in remembered:
            ends_s = self._end_s(self._current) if self._current is not None else None
            num_steps = self._pace.chosen_steps(now_s, ends_s)
            if num_steps is None:
                return None
        memory = self.memory.asked(remembered, self._plan_number, num_steps, self._settled_s)
        self._awaited = PlanRequest(
            window, memory, self._plan_number, self.epoch, now_s, num_steps
        )
        self._plan_number += 1
        self._pace.asked(now_s)
        return self._awaited

    def ask_anew(self, request: PlanRequest, why: str) -> PlanRequest:
        """Return a request that was just made as one for a plan that remembers nothing.

        The chunk in force is followed on; it and a plan that waits leave nothing behind.
        """
        self.epoch += 1
        self.memory.forget(self.epoch, why)
        assert self.memory.now is not None
        memory = self.memory.asked(
            self.memory.now,
            request.plan_number,
            request.num_inference_steps,
            self._settled_s,
        )
        self._awaited = replace(request, memory=memory, epoch=self.epoch)
        return self._awaited

    def accept(
        self,
        plan: Plan,
        request: PlanRequest,
        limits: JointLimits | None = None,
        tolerance: ChunkTolerance | None = None,
        guard: BoxGuard | None = None,
    ) -> str:
        """Keep a plan for the next tick; return why it was refused, or an empty text.

        See ``chunk_verdict`` for what limits, tolerance and guard refuse.
        """
        if request.epoch != self.epoch:
            return "the plan belongs to an older run"
        verdict = chunk_verdict(
            plan.chunk, request.requested_s, self._action_spec, limits, tolerance, guard
        )
        if verdict.problem:
            self.fail(request, verdict.problem, verdict.reason)
            return verdict.problem
        self._awaited = None
        self._failure = ""
        rows_last_s = max(plan.chunk.end_s - plan.chunk.start_s - self._ahead_s, 0.0)
        if problem := self._pace.came(request.requested_s, rows_last_s):
            return problem
        self._pending, self._note = Takeover(plan, request), verdict.note
        self._pending_since_s = None
        return ""

    def note_time(
        self, request: PlanRequest, inference_time_s: float, relative_cost: float = 1.0
    ) -> None:
        """Note what a plan has cost, before it is accepted.

        Args:
            request: What it was made from.
            inference_time_s: Its time.
            relative_cost: Relative cost of it, to that of one that continues from the plan before.
        """
        if request.num_inference_steps is not None:
            self._pace.note(request.num_inference_steps, inference_time_s, relative_cost)

    @property
    def has_pending(self) -> bool:
        """Whether a plan has come that no tick has taken over yet."""
        return self._pending is not None

    @property
    def expected_delay_s(self) -> float:
        """Time until a plan is followed, from the time it is asked for; 0 before the first one."""
        return self._delay.expected_s

    @property
    def _settled_s(self) -> float:
        """Time behind a request in which what the robot does is settled: rows are sent ahead."""
        return self._delay.expected_s + self._ahead_s

    @property
    def plan_cost(self) -> PlanCost | None:
        """What plans take, where their steps are chosen and as far as is known."""
        return self._pace.cost

    def fail(self, request: PlanRequest, error: str, reason: Reason = Reason.PLAN_FAILED) -> None:
        """Note that no plan came of ``request``; the chunk in force is followed to its end."""
        if request.epoch == self.epoch:
            self._awaited = None
            self._failure, self._failure_reason = error, reason

    @property
    def in_force(self) -> Takeover | None:
        """The plan that is followed, or was to its end."""
        return self._current

    def first(self, now_s: float) -> Takeover | None:
        """Return the plan that waits to be the first one in force, if there is one."""
        return self._usable(now_s) if self._current is None else None

    def replace_first(self, chunk: ActionChunk | None) -> None:
        """Follow ``chunk`` in place of the plan that waits, or nothing; that plan is forgotten."""
        waits, self._pending = self._pending, None
        if waits is None:
            return
        if chunk is not None:
            plan = Plan(chunk, waits.request.memory)
            self._pending = Takeover(plan, waits.request, is_approach=True)

    def advance(self, now_s: float) -> None:
        """Note the time: from its first tick on a plan that has come could be followed."""
        if self._pending is not None and self._pending_since_s is None:
            self._pending_since_s = now_s

    def take(self, now_s: float) -> Takeover | None:
        """Return the plan that waits, once; from now on it is the one in force.

        Only now it is remembered: a plan that the robot never follows leaves nothing behind.
        """
        takeover = self._usable(now_s)
        self._pending = None
        if takeover is not None:
            before = None if self._current is None else self._current.plan.chunk
            takeover = replace(takeover, taken_s=now_s, before=before)
            self._current = takeover
            self._note_delay(takeover, now_s)
            self.memory.take(takeover.plan.memory, takeover.request.epoch)
        return takeover

    def verdict(self, now_s: float) -> Verdict:
        """Return whether there is a chunk to follow at ``now_s``, or why not."""
        running = Verdict(State.RUNNING, text=self._note and f"the chunk asks for {self._note}")
        if self._usable(now_s) is not None:
            return running
        current = self._current
        if current is not None and now_s <= self._end_s(current) + _SAME_MOMENT_S:
            return running
        if self._pace.too_slow:
            return Verdict(State.HOLDING, Reason.TOO_SLOW, self._pace.too_slow)
        if self._failure:
            return Verdict(State.HOLDING, self._failure_reason, self._failure)
        if self._current is None and not self._late:
            return Verdict(State.HOLDING, Reason.NO_PLAN, "no chunk has been planned yet")
        text = self._late or "the chunk has ended and no newer one has come"
        return Verdict(State.HOLDING, Reason.PLAN_LATE, text)

    def _note_delay(self, takeover: Takeover, now_s: float) -> None:
        """Note how late a plan was; while it waits for a robot to be put in place it is not."""
        requested_s = takeover.request.requested_s
        there_s = now_s if self._pending_since_s is None else self._pending_since_s
        self._delay.add(there_s - requested_s)
        self._pace.followed(requested_s, self._delay.expected_s)

    def _usable(self, now_s: float) -> Takeover | None:
        """Return the plan that waits, unless all of it is past already."""
        if self._pending is None:
            return None
        end_s = self._end_s(self._pending)
        if now_s <= end_s:
            self._late = ""
            return self._pending
        self._late = (
            f"the plan came {now_s - end_s:.2f} s after the end of its chunk: it was asked "
            f"for {now_s - self._pending.request.requested_s:.2f} s ago"
        )
        return None

    def _end_s(self, takeover: Takeover) -> float:
        """Return when the last row is sent."""
        return takeover.plan.chunk.end_s - self._ahead_s
