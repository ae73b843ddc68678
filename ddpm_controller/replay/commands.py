"""Every recorded command computed again from the recorded chunks, ticks and decisions."""

import bisect
import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ddpm_controller.bags.files import BagError
from ddpm_controller.control.deployment import Deployment
from ddpm_controller.control.moving.cartesian_box import box_guard
from ddpm_controller.control.moving.leading_motion import LeadingMotion, motion_of
from ddpm_controller.control.moving.motion_loop import Order, Sent
from ddpm_controller.control.moving.path import in_nanoseconds
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.control.planning.chunk_check import chunk_verdict
from ddpm_controller.control.states import Reason, State, Verdict
from ddpm_controller.replay.measured import MeasuredPositions, followed
from ddpm_controller.replay.plans import Difference
from ddpm_controller.replay.recorded_run import RecordedChunk, RecordedCommand, RecordedRun
from ddpm_controller.robots.loop_settings import deployment_from, loop_settings
from ddpm_controller.types import ActionChunk

_SAME_MOMENT_S = 1e-6
_SPACING_S = 0.01
"""Points of a motion are no further apart, or each tick has one."""
_UNTOLD = 3
"""Number of last commands among which is the last one that a dead process reported."""


@dataclass(frozen=True)
class CommandComparison:
    """What computing all commands again has shown.

    Attributes:
        count: Commands compared; the first of each run is given, not compared.
        num_equal: Number of these, equal bit for bit.
        num_runs: Times that the controller started afresh.
        first: The first difference, if any.
        num_before: Commands along a chunk from before the recording began, which are given.
    """

    count: int
    num_equal: int
    num_runs: int
    first: Difference | None
    num_before: int = 0


def compare_commands(run: RecordedRun) -> CommandComparison:
    """Drive a motion loop through the recorded ticks.

    A run begins where the robot is measured; that first command is taken from the bag. Where the
    bag begins within a run, so are those up to the first chunk that is in it. Where the process
    that commands has died and another one has gone on, it has from one of the last commands.

    Raises:
        BagError: The bag lacks the status, the commands or robot_description, or its trajectories
            were stamped 0.
    """
    if run.limits is None or not run.commands or not run.statuses:
        raise BagError(
            f"bag {run.bag}: commands can be compared only with robot_description "
            f"({'there' if run.limits else 'missing'}), stamped commands ({len(run.commands)}) "
            f"and controller/status ({len(run.statuses)})"
        )
    deployment = _deployment(run)
    if deployment.stream_settings is not None and not deployment.lockstep:
        if deployment.stream_stamp == "zero":
            raise BagError(
                f"bag {run.bag}: its commands count from arrival (command.stream_stamp zero), "
                "which is not in it; only those with absolute stamps can be compared"
            )
        return _compare_streamed(run, run.limits, deployment)
    player = _Player(run, run.limits, deployment)
    ticks = list(run_ticks(run))
    num_before = _num_before(run, ticks, deployment)
    if 0 < num_before < len(ticks) and not ticks[num_before][1]:
        player.go_on(ticks[num_before - 1][0])
    count = num_equal = 0
    first: Difference | None = None
    sent: deque[RecordedCommand] = deque(maxlen=_UNTOLD)
    for command, begins in ticks[num_before:]:
        is_taken_up = begins and player.takes_up(command, sent)
        if begins and not is_taken_up:
            player.begin(command)
        position: np.ndarray | None = command.position
        if not is_taken_up:
            position = player.tick(command.stamp_s, recorded=command.position)
        sent.append(command)
        refused = player.refused(command.stamp_s)
        difference = refused or command_difference(run, command, position)
        if begins and refused is None:
            continue
        count += 1
        num_equal += difference is None
        first = first or difference
    num_runs = sum(begins for _, begins in ticks)
    return CommandComparison(count, num_equal, num_runs, first, num_before)


def _deployment(run: RecordedRun) -> Deployment:
    deployment = deployment_from(run.parameters, run.robot)
    # 0 before the first activation.
    rate_hz = max(status.control_rate_hz for status in run.statuses)
    return replace(deployment, control_rate_hz=rate_hz or deployment.control_rate_hz)


