"""The two ways to command: from the control thread itself, or by orders to another process."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from ddpm_controller.control.command import Command
from ddpm_controller.control.loop import ControlLoop
from ddpm_controller.control.moving.leading_motion import LeadingMotion
from ddpm_controller.control.moving.motion_loop import Order
from ddpm_controller.control.plan_request import Takeover
from ddpm_controller.control.states import Reason, State, Verdict
from ddpm_controller.ros.commanding.command_link import CommandLink
from ddpm_controller.ros.commanding.command_messages import Told
from ddpm_controller.ros.commanding.command_publisher import CommandPublisher
from ddpm_controller.ros.commanding.sent_path import SentPath

_SILENCE_S = 0.5
"""A command process that was silent for so long does not command either."""
_GONE_S = 0.5
"""So long after the last command of a process that has died its motion is over: begin at rest."""


NoteCommand = Callable[[float, np.ndarray], None]
"""Called with the moment and the columns (Da,) of what was commanded: for goals of actions."""


def slept(end_s: float) -> bool:
    """Sleep until ``end_s``, monotonic time; return that nothing has ended it."""
    # Linux sleeps to an absolute time of the monotonic clock, without drift.
    time.sleep(max(end_s - time.monotonic(), 0.0))
    return False


def note_nowhere(moment_s: float, position: np.ndarray) -> None:
    """Do nothing: no output is an action."""


@dataclass(frozen=True)
class Done:
    """One tick that has been carried out.

    Attributes:
        command: What was sent; one that another process sent comes without its numbers.
        sent_s: When it was published, monotonic time; NaN when nothing was.
        missed: Ticks left out just before.
    """

    command: Command
    sent_s: float = math.nan
    missed: int = 0


class Commanding(Protocol):
    """Carries out what the loop decides."""

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is being sent."""
        ...

    @property
    def is_at_rest(self) -> bool:
        """Whether what was sent last lets the robot rest."""
        ...

    def step(self, now_s: float) -> list[Done]:
        """Let the loop decide at ``now_s``; return what has been carried out since."""
        ...

    def rest(self) -> list[Done]:
        """Send nothing any more; return what has been carried out since."""
        ...

    def wait(self, end_s: float) -> bool:
        """Wait until ``end_s``, monotonic time; return whether a step cannot wait so long."""
        ...

    def miss(self, ticks: int) -> None:
        """Note that the calling thread has left out ticks."""
        ...

    def repeat(self) -> None:
        """Send the last command again where its stamp makes that harmless."""
        ...


class CommandHere:
    """Commands from the control thread, one per step.

    Args:
        loop: Decides and moves.
        publisher: Sends.
        note: Receives what was commanded.
    """

    def __init__(
        self, loop: ControlLoop, publisher: CommandPublisher, note: NoteCommand = note_nowhere
    ) -> None:
        self._loop, self._publisher, self._note = loop, publisher, note
        self._missed = 0
        self.is_at_rest = True

    @property
    def is_quiet(self) -> bool:
        """Always, between two steps."""
        return True

    def step(self, now_s: float) -> list[Done]:
        """Tick and send."""
        missed, self._missed = self._missed, 0
        command = self._loop.tick(now_s)
        limits, rate = self._loop.limits, command.velocity
        self.is_at_rest = True
        if command.position is None:
            return [Done(command, missed=missed)]
        assert limits is not None
        assert rate is not None
        self.is_at_rest = limits.is_rest(command.position, rate)
        self._publisher.send(command)
        self._note(command.stamp_s, command.position)
        return [Done(command, time.monotonic(), missed)]

    def rest(self) -> list[Done]:
        """Nothing is sent between steps anyway."""
        return []

    def wait(self, end_s: float) -> bool:
        """Wait."""
        return slept(end_s)

    def miss(self, ticks: int) -> None:
        """Count them."""
        self._missed += ticks

    def repeat(self) -> None:
        """Send the last command again."""
        self._publisher.repeat()


