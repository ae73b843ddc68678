"""One run of a robot under a policy: observations and plans go in, commands come out.

The node's control thread and the evaluation in one process both drive this object, so that the
same stamps, observations and plans give the same commands, bit for bit.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ddpm_controller.control.command import Command
from ddpm_controller.control.loop_settings import LoopSettings, PolicyTerms
from ddpm_controller.control.moving.cartesian_box import BoxGuard, box_guard
from ddpm_controller.control.moving.leading_motion import LeadingMotion
from ddpm_controller.control.moving.motion_loop import (
    MotionLoop,
    Order,
    Sent,
    can_tighten,
    is_near,
)
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.control.moving.stopping import longest_stop_s
from ddpm_controller.control.observing.follow_watch import FollowWatch
from ddpm_controller.control.observing.observation_watch import ObservationWatch
from ddpm_controller.control.plan_request import PlanRequest, Takeover
from ddpm_controller.control.planning.deadline import Deadline
from ddpm_controller.control.planning.departure_watch import DepartureWatch
from ddpm_controller.control.planning.distribution_watch import DistributionWatch
from ddpm_controller.control.planning.plan_schedule import PlanSchedule
from ddpm_controller.control.planning.start_check import StartCheck, place_problem
from ddpm_controller.control.right_of_way import RightOfWay
from ddpm_controller.control.states import OBSERVATION_REASONS, Reason, State, Verdict
from ddpm_controller.types import Memory, Plan

NO_LIMITS = "no joint limits yet: nothing has come on robot_description"
_MARGIN_PERIODS = 2
"""A plan is taken over at the tick after it came; one more for the jitter of its time."""


class ControlLoop:
    """Buffer, plan schedule, follower and governor of one run.

    What is decided here, ``MotionLoop`` carries out, in this process or in another one.

    Args:
        settings: All that does not change while it runs, and what the first policy brings.

    Attributes:
        settings: The same.
        watch: Observed streams.
        schedule: Plans.
        start_check: First plan of a run.
        distribution: Monitor of what the policy does not know.
        departure: Monitor of what the joints do that was not planned.
        right_of_way: What others leave to this loop.
        following: Monitor of whether the joints go where they are led.

    Raises:
        ValueError: No stream measures the commanded joints.
    """

    _motion: MotionLoop | LeadingMotion | None
    _guard: BoxGuard | None
    _limits: JointLimits | None
    _first_limits: JointLimits | None
    _newer_limits: JointLimits | None
    _outdated: Verdict | None
    _sent: Sent | None
    _led: np.ndarray | None

    def __init__(self, settings: LoopSettings) -> None:
        self.settings = settings
        spec, policy = settings.action_spec, settings.policy
        self.watch = ObservationWatch(
            settings.streams,
            settings.max_ages_s,
            spec,
            settings.max_lead_s,
            settings.filters,
            settings.rules,
        )
        self.schedule = _schedule(settings)
        self.schedule.ask_within(policy.replan_period_s)
        self.start_check = StartCheck(spec, self.schedule, policy.gate)
        self.distribution = DistributionWatch(settings.out_of_distribution_plans)
        self.departure = DepartureWatch(
            spec, settings.fade_s, policy.departure, committed_s=settings.committed_s
        )
        self.right_of_way = RightOfWay()
        names, units = spec.joint_names, spec.units
        self.following = FollowWatch(names, units, settings.follow, spec.are_velocities)
        self._limits = self._first_limits = self._newer_limits = self._outdated = None
        if settings.limits is not None:
            self.take_limits(settings.limits)
        self._no_limits_text = NO_LIMITS
        self._motion = self._guard = self._sent = self._led = None
        self._has_begun = self._keep_position = self._stopping = False
        self._jump, self._quiet_s = "", math.nan
        self._jump_over_s = self._free_s = -math.inf
        self._kept: np.ndarray | None = None
        self._remember(policy.n_obs_steps)

    # What comes in

    def start(
        self,
        memory: Memory | None,
        *,
        not_before_s: float | None = None,
        keep_position: bool = False,
    ) -> None:
        """Begin a run: forget what was seen and planned, count plans from 0.

        Args:
            memory: The policy's initial memory; None while there is no policy.
            not_before_s: What was observed before this is forgotten and ignored; -inf keeps
                all, None forgets all and takes whatever comes.
            keep_position: Go on from the last command where the robot is still near it;
                otherwise the first command is the measured position.
        """
        self.watch.start(not_before_s)
        self.following.start()
        self.schedule.start(memory)
        self.right_of_way.begin()
        self._begin_again(keep_position)
        self._stopping = False
        self._jump = ""

    def use_policy(
        self, policy: PolicyTerms, memory: Memory | None, *, keeps_memory: bool = False
    ) -> None:
        """Plan on other terms from the next plan on; the chunk in force is followed on.

        Args:
            policy: What the policy brings.
            memory: Its initial memory; None: it is the one that plans already, loaded once more,
                and its plans continue.
            keeps_memory: It continues from what the one before remembered.
        """
        self.start_check.gate = policy.gate
        self.departure.limit = policy.departure
        if memory is None:
            return
        self._remember(policy.n_obs_steps)
        self.schedule.ask_within(policy.replan_period_s)
        self.schedule.use_policy(
            policy.n_obs_steps, memory, policy.num_inference_steps, keeps_memory=keeps_memory
        )
        self.distribution.begin()

    def take_limits(self, limits: JointLimits) -> None:
        """Take the limits of the joints; nothing has been sent before they are known.

        Raises:
            ValueError: There are some already, which count until the loop ends.
        """
        if self._limits is not None:
            raise ValueError("the loop has joint limits already: build another one")
        self._limits = self._first_limits = limits
        joints = limits.of_joints
        self.watch.joints.take_limits(joints.lower, joints.upper, joints.velocity)

    def note_newer_limits(self, limits: JointLimits) -> None:
        """Slow down to limits that came meanwhile where they are stricter; looser ones wait.

        Where the robot cannot be led into them it stops and stays at rest, until others come.
        """
        before, names = self._limits, self.settings.action_spec.joint_names
        stricter = before.stricter_in(limits, names) if before is not None else ""
        self._outdated = None
        if before is None or not stricter:
            return
        ends = (limits.lower > before.lower) | (limits.upper < before.upper)
        both = self._stricter(before, limits)
        if both is not None:
            self._limits = self._newer_limits = both
            return
        self._outdated = Verdict(
            State.HOLDING,
            Reason.LIMIT_POSITION if ends.any() else Reason.LIMIT_VELOCITY,
            f"stricter limits came ({stricter}): deactivate and activate to move within them",
        )
        self.schedule.abandon(self._outdated.text)

    def _demanded(self) -> JointLimits | None:
        """Return the limits that a policy must know: slowing it down later makes no plan wrong."""
        if self._limits is None or self._first_limits is None:
            return None
        return replace(self._limits, velocity=self._first_limits.velocity)

    def _stricter(self, before: JointLimits, limits: JointLimits) -> JointLimits | None:
        """Return the stricter of both limits; None where the robot cannot be led into them."""
        if not can_tighten(before, limits):
            return None
        led = self._led if self._has_begun else None
        if led is not None and ((led < limits.lower) | (led > limits.upper)).any():
            return None
        try:
            both = before.strictest(limits)
            self.settings.motion(both)
        except ValueError:  # nothing is left of a limit
            return None
        return both

    def refuse_limits(self, problem: str) -> None:
        """Note why the limits that came cannot be used."""
        self._no_limits_text = problem

    def observe(
        self,
        name: str,
        stamp_s: float,
        value: np.ndarray,
        present: np.ndarray | None = None,
        arrived_s: float | None = None,
    ) -> str:
        """Take one value of a stream; return why it was refused: see ``ObservationWatch``."""
        return self.watch.observe(name, stamp_s, value, present, arrived_s)

    def refuse(self, name: str, error: str, elements: Sequence[str] = ()) -> str:
        """Note that the newest message of a stream cannot be used: see ``ObservationWatch``."""
        return self.watch.refuse(name, error, elements)

    def stop(self) -> None:
        """Come to rest and stay there until ``start``."""
        self._stopping = True
        self.schedule.abandon()

    def accept(self, plan: Plan, request: PlanRequest) -> str:
        """Take a plan for the next tick; return why it was refused, or an empty text."""
        demanded, tolerance = self._demanded(), self.settings.tolerance
        problem = self.schedule.accept(plan, request, demanded, tolerance, self._box_guard())
        if not problem:
            self.distribution.note(plan)
        return problem

    def fail(self, request: PlanRequest, error: str) -> None:
        """Note that the policy raised ``error`` for ``request``."""
        self.schedule.fail(request, error)

    # What comes out

    def plan_request(self, now_s: float) -> PlanRequest | None:
        """Return what to plan for when a plan is due at ``now_s``; ask once per plan."""
        if self._stopping or self._jump or self._limits is None or self.right_of_way.problem:
            return None
        if self._outdated is not None:
            return None
        if self.following.holds:
            return None
        if self.start_check.is_approaching or self.watch.problem(now_s) is not None:
            return None
        # A plan of before would be past, or caught up with in haste.
        if now_s < self._free_s - max(self.schedule.expected_delay_s, self.settings.period_s / 2):
            return None
        # Another one would take the place of the first and continue from it, never followed.
        if now_s < self._free_s and self.schedule.has_pending:
            return None
        request = self.schedule.request(self.watch.buffer, now_s)
        if request is None:
            return None
        measured, stamps_s = self.watch.measured_in(request.window[-1])
        departed = self.departure.problem(self.schedule.in_force, measured, stamps_s)
        if departed:
            request = self.schedule.ask_anew(request, departed)
        return replace(request, window=self.watch.masked_window(request.window, now_s))

    def tick(self, now_s: float) -> Command:
        """Decide what to do at ``now_s`` and return the command for it."""
        self.advance(now_s)
        return self.follow(now_s, self.decide(now_s))

    def advance(self, now_s: float) -> None:
        """Note the time; when it has jumped, stop, then begin again with what is seen since."""
        jump = self.watch.advance(now_s)
        self.schedule.advance(now_s)
        if jump:
            self.following.forget()
            self.schedule.abandon(jump)
            stop_s = self.longest_stop_s + self.settings.period_s if self._has_begun else 0.0
            self._jump, self._jump_over_s = jump, now_s + stop_s
            self._quiet_s = math.nan
        if self._jump and now_s >= self._jump_over_s:
            self._jump = ""
            self._begin_again(keep_position=True)
        self._yield(now_s)

    def _yield(self, now_s: float) -> None:
        """Fall silent once the robot is at rest, where others forbid to command."""
        problem = self.right_of_way.problem
        if problem is None or not self._has_begun:
            self._quiet_s = math.nan
        elif math.isnan(self._quiet_s):
            self.schedule.abandon(problem.text)
            stop_s = self.settings.committed_s + self.longest_stop_s
            self._quiet_s = now_s + stop_s + self.settings.period_s
        elif now_s >= self._quiet_s:
            self._begin_again(keep_position=False)

    def lose_motion(self) -> None:
        """Begin again where the robot is measured: what carried out the orders is gone."""
        self.schedule.abandon("what carried out the orders is gone")
        if self._limits is not self._first_limits:
            self._newer_limits = self._limits
        self._begin_again(keep_position=False)

    def take_up(self, sent: Sent, now_s: float) -> None:
        """Go on from what was sent before the motion was lost, if the robot is still near it."""
        measured = self.watch.measured(now_s)
        if self._limits is None or measured is None:
            return
        if is_near(measured, sent.motion.position, self._limits):
            self._sent, self._has_begun, self._free_s = sent, True, -math.inf
            self.following.begin(sent.stamp_s, sent.motion.position)

    def note_led(self, moment_s: float, position: np.ndarray | None) -> None:
        """Note where the robot is led, (Da,), at a moment that may be ahead of now."""
        if position is not None:
            self._led = position
            self.following.lead(moment_s, position)

    def note_begun(self, committed_s: float) -> None:
        """Note up to which moment the rest is committed with which the present run begins."""
        if self._has_begun and self.settings.stream is not None:
            self._free_s = committed_s - self.settings.committed_s

    def decide(self, now_s: float) -> Verdict:
        """Return what may be done at ``now_s``, with the reason."""
        self._look_whether_followed(now_s)
        if not self._has_begun:
            blocked = self._start_problem(now_s)
            if blocked is not None:
                return blocked
        elif self.right_of_way.stopping is not None:
            return self.right_of_way.stopping
        if self._stopping:
            return Verdict(State.HOLDING, Reason.DEACTIVATED, "stopped by request")
        if self._jump:
            return Verdict(State.HOLDING, Reason.CLOCK_JUMP, self._jump)
        if self._outdated is not None:
            return self._outdated
        if not self.schedule.has_policy:
            return Verdict(State.HOLDING, Reason.NO_CHECKPOINT, "no checkpoint is loaded")
        return (
            self.watch.judge(now_s)
            or self.following.verdict(now_s)
            or self.distribution.problem()
            or self.start_check.plan(self.watch.measured(now_s), self._limits, now_s)
            or self._beginning(now_s)
            or self.schedule.verdict(now_s)
        )

    def _look_whether_followed(self, now_s: float) -> None:
        """Stop a robot that does not go where it is led; begin again where it stands."""
        newest = self.watch.newest_measured(now_s)
        if not self._has_begun or self._limits is None or newest is None or self._jump:
            return
        stop_s = self.longest_stop_s + self.settings.committed_s + self.settings.period_s
        tolerance = self._limits.follow
        stamps_s, measured = newest
        event = self.following.look(now_s, stamps_s, np.nan_to_num(measured), tolerance, stop_s)
        if event == "stops":
            self.schedule.abandon(self.following.text)
        elif event == "begins" and not self._stopping:
            kept = self.following.kept(tolerance)
            self._begin_again(keep_position=False)
            self._kept = kept

    def _beginning(self, now_s: float) -> Verdict | None:
        """Return that a run still begins: a plan is taken over once a moment is free for it."""
        if now_s >= self._free_s:
            return None
        return Verdict(State.HOLDING, Reason.NO_PLAN, "the run begins with a rest")

    def order(self, now_s: float, verdict: Verdict) -> tuple[Order, Takeover | None]:
        """Return what carries out ``verdict`` from ``now_s`` on, and the plan taken over for it.

        What it returns has happened then: a chunk is handed out once, and so is the beginning.
        """
        if verdict.state in (State.WAITING, State.INACTIVE):
            return Order(verdict), None
        begin_at = None if self._has_begun else self._begin_at(now_s)
        keep_position, self._has_begun = self._keep_position, True
        if begin_at is not None:
            assert self._limits is not None
            self.following.begin(now_s, self._limits.resting(begin_at))
        sent, self._sent = self._sent, None
        takeover = None
        if verdict.state == State.RUNNING:
            takeover = self.schedule.take(now_s)
        elif verdict.reason in OBSERVATION_REASONS:
            self.schedule.abandon(verdict.text)
        chunk = self.schedule.sent_ahead(takeover.plan.chunk) if takeover else None
        needs_measured = self._limits is not None and self._limits.need_measured
        measured = self.watch.measured(now_s) if needs_measured else None
        limits, self._newer_limits = self._newer_limits, None
        order = Order(verdict, chunk, begin_at, keep_position, measured, sent, limits)
        return order, takeover

    def follow(self, now_s: float, verdict: Verdict) -> Command:
        """Return the command that carries out ``verdict`` at ``now_s``."""
        order, takeover = self.order(now_s, verdict)
        if self._limits is None:
            return Command(now_s, None, verdict.state, verdict.reason, verdict.text)
        motion = self._motion_within()
        command = motion.follow(now_s, order)
        if order.begin_at is not None and isinstance(motion, LeadingMotion):
            self.note_begun(motion.stream.end_s)
        self.note_led(now_s, command.position)
        return replace(command, takeover=takeover) if takeover else command

    def late_streams(self, now_s: float) -> list[str]:
        """Return the streams that the command for ``now_s`` waits for in lockstep."""
        return self.watch.late(now_s, self.settings.period_s / 2)

    @property
    def limits(self) -> JointLimits | None:
        """Limits of the joints with which a motion begins; None while they are not known.

        Stricter ones that come later are part of an order.
        """
        return self._first_limits

    @property
    def longest_stop_s(self) -> float:
        """Time within which every stop ends, s."""
        stop_s = self.settings.stop_s
        given = (each for each in (self._first_limits, self._limits) if each is not None)
        return max((longest_stop_s(stop_s, each) for each in given), default=stop_s)

    def _motion_within(self) -> MotionLoop | LeadingMotion:
        if self._motion is None:
            assert self._first_limits is not None
            self._motion = self.settings.motion(self._first_limits)
        return self._motion

    def _box_guard(self) -> BoxGuard | None:
        if self._guard is None and self._limits is not None:
            self._guard = box_guard(self._limits)
        return self._guard

    def _remember(self, n_obs_steps: int) -> None:
        window_s = (n_obs_steps + 1) * self.settings.action_spec.period_s
        self.watch.buffer.history_s = window_s + self.settings.history_s

    def _begin_again(self, keep_position: bool) -> None:
        # Once a position is not to be kept, it is not until the next beginning.
        self._keep_position = keep_position and (self._keep_position or self._has_begun)
        self._has_begun, self._sent, self._kept = False, None, None
        self.following.forget()
        # What moves knows when it is free, and reports it once it has begun.
        self._free_s = math.inf if self.settings.stream is not None else -math.inf
        self.start_check.begin()
        self.distribution.begin()
        self.departure.begin()

    def _begin_at(self, now_s: float) -> np.ndarray | None:
        """Return where the robot is, (Da,); a joint that need not follow keeps its command."""
        measured, kept = self.watch.measured(now_s), self._kept
        if measured is None or kept is None or self._limits is None:
            return measured
        step = self._limits.step
        kept = np.minimum(np.maximum(kept, measured - step), measured + step)
        return np.where(np.isnan(kept), measured, kept)

    def _start_problem(self, now_s: float) -> Verdict | None:
        """Return why the first command of a run cannot be sent yet, or None."""
        if self._limits is None:
            return Verdict(State.WAITING, Reason.NO_OBSERVATION, self._no_limits_text)
        names = self.settings.action_spec.joint_names
        problem = place_problem(self.watch, self._limits, names, self._box_guard(), now_s)
        measured = self.watch.measured(now_s)
        if problem is not None or measured is None:
            return problem
        return self.right_of_way.problem or self.start_check.state(measured, self._limits)


def _schedule(settings: LoopSettings) -> PlanSchedule:
    """Return the schedule of a run that has no plan yet."""
    return PlanSchedule(
        settings.action_spec,
        settings.policy.n_obs_steps,
        settings.replan_period_s,
        settings.period_s,
        settings.lead_s,
        _deadline(settings),
        committed_s=settings.committed_s,
    )


def _deadline(settings: LoopSettings) -> Deadline | None:
    """Return what chooses the denoising steps of plans; None where that is not asked for."""
    if settings.min_inference_steps == 0:
        return None
    deadline = Deadline(settings.min_inference_steps, _MARGIN_PERIODS * settings.period_s)
    deadline.use(settings.policy.num_inference_steps)
    return deadline