def _compare_streamed(
    run: RecordedRun, limits: JointLimits, deployment: Deployment
) -> CommandComparison:
    """Drive a motion loop from moment to moment of the points that were not replaced.

    Where the motion begins, and where it resumes after a hole, is given.
    """
    run = _in_moments(run, deployment.stream_lead_s)
    player = _Player(run, limits, deployment)
    ticks = list(run_ticks(run))
    steps = _steps(run.commands, 1.0 / deployment.control_rate_hz)
    count = num_equal = num_before = 0
    first: Difference | None = None
    is_known, begins, in_stop, last = False, False, False, run.commands[0]
    for i, (command, is_first) in enumerate(ticks):
        begins = begins or is_first
        if steps[i] == "first":
            in_stop = all(player.is_stop(last, each) for each, _ in ticks[i : i + 2])
        if in_stop:
            continue  # by chance two of its points are a period apart
        if steps[i] == "first":
            player.resume(command, keeps_chunk=not begins)
            assert command.motion is not None
            is_known = is_known or not begins or not command.motion.velocity.any()
            begins, last = False, command
        elif steps[i] == "next" and not is_known:
            before = ticks[i - 1][0]
            is_known = player.takes_over(before.stamp_s, command.stamp_s)
            if is_known:
                last = before
                player.resume(before, keeps_chunk=False)
            else:
                num_before += 1
        if steps[i] == "next" and is_known:
            position, refused = player.lead_to(command.stamp_s, command.position)
            difference = refused or command_difference(run, command, position)
            if difference and player.is_stop(last, command):
                continue  # by chance a period behind the last command
            last = command
            count += 1
            num_equal += difference is None
            first = first or difference
    return CommandComparison(count, num_equal, sum(each for _, each in ticks), first, num_before)


def _in_moments(run: RecordedRun, lead_s: float) -> RecordedRun:
    """Return the run with every status at the moment from which on it counts for commands.

    Where nothing is commanded a status is stamped with the tick, otherwise with a moment ahead.
    """
    silent = (State.INACTIVE, State.WAITING)
    moved = [
        replace(each, stamp_s=each.stamp_s + lead_s) if each.verdict.state in silent else each
        for each in run.statuses
    ]
    return replace(run, statuses=sorted(moved, key=lambda each: each.stamp_s))


def _steps(commands: Sequence[RecordedCommand], period_s: float) -> list[str]:
    """Return what each point is: the ``first`` of a motion, a ``next`` one, or ``between`` them.

    Between two motions there are the points of a stop, or of the way to where a run begins.
    """
    spacing_s = np.diff([each.stamp_s for each in commands])
    num_ticks = np.round(spacing_s / period_s)
    most = max(round(_SPACING_S / period_s), 1)
    is_next = (np.abs(spacing_s - num_ticks * period_s) < _SAME_MOMENT_S) & (num_ticks > 0)
    is_next &= num_ticks <= most
    follows = [False, *is_next.tolist()]
    leads = [*is_next.tolist(), False]
    return [
        "next" if is_behind else "first" if is_before else "between"
        for is_behind, is_before in zip(follows, leads, strict=True)
    ]


