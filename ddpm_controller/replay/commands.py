"""Every recorded command computed again from the recorded chunks, ticks and decisions."""

from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from ddpm_controller.bags.files import BagError
from ddpm_controller.control.deployment import Deployment
from ddpm_controller.control.moving.leading_motion import LeadingMotion
from ddpm_controller.control.moving.motion_loop import Sent
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.replay.command_comparison import (
    CommandComparison,
    CommandTally,
    command_difference,
)
from ddpm_controller.replay.measured import MeasuredPositions, followed
from ddpm_controller.replay.plans import Difference
from ddpm_controller.replay.recorded_decisions import RecordedDecisions, limits_of
from ddpm_controller.replay.recorded_run import RecordedCommand, RecordedRun
from ddpm_controller.replay.run_ticks import run_ticks, split_at_first_status
from ddpm_controller.replay.streamed_commands import compare_streamed
from ddpm_controller.robots.loop_settings import deployment_from

_UNTOLD = 3
"""Number of last commands among which is the last one that a dead process reported."""


def compare_commands(run: RecordedRun) -> CommandComparison:
    """Drive a motion loop through the recorded ticks.

    A run begins where the robot is measured; that first command is taken from the bag. Where the
    bag begins within a run, so are those up to the first chunk that is in it, also where it begins
    at rest; the topics of a bag may begin one after another. Where the process
    that commands has died and another one has gone on, it has from one of the last commands.

    Raises:
        BagError: The bag lacks the status, the commands, robot_description or the parameters, or
            its trajectories were stamped 0.
    """
    if not run.has_parameters:
        raise BagError(
            f"bag {run.bag}: commands cannot be compared: the parameters of the controller, which "
            "decide on the form of its commands, are missing. Nothing is noted in this storage "
            "file: give the folder with its metadata.yaml"
            if run.bag.is_file()
            else f"bag {run.bag}: commands cannot be compared: the controller did not answer when "
            "it was asked for its parameters, and they decide on the form of its commands; record "
            "again, and end the recorder before the controller"
        )
    limits = limits_of(run)
    if limits is None or not run.commands or not run.statuses:
        raise BagError(
            f"bag {run.bag}: commands can be compared only with robot_description "
            f"({'there' if limits else 'missing'}), stamped commands ({len(run.commands)}) "
            f"and controller/status ({len(run.statuses)})"
        )
    deployment = _deployment(run)
    if deployment.stream_settings is not None and not deployment.lockstep:
        if deployment.stream_stamp == "zero":
            raise BagError(
                f"bag {run.bag}: its commands count from arrival (command.stream_stamp zero), "
                "which is not in it; only those with absolute stamps can be compared"
            )
        return compare_streamed(run, limits, deployment)
    return _compare_ticks(run, limits, deployment)


def _compare_ticks(
    run: RecordedRun, limits: JointLimits, deployment: Deployment
) -> CommandComparison:
    """Compare commands that are those of their ticks."""
    player = _Player(run, limits, deployment)
    ticks = list(run_ticks(run))
    unknown = len(split_at_first_status(run)[0])
    num_before = unknown + _num_before(run, player, ticks, unknown)
    if 0 < num_before < len(ticks) and not ticks[num_before][1]:
        player.go_on(ticks[num_before - 1][0])
    tally = CommandTally(run)
    tally.carry(*(command.position for command, _ in ticks[:num_before]))
    sent = deque((command for command, _ in ticks[:num_before]), maxlen=_UNTOLD)
    for command, begins in ticks[num_before:]:
        is_taken_up = begins and player.takes_up(command, sent)
        if begins and not is_taken_up:
            player.begin(command)
        position: np.ndarray | None = command.position
        if not is_taken_up:
            position = player.tick(command.stamp_s, recorded=command.position)
        sent.append(command)
        tally.carry(command.position if position is None else position)
        refused = player.refused(command.stamp_s)
        difference = refused or command_difference(run, command, position)
        if not begins or refused is not None:
            tally.compare(difference)
    return tally.comparison(sum(begins for _, begins in ticks), num_before)