class CommandAhead:
    """Streams trajectories from the control thread, by the clock of its steps.

    Args:
        loop: Decides.
        publisher: Sends.
        note: As in ``CommandHere``.
    """

    def __init__(
        self, loop: ControlLoop, publisher: CommandPublisher, note: NoteCommand = note_nowhere
    ) -> None:
        self._loop, self._publisher, self._note = loop, publisher, note
        self._motion: LeadingMotion | None = None
        self._takeover: Takeover | None = None
        self._missed = 0
        self.is_at_rest = True

    @property
    def is_quiet(self) -> bool:
        """Always, between two steps."""
        return True

    def step(self, now_s: float) -> list[Done]:
        """Decide, and send what is due."""
        missed, self._missed = self._missed, 0
        self._loop.advance(now_s)
        verdict = self._loop.decide(now_s)
        order, takeover = self._loop.order(now_s, verdict)
        self._takeover = takeover or self._takeover
        motion = self._motion_within()
        if motion is None:
            command = Command(now_s, None, verdict.state, verdict.reason, verdict.text)
            return [Done(command, missed=missed)]
        found = motion.tick(now_s, order)
        sent_s = math.nan
        self._publisher.send_ahead(found.message, found.commands, now_s)
        if found.message is not None:
            sent_s = time.monotonic()
        sent = motion.stream.sent
        self.is_at_rest = sent is None or not sent.motion.velocity.any()
        commands = list(found.commands)
        if order.begin_at is not None:
            self._loop.note_begun(motion.stream.end_s)
        for each in commands:
            self._loop.note_led(each.stamp_s, each.position)
            if each.position is not None:
                self._note(each.stamp_s, each.position)
        if found.takes_chunk:
            commands[0] = replace(commands[0], takeover=self._takeover)
            self._takeover = None
        first = [Done(each, sent_s, missed) for each in commands[:1]]
        return first + [Done(each, sent_s) for each in commands[1:]]

    def rest(self) -> list[Done]:
        """Nothing is sent between steps anyway."""
        return []

    def wait(self, end_s: float) -> bool:
        """Wait."""
        return slept(end_s)

    def miss(self, ticks: int) -> None:
        """Count them."""
        self._missed += ticks

    def repeat(self) -> None:
        """Only in lockstep, where commands are single points."""

    def _motion_within(self) -> LeadingMotion | None:
        given, limits = self._loop.settings, self._loop.limits
        if self._motion is None and limits is not None:
            motion = given.motion(limits)
            assert isinstance(motion, LeadingMotion)
            self._motion = motion
        return self._motion


def commanding_here(
    loop: ControlLoop, publisher: CommandPublisher, note: NoteCommand = note_nowhere
) -> CommandHere | CommandAhead:
    """Return what commands from the calling thread, in the form of the loop's settings."""
    if loop.settings.stream is None:
        return CommandHere(loop, publisher, note)
    return CommandAhead(loop, publisher, note)