class _Player:
    """The motion that was recorded, led by the recorded decisions.

    What was decided is in the recording and is not decided again: who decided and who moved may
    have been two processes, which looked at different moments.
    """

    def __init__(self, run: RecordedRun, limits: JointLimits, deployment: Deployment) -> None:
        self._run, self._limits = run, limits
        self._takeovers = {_microseconds(chunk.takeover_s): chunk for chunk in run.chunks}
        self._status_stamps_s = [status.stamp_s for status in run.statuses]
        self._settings = given = loop_settings(run.robot, None, deployment, limits=limits)
        self._led = motion_of(
            given.action_spec.joint_names,
            limits,
            given.period_s,
            given.stream,
            fade_s=given.fade_s,
            stop_s=given.stop_s,
        )
        self._motion = self._led.motion if isinstance(self._led, LeadingMotion) else self._led
        self._measured = MeasuredPositions(run, limits)
        self._begin_at: np.ndarray | None = None
        self._guard = box_guard(limits)
        self._waiting: ActionChunk | None = None
        self._in_force: ActionChunk | None = None
        self._resumed: Sent | None = None
        self._moment_s = math.inf

    def begin(self, command: RecordedCommand) -> None:
        """Begin a run at rest at ``command``."""
        self._waiting = None
        if self._settings.stream is None:
            self._motion.hold_at(command.position, command.stamp_s)
        else:
            self._begin_at = command.position

    def takes_up(self, command: RecordedCommand, sent: Sequence[RecordedCommand]) -> bool:
        """Go on to ``command`` from one of those that were sent; return whether one leads there.

        A process that dies may have sent a command or two which it had no time to report.
        """
        if self._settings.stream is not None:  # in lockstep there is no other process
            return False
        for last in reversed(sent):
            if last.motion is None or not last.motion.velocity.any():
                continue
            self.go_on(last)
            taken_up = Sent(last.stamp_s, last.motion)
            position = self.tick(command.stamp_s, taken_up, command.position)
            if position is not None and np.array_equal(position, command.position):
                return True
        return False

    def go_on(self, command: RecordedCommand) -> None:
        """Go on from the motion of ``command``, whatever led to it."""
        assert command.motion is not None
        self._waiting = None
        self._motion.go_on(command.motion, command.stamp_s)

    def tick(
        self, now_s: float, sent: Sent | None = None, recorded: np.ndarray | None = None
    ) -> np.ndarray | None:
        """Return the command (Da,) of a recorded tick; None when there should be none.

        Args:
            now_s: The tick.
            sent: Last command of another process, which this one continues from.
            recorded: (Da,) its command, which one of the measured positions should lead to.
        """
        order = replace(self._order(now_s), begin_at=self._begin_at, sent=sent)
        self._begin_at = None
        places = self._measured.before(now_s)
        if isinstance(self._led, LeadingMotion):  # in lockstep, where the newest counts
            newest = places[0] if len(places) else None
            return self._led.follow(now_s, order.measured_at(newest)).position
        self._led, position = followed(self._led, now_s, order, places, recorded)
        self._motion = self._led
        return position

    def _order(self, now_s: float) -> Order:
        taken = self._takeovers.get(_microseconds(now_s))
        if taken is not None:
            chunk = self._chunk(taken)
            self._waiting = replace(chunk, start_s=chunk.start_s - self._settings.lead_s)
        order = Order(self._verdict(now_s))
        if order.verdict.state == State.RUNNING:
            order, self._waiting = replace(order, chunk=self._waiting), None
        return order

    def takes_over(self, after_s: float, until_s: float) -> bool:
        """Whether a plan is taken over after ``after_s`` and not after ``until_s``."""
        return any(after_s < chunk.takeover_s <= until_s for chunk in self._run.chunks)

    def resume(self, command: RecordedCommand, *, keeps_chunk: bool) -> None:
        """Continue from ``command``, along the chunk in force or along none."""
        assert command.motion is not None
        self._resumed, self._moment_s = Sent(command.stamp_s, command.motion), command.stamp_s
        if not keeps_chunk:
            self._in_force = self._waiting = None

    def is_stop(self, last: RecordedCommand, command: RecordedCommand) -> bool:
        """Whether ``command`` is a point of the stop behind ``last``, bit for bit."""
        if last.motion is None or not isinstance(self._led, LeadingMotion):
            return False
        for place in (None, *self._measured.before(self._decided_s(last.stamp_s))):
            stop = self._led.stream.stop_from(last.motion, self._motion.bounds(place))
            at = np.abs(last.stamp_s + stop[0] - command.stamp_s) < _SAME_MOMENT_S
            if any(np.array_equal(rows[0], command.position) for rows in stop[1][at]):
                return True
        return False

    def lead_to(
        self, moment_s: float, recorded: np.ndarray
    ) -> tuple[np.ndarray | None, Difference | None]:
        """Return the command (Da,) of ``moment_s``, and whether a plan should not have led there.

        All moments since the last one count: above the rate of the points some are not recorded.
        """
        position, refused = None, None
        while self._moment_s < moment_s - _SAME_MOMENT_S:
            self._moment_s = in_nanoseconds(self._moment_s + self._settings.period_s)
            order = self._order(self._moment_s)
            if self._resumed is not None:
                chunk = order.chunk or self._in_force
                order, self._resumed = replace(order, sent=self._resumed, chunk=chunk), None
            places = self._measured.before(self._decided_s(self._moment_s))
            is_last = self._moment_s >= moment_s - _SAME_MOMENT_S
            self._motion, position = followed(
                self._motion, self._moment_s, order, places, recorded if is_last else None
            )
            if order.chunk is not None and order.verdict.state == State.RUNNING:
                self._in_force = order.chunk
            if not self._motion.has_chunk:
                self._in_force = None
            refused = refused or self.refused(self._moment_s)
        return position, refused

    def _decided_s(self, moment_s: float) -> float:
        """Return the latest time at which the motion of ``moment_s`` may have been decided."""
        return moment_s - self._settings.committed_s + 2 * self._settings.period_s

    def refused(self, now_s: float) -> Difference | None:
        """Return that the plan which was taken over at ``now_s`` should have been refused.

        An approach is no plan, and a controller that recorded no tolerance had none.
        """
        taken = self._takeovers.get(_microseconds(now_s))
        if taken is None or not taken.checkpoint_hash:
            return None
        known = "chunk_velocity_tolerance" in self._run.parameters
        verdict = chunk_verdict(
            self._chunk(taken),
            taken.requested_s,
            self._run.robot.action_spec,
            self._limits,
            self._settings.tolerance if known else None,
            self._guard,
        )
        if not verdict.problem:
            return None
        where = f"plan {taken.plan_number} (taken over at {now_s:.3f} s)"
        text = f"{where} should have been refused, {verdict.problem}"
        return Difference(text, "all", 0.0, float("nan"))

    def _verdict(self, now_s: float) -> Verdict:
        """Return the newest status; one is published at every change."""
        newest = bisect.bisect_right(self._status_stamps_s, now_s) - 1
        if newest < 0:
            return Verdict(State.WAITING)
        return self._run.statuses[newest].verdict

    def _chunk(self, chunk: RecordedChunk) -> ActionChunk:
        period_s = self._run.robot.action_spec.period_s
        return ActionChunk(chunk.start_s, period_s, chunk.joint_names, chunk.rows)