def _deployment(run: RecordedRun) -> Deployment:
    deployment = deployment_from(run.parameters, run.robot)
    # 0 before the first activation.
    rate_hz = max(status.control_rate_hz for status in run.statuses)
    return replace(deployment, control_rate_hz=rate_hz or deployment.control_rate_hz)


class _Player:
    """The motion that was recorded, led by the recorded decisions."""

    def __init__(self, run: RecordedRun, limits: JointLimits, deployment: Deployment) -> None:
        self._limits = limits
        self._decisions = decisions = RecordedDecisions(run, limits, deployment)
        given = decisions.settings
        self.streams = given.stream is not None
        self._led = given.motion(limits)
        self._motion = self._led.motion if isinstance(self._led, LeadingMotion) else self._led
        self._measured = MeasuredPositions(run, limits)
        self._since_s = run.commands[0].stamp_s
        self._begin_at: np.ndarray | None = None

    def begin(self, command: RecordedCommand) -> None:
        """Begin a run at rest at ``command``."""
        self._decisions.forget()
        if self.streams:
            self._begin_at = command.position
        else:
            self._motion.hold_at(command.position, command.stamp_s)

    def lacks_cause(self, command: RecordedCommand) -> bool:
        """Whether ``command`` follows a chunk, or a measurement, from before the recording."""
        if self._decisions.lacks_chunk(command.stamp_s):
            return True
        return self._measured.are_late(command.stamp_s, self._since_s)

    def continues(self, command: RecordedCommand, takeovers_s: Collection[float]) -> bool:
        """Whether ``command`` continues a motion: it moves, or follows a chunk from before it."""
        follows = self._decisions.is_running(command.stamp_s)
        if follows and min(takeovers_s) < command.stamp_s and command.stamp_s not in takeovers_s:
            return True
        return not self.rests_at(command)

    def rests_at(self, command: RecordedCommand) -> bool:
        """Whether the robot rests at ``command``."""
        motion = command.motion
        assert motion is not None
        return self._limits.is_rest(motion.position, motion.velocity)

    def takes_up(self, command: RecordedCommand, sent: Sequence[RecordedCommand]) -> bool:
        """Go on to ``command`` from one of those that were sent; return whether one leads there.

        A process that dies may have sent a command or two which it had no time to report.
        """
        if self.streams:  # in lockstep there is no other process
            return False
        for last in reversed(sent):
            if last.motion is None:
                continue
            if self.rests_at(last):
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
        self._decisions.forget()
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
        order = replace(self._decisions.order(now_s), begin_at=self._begin_at, sent=sent)
        self._begin_at = None
        places = self._measured.before(now_s)
        if isinstance(self._led, LeadingMotion):  # in lockstep, where the newest counts
            newest = places[0] if len(places) else None
            return self._led.follow(now_s, order.measured_at(newest)).position
        self._led, position = followed(self._led, now_s, order, places, recorded)
        self._motion = self._led
        return position

    def refused(self, now_s: float) -> Difference | None:
        """Return that the plan which was taken over at ``now_s`` should have been refused."""
        return self._decisions.refused(now_s)


def _num_before(
    run: RecordedRun,
    player: _Player,
    ticks: Sequence[tuple[RecordedCommand, bool]],
    unknown: int,
) -> int:
    """Return how many commands behind ``unknown`` ones come before what can be computed.

    None do unless a motion continues there, or follows a chunk, or a measurement, that the
    recorder came too late for.

    With the first chunk in the bag the motion is known again, from the command before it; where
    a lead is committed, only with the next run.
    """
    if unknown == len(ticks) or ticks[unknown][0].motion is None:
        return 0
    takeovers_s = {chunk.takeover_s for chunk in run.chunks}
    begin = max((i for i, (each, _) in enumerate(ticks) if player.lacks_cause(each)), default=-1)
    begin += 1
    if begin <= unknown:
        if not player.continues(ticks[unknown][0], takeovers_s):
            return 0
        begin = max(unknown, 1)
    for number, (command, begins) in enumerate(ticks[begin:], begin):
        is_known = command.stamp_s in takeovers_s and not player.streams
        # One that moves has been taken up from one of the last commands, which may be missing.
        is_known |= begins and (number >= _UNTOLD or player.rests_at(command))
        if is_known:
            return number - unknown
    return len(ticks) - unknown
