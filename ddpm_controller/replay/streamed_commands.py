"""Every recorded point of trajectories that end at rest computed again, moment by moment."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest

import numpy as np

from ddpm_controller.control.deployment import Deployment
from ddpm_controller.control.moving.leading_motion import LeadingMotion
from ddpm_controller.control.moving.motion_loop import Sent
from ddpm_controller.control.moving.path import in_nanoseconds
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.control.states import Reason, State
from ddpm_controller.replay.command_comparison import (
    CommandComparison,
    CommandTally,
    command_difference,
)
from ddpm_controller.replay.measured import MeasuredPositions, followed
from ddpm_controller.replay.plans import Difference
from ddpm_controller.replay.recorded_decisions import RecordedDecisions
from ddpm_controller.replay.recorded_run import RecordedCommand, RecordedRun, RecordedStatus
from ddpm_controller.replay.run_ticks import run_ticks, split_at_first_status
from ddpm_controller.types import ActionChunk

_SAME_MOMENT_S = 1e-6
_SPACING_S = 0.01
"""Points of a motion are no further apart, or each tick has one."""


def compare_streamed(
    run: RecordedRun, limits: JointLimits, deployment: Deployment
) -> CommandComparison:
    """Drive a motion loop from moment to moment of the points that were not replaced.

    Where the motion begins, and where it resumes after a hole, is given.
    """
    period_s = 1.0 / deployment.control_rate_hz
    before, run = split_at_first_status(_in_moments(run, deployment.stream_lead_s))
    num_before = _steps(before, period_s).count("next")
    if not run.commands:
        return CommandComparison(0, 0, 0, None, num_before)
    player = _StreamPlayer(run, limits, deployment)
    return _compare_moments(run, player, _steps(run.commands, period_s), num_before)


def _compare_moments(
    run: RecordedRun, player: "_StreamPlayer", steps: Sequence[str], num_before: int
) -> CommandComparison:
    ticks = list(run_ticks(run))
    tally = CommandTally(run)
    is_known, begins, in_stop, last = False, False, False, run.commands[0]
    for i, (command, is_first) in enumerate(ticks):
        if steps[i] == "next" and is_known and _died_between(run, last, command):
            player.resume(last, keeps_chunk=False)  # another process has continued there
            is_first = False
        begins = begins or is_first
        is_known = is_known and not player.lacks_cause(command)
        if steps[i] == "first":
            in_stop = all(player.is_stop(last, each) for each, _ in ticks[i : i + 2])
        if in_stop:
            continue  # by chance two of its points are a period apart
        if steps[i] == "first" or not is_known:
            tally.carry(command.position)
        if steps[i] == "first":
            player.resume(command, keeps_chunk=not begins)
            is_known = is_known or player.rests_at(command)
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
            positions, refused = player.lead_to(command.stamp_s, command.position)
            position = positions[-1] if positions else None
            tally.carry(*positions)
            difference = refused or command_difference(run, command, position)
            if difference and player.is_stop(last, command):
                continue  # by chance a period behind the last command
            last = command
            tally.compare(difference)
    return tally.comparison(sum(each for _, each in ticks), num_before)


def _in_moments(run: RecordedRun, lead_s: float) -> RecordedRun:
    """Return the run with every status at the moment from which on it counts for commands.

    Where nothing is commanded a status is stamped with the tick, otherwise with a moment ahead.
    """
    moved = [
        replace(each, stamp_s=_counts_from_s(each, after, lead_s))
        for each, after in zip_longest(run.statuses, run.statuses[1:])
    ]
    return replace(run, statuses=sorted(moved, key=lambda each: each.stamp_s))


def _counts_from_s(status: RecordedStatus, after: RecordedStatus | None, lead_s: float) -> float:
    silent = (State.INACTIVE, State.WAITING)
    if status.verdict.state not in silent:
        return status.stamp_s
    moment_s = status.stamp_s + lead_s
    if after is not None and _is_death(status) and after.verdict.state not in silent:
        return min(moment_s, after.stamp_s)  # from where another process has continued
    return moment_s


def _is_death(status: RecordedStatus) -> bool:
    """Whether the process that commanded has died."""
    verdict = status.verdict
    return (verdict.state, verdict.reason) == (State.WAITING, Reason.CONTROLLER_LOST)


def _died_between(run: RecordedRun, last: RecordedCommand, command: RecordedCommand) -> bool:
    return any(
        last.stamp_s < each.stamp_s <= command.stamp_s and _is_death(each) for each in run.statuses
    )


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


class _StreamPlayer:
    """The motion that was streamed, led by the recorded decisions."""

    def __init__(self, run: RecordedRun, limits: JointLimits, deployment: Deployment) -> None:
        self._decisions = RecordedDecisions(run, limits, deployment)
        given = self._decisions.settings
        led = given.motion(limits)
        assert isinstance(led, LeadingMotion)
        self._motion, self._stream, self._period_s = led.motion, led.stream, given.period_s
        self._measured, self._lead_s = MeasuredPositions(run, limits), given.committed_s
        self._since_s = self._decided_s(run.commands[0].stamp_s)
        self._in_force: ActionChunk | None = None
        self._resumed: Sent | None = None
        self._moment_s = math.inf

    def takes_over(self, after_s: float, until_s: float) -> bool:
        """Whether a plan is taken over after ``after_s``, by ``until_s``, and is all that counts.

        With a limit on the step it matters too where the robot was led a lead before.
        """
        is_all = not self._decisions.limits.need_measured
        return is_all and self._decisions.takes_over(after_s, until_s)

    def lacks_cause(self, command: RecordedCommand) -> bool:
        """Whether ``command`` follows a chunk, or a measurement, from before the recording."""
        if self._decisions.lacks_chunk(command.stamp_s):
            return True
        return self._measured.are_late(self._decided_s(command.stamp_s), self._since_s)

    def rests_at(self, command: RecordedCommand) -> bool:
        """Whether nothing but ``command`` decides on what comes: it rests, along no chunk."""
        assert command.motion is not None
        moves = command.motion.velocity.any() or command.motion.acceleration.any()
        is_led = self._decisions.is_running(command.stamp_s) or self.lacks_cause(command)
        return not moves and not is_led

    def resume(self, command: RecordedCommand, *, keeps_chunk: bool) -> None:
        """Continue from ``command``, along the chunk in force or along none."""
        assert command.motion is not None
        self._resumed, self._moment_s = Sent(command.stamp_s, command.motion), command.stamp_s
        if not keeps_chunk:
            self._in_force = None
            self._decisions.forget()

    def is_stop(self, last: RecordedCommand, command: RecordedCommand) -> bool:
        """Whether ``command`` is a point of the stop behind ``last``, bit for bit."""
        if last.motion is None:
            return False
        for place in (None, *self._measured.before(self._decided_s(last.stamp_s))):
            times_s, motions = self._stream.stop_from(last.motion, self._motion.bounds(place))
            at = np.abs(last.stamp_s + times_s - command.stamp_s) < _SAME_MOMENT_S
            if any(np.array_equal(rows[0], command.position) for rows in motions[at]):
                return True
        return False

    def lead_to(
        self, moment_s: float, recorded: np.ndarray
    ) -> tuple[list[np.ndarray | None], Difference | None]:
        """Return commands (Da,) up to ``moment_s``, and whether a plan should not have led there.

        All moments since the last one count: above the rate of the points some are not recorded.
        """
        positions: list[np.ndarray | None] = []
        refused = None
        while self._moment_s < moment_s - _SAME_MOMENT_S:
            self._moment_s = in_nanoseconds(self._moment_s + self._period_s)
            order = self._decisions.order(self._moment_s)
            if self._resumed is not None:
                chunk = order.chunk or self._in_force
                order, self._resumed = replace(order, sent=self._resumed, chunk=chunk), None
            places = self._measured.before(self._decided_s(self._moment_s))
            is_last = self._moment_s >= moment_s - _SAME_MOMENT_S
            self._motion, position = followed(
                self._motion, self._moment_s, order, places, recorded if is_last else None
            )
            positions.append(position)
            if order.chunk is not None and order.verdict.state == State.RUNNING:
                self._in_force = order.chunk
            if not self._motion.has_chunk:
                self._in_force = None
            refused = refused or self._decisions.refused(self._moment_s)
        return positions, refused

    def _decided_s(self, moment_s: float) -> float:
        """Return the latest time at which the motion of ``moment_s`` may have been decided."""
        return moment_s - self._lead_s + 2 * self._period_s