def _microseconds(moment_s: float) -> int:
    return round(1e6 * moment_s)


def _num_before(
    run: RecordedRun, ticks: Sequence[tuple[RecordedCommand, bool]], deployment: Deployment
) -> int:
    """Return how many commands come before what can be computed: 0 unless a run continues there.

    With the first chunk in the bag the motion is known again, from the command before it; where
    a lead is committed, only with the next run.
    """
    command = ticks[0][0]
    if command.motion is None:
        return 0
    takeovers_s = {chunk.takeover_s for chunk in run.chunks}
    state = next(
        (each.verdict.state for each in reversed(run.statuses) if each.stamp_s <= command.stamp_s),
        run.statuses[0].verdict.state,
    )
    follows = state == State.RUNNING and min(takeovers_s) > command.stamp_s
    if not follows and not command.motion.velocity.any():  # a run begins at rest
        return 0
    for number, (command, begins) in enumerate(ticks):
        is_known = command.stamp_s in takeovers_s and deployment.stream_settings is None
        if number > 0 and (begins or is_known):
            return number
    return len(ticks)


def run_ticks(run: RecordedRun) -> Iterator[tuple[RecordedCommand, bool]]:
    """Yield every command, and whether the controller began a run with it."""
    begins_s = _begins_s(run)
    previous_s = -np.inf
    for command in run.commands:
        between = (
            bisect.bisect_right(begins_s, previous_s),
            bisect.bisect_right(begins_s, command.stamp_s),
        )
        went_back = command.stamp_s < previous_s
        yield command, bool(np.isinf(previous_s) or went_back or between[0] < between[1])
        previous_s = command.stamp_s


def _begins_s(run: RecordedRun) -> list[float]:
    """Return moments after which the next command is the first of a run.

    Either nothing was commanded before; or a robot that did not follow begins again; or plans were
    counted from 0 again: then the run began when it reported that it had no plan, at the latest
    when it took the first one over.
    """
    begins_s = [
        status.stamp_s
        for status in run.statuses
        if status.verdict.state in (State.INACTIVE, State.WAITING)
    ]
    begins_s += [
        status.stamp_s
        for before, status in zip(run.statuses, run.statuses[1:], strict=False)
        if (before.verdict.reason, status.verdict.reason) == (Reason.NOT_FOLLOWED, Reason.NO_PLAN)
    ]
    for previous, chunk in zip(run.chunks, run.chunks[1:], strict=False):
        span = (previous.takeover_s, chunk.takeover_s)
        if chunk.plan_number > previous.plan_number and chunk.seed == previous.seed:
            continue
        if any(span[0] < begin_s <= span[1] for begin_s in begins_s):
            continue
        without_plan_s = [
            status.stamp_s
            for status in run.statuses
            if span[0] < status.stamp_s <= span[1] and status.verdict.reason == Reason.NO_PLAN
        ]
        begins_s.append(min(without_plan_s, default=chunk.takeover_s))
    return sorted(begins_s)


def command_difference(
    run: RecordedRun, command: RecordedCommand, position: np.ndarray | None
) -> Difference | None:
    """Return where a replayed command (Da,) leaves the recorded one, if it does."""
    where = f"command at {command.stamp_s:.3f} s"
    if position is None:
        return Difference(f"{where} should not have been sent", "all", 0.0, float("nan"))
    columns = np.flatnonzero(position != command.position)
    if len(columns) == 0:
        return None
    joint = run.robot.action_spec.joint_names[columns[0]]
    recorded, replayed = command.position[columns[0]], position[columns[0]]
    return Difference(where, joint, float(recorded), float(replayed))