class CommandByOrder:
    """Sends an order per step to the command process, which ticks on its own clock.

    Args:
        loop: Decides; the other process moves.
        link: To that process.
        log_error: For its death.
        note: As in ``CommandHere``.
    """

    def __init__(
        self,
        loop: ControlLoop,
        link: CommandLink,
        log_error: Callable[[str], object],
        note: NoteCommand = note_nowhere,
    ) -> None:
        self._loop, self._link, self._log_error, self._note = loop, link, log_error, note
        self._takeovers: dict[int, Takeover] = {}
        self._beginning = 0
        self._was_lost = self._is_deaf = self._has_died = False
        settings = loop.settings
        self._path = SentPath(settings.stream, settings.period_s)
        self._why_starting = Reason.NONE, "the command process is starting"
        self._heard_s = time.monotonic()
        link.heard()  # what a run before this one has left

    @property
    def is_quiet(self) -> bool:
        """Whether the process has nothing to send, by its own word."""
        return self._link.is_quiet

    @property
    def is_at_rest(self) -> bool:
        """Whether what the process sent last had no velocity, by its own word."""
        return self._link.is_at_rest

    def step(self, now_s: float) -> list[Done]:
        """Decide and order; return what the process has done since the last step."""
        done = self._hear()
        self._loop.advance(now_s)
        has_died = self._link.revive()
        if has_died:
            self._note_death()
        if has_died or not self._link.is_ready:
            self._heard_s = time.monotonic()
            done.append(Done(Command(now_s, None, State.WAITING, *self._why_starting)))
        if not self._link.is_ready:
            return done
        if self._has_died:
            self._has_died = False
            sent = self._path.sent
            if sent is not None and now_s - sent.stamp_s < _GONE_S:
                self._loop.take_up(sent, now_s)
        verdict = self._loop.decide(now_s)
        order, takeover = self._loop.order(now_s, verdict)
        number = self._send(order)
        if number == 0:
            # A chunk and a beginning are handed out once: both are lost with the order.
            self._loop.lose_motion()
        elif takeover is not None:
            self._takeovers[number] = takeover
        if order.begin_at is not None:
            self._beginning = number
        if verdict.state == State.WAITING and self._link.is_quiet:
            done.append(Done(Command(now_s, None, verdict.state, verdict.reason, verdict.text)))
        silent_s = time.monotonic() - self._heard_s
        if not self._link.is_quiet and silent_s > _SILENCE_S:
            text = f"the command process was silent for {silent_s:.1f} s"
            lost = Command(now_s, None, State.HOLDING, Reason.CONTROLLER_LOST, text)
            done.append(Done(lost))
        return done

    def _note_death(self) -> None:
        """Begin again with the process that takes over."""
        text = "the command process has died and another one takes over"
        if self._link.was_at_rest:
            text = (
                "the link to the command process was cut: it has brought the robot to rest, and "
                "another one takes over"
            )
            self._path.forget()
        self._log_error(text)
        self._loop.lose_motion()
        self._why_starting, self._has_died = (Reason.CONTROLLER_LOST, text), True

    def rest(self) -> list[Done]:
        """Order silence until the process has confirmed it."""
        if not self._link.is_quiet:
            self._send(Order(Verdict(State.WAITING)))
        return self._hear()

    def wait(self, end_s: float) -> bool:
        """Wait; the death of the process ends it."""
        return self._link.wait(end_s)

    def miss(self, ticks: int) -> None:
        """Orders are not commands: the process counts its own."""

    def repeat(self) -> None:
        """Only in lockstep, which is not for another process."""

    def _send(self, order: Order) -> int:
        """Return the number of the order, 0 where it was not taken."""
        try:
            number = self._link.send(order, self._loop.limits)
        except OSError as error:
            if not self._is_deaf:
                self._log_error(f"the command process takes no orders: {error}")
            self._is_deaf = True
            return 0
        self._is_deaf = False
        return number

    def _hear(self) -> list[Done]:
        heard = self._link.heard()
        if heard or self._link.is_quiet:
            self._heard_s = time.monotonic()
        return [self._done(told) for told in heard if told.state != State.WAITING]

    def _done(self, told: Told) -> Done:
        is_lost = told.reason == Reason.CONTROLLER_LOST
        if is_lost and not self._was_lost:
            # It has come to rest meanwhile: what was planned for the motion is out of date.
            self._loop.schedule.abandon(told.text)
        self._was_lost = is_lost
        self._path.note(told)
        sent = told.sent
        if sent is not None:
            if 0 < told.began == self._beginning:
                self._loop.note_begun(sent.stamp_s)
            self._loop.note_led(sent.stamp_s, sent.motion.position)
            self._note(sent.stamp_s, sent.motion.position)
        command = Command(
            told.stamp_s, None, told.state, told.reason, told.text, limited=told.limited
        )
        if told.took_over:
            command = replace(command, takeover=self._takeovers.pop(told.took_over, None))
            self._takeovers = {n: t for n, t in self._takeovers.items() if n > told.took_over}
        return Done(command, told.sent_s, told.missed)
