"""The loop that commands: carries out orders at a fixed rate, on a clock of its own.

What is decided elsewhere it gets as orders through a socket; the newest counts. When the
controller falls silent or ends, however that happened, it brings the robot to rest by itself and
reports why.
"""

import math
import select
import socket
import time
from collections import deque
from dataclasses import replace

from ddpm_msgs.msg import ControllerStatus
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile

from ddpm_controller.control.command import Command
from ddpm_controller.control.moving.interpolation import Motion
from ddpm_controller.control.moving.leading_motion import (
    Ahead,
    LeadingMotion,
    motion_of,
    tick_of,
)
from ddpm_controller.control.moving.motion_loop import MotionLoop, Order, Sent
from ddpm_controller.control.states import Reason, State, Verdict
from ddpm_controller.ros.commanding.command_messages import (
    LARGEST_PACKET,
    CommandSettings,
    Told,
    limits_from,
    opened,
    order_from,
    told_packet,
)
from ddpm_controller.ros.commanding.command_publisher import CommandPublisher
from ddpm_controller.ros.stamps import time_from

_QUIET = Order(Verdict(State.WAITING))
_SILENCE = Command(0.0, None, State.WAITING, Reason.NONE, "")
_PATIENCE_S = 2.0
_OTHER_SIDE_S = 0.5
"""Until a listener that was found has found this process too, which cannot be seen from here."""
_AHEAD_S, _AHEAD_SHARE = 1.5e-3, 0.4
"""A command is made so long before its moment, so that it leaves on time whatever it takes; at
high rates this share of a period."""
_REPEATED_FOR_S, _REPEATED_S = 0.03, 2e-3
"""So long one that takes over repeats what it has sent, and so often: listeners that it has found
find it a moment later, and what it has sent before that is lost."""
_SIGN_OF_LIFE_S = 0.1
"""After this time without a command, while a run begins, the last one is reported again."""
_MOST_UNTOLD = 100_000
"""Ticks that are kept for a controller that does not read, before the oldest are dropped."""


class CommandLoop:
    """Carries out orders at a fixed rate.

    Args:
        link: Socket to the controller; packets of ``command_messages``.
        settings: Rate, topics and times.
        node: Owner of the publishers.
        known_s: Since when others can find it, monotonic time.
        takes_over: Whether it continues a motion, which must not wait.
    """

    def __init__(
        self,
        link: socket.socket,
        settings: CommandSettings,
        node: Node,
        known_s: float,
        *,
        takes_over: bool = False,
    ) -> None:
        self._link, self._settings, self._node = link, settings, node
        self._takes_over = takes_over
        self._commands = CommandPublisher(
            node, settings.outputs, settings.period_s, depth=1, whole_topic=settings.whole_topic
        )
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._last_words = node.create_publisher(ControllerStatus, settings.status_topic, latched)
        self._motion: MotionLoop | LeadingMotion | None = None
        self._command, self._noted_s = _SILENCE, -math.inf
        self._order, self._number, self._beginning = _QUIET, 0, 0
        self._known_s = known_s
        self._heard_s = time.monotonic()
        self._lost = False
        self._ahead_s = min(_AHEAD_S, _AHEAD_SHARE * settings.period_s)
        self._rest_s = math.inf
        self._repeats_until_s = math.inf if takes_over else -math.inf
        self._untold: deque[bytes] = deque(maxlen=_MOST_UNTOLD)
        self._noted_until_s = -math.inf

    def run(self) -> None:
        """Work until the controller has gone and the robot is at rest."""
        self._wait_for_listener()
        self._note(_SILENCE)  # ready
        self._tell()
        deadline_s = time.monotonic()
        while not (self._lost and self._order is _QUIET):
            missed = 0
            if self._order is _QUIET:
                select.select([self._link], [], [], 0.5)
                deadline_s = time.monotonic()
            else:
                deadline_s += self._settings.period_s
                self._repeat_until(deadline_s - self._ahead_s)
                # Linux sleeps to an absolute time of the monotonic clock, without drift.
                time.sleep(max(deadline_s - self._ahead_s - time.monotonic(), 0.0))
                missed = int((time.monotonic() - deadline_s) / self._settings.period_s)
                deadline_s += max(missed, 0) * self._settings.period_s
            self._read()
            if self._order is not _QUIET:
                self._tick(deadline_s, missed)
            self._tell()

    def _wait_for_listener(self) -> None:
        """Give everybody time to be found: neither first commands nor last words must be lost.

        Those who have long found this process find its topics within milliseconds, in which a
        motion that is taken over cannot wait.
        """
        if self._takes_over:
            time.sleep(max(self._known_s + _OTHER_SIDE_S - time.monotonic(), 0.0))
            return
        patience_s = self._known_s + _PATIENCE_S
        publishers, counts = self._commands.publishers, self._settings.listeners
        wanted = [
            *zip(publishers, (max(n, 1) for n in counts or (1,) * len(publishers)), strict=True),
            (self._last_words, self._settings.status_listeners),
        ]
        while time.monotonic() < patience_s:
            if all(publisher.get_subscription_count() >= count for publisher, count in wanted):
                time.sleep(_OTHER_SIDE_S)
                return
            time.sleep(0.02)

    # Orders

    def _read(self) -> None:
        while not self._lost:
            try:
                data = self._link.recv(LARGEST_PACKET)
            except BlockingIOError:
                return
            except ConnectionResetError:  # reported once; the orders from before the end come then
                continue
            if not data:
                self._lose()
                return
            self._heard_s = time.monotonic()
            kind, content = opened(data)
            if kind == "limits":
                given = self._settings
                self._motion = motion_of(
                    given.joint_names,
                    limits_from(content),
                    given.period_s,
                    given.stream,
                    fade_s=given.fade_s,
                    stop_s=given.stop_s,
                )
            elif kind == "order":
                self._obey(*order_from(content))

    def _obey(self, number: int, order: Order) -> None:
        """Let ``order`` count from the next tick on, with what an earlier one has left to do."""
        if order.limits is not None and self._motion is not None:
            self._motion.tighten(order.limits)
            order = replace(order, limits=None)
        if order.verdict.state == State.WAITING:
            if self._order is not _QUIET:
                self._note(replace(_SILENCE, stamp_s=time.time()))
            self._order = _QUIET
            return
        waiting = self._order
        if order.begin_at is not None:
            self._beginning = number
        if order.begin_at is None and waiting.begin_at is not None:
            order = replace(order, begin_at=waiting.begin_at, keep_position=waiting.keep_position)
        if order.sent is None and waiting.sent is not None:
            order = replace(order, sent=waiting.sent)
        if order.chunk is not None:
            self._number = number
        elif order.verdict.state == State.RUNNING and waiting.chunk is not None:
            order = replace(order, chunk=waiting.chunk)
        self._order = order

    def _lose(self) -> None:
        """Stop for good: no other order will come."""
        self._lost = True
        if self._order is _QUIET or self._motion is None:
            self._order = _QUIET
            return
        text = (
            "the controller, or the link to it, has ended without an order to stop: the robot is "
            "brought to rest"
        )
        self._node.get_logger().error(text)
        lost = Verdict(State.HOLDING, Reason.CONTROLLER_LOST, text)
        self._order = Order(lost, measured=self._order.measured)
        self._rest_s = time.monotonic() + self._motion.longest_stop_s

    # Ticks

    def _repeat_until(self, end_s: float) -> None:
        """Repeat what was sent last until ``end_s``, while some may not have found it."""
        while time.monotonic() + _REPEATED_S < min(end_s, self._repeats_until_s):
            time.sleep(_REPEATED_S)
            self._commands.repeat()

    def _note_sent(self) -> None:
        """Count the time to repeat from the first command on."""
        now_s = time.monotonic()
        self._repeats_until_s = min(self._repeats_until_s, now_s + _REPEATED_FOR_S)

    def _tick(self, deadline_s: float, missed: int) -> None:
        """Make the command of the moment ``deadline_s`` and send it then."""
        if self._motion is None:
            return
        order = replace(self._order, verdict=self._verdict(self._motion))
        left_s = max(deadline_s - time.monotonic(), 0.0)
        now_s = time.time() + left_s
        found = tick_of(self._motion, now_s, order)
        sent_s = self._sent(found, now_s, deadline_s)
        begins = self._order.begin_at is not None
        for i, command in enumerate(found.commands):
            took_over = self._number if found.takes_chunk and i == 0 else 0
            began = self._beginning if begins and i == 0 else 0
            self._note(command, took_over, missed if i == 0 else 0, sent_s, began)
        if not found.commands and time.monotonic() - self._noted_s > _SIGN_OF_LIFE_S:
            self._note(self._command)
        self._order = replace(self._order, chunk=None, begin_at=None, sent=None)
        if self._lost:
            self._say(self._command)
            # Late ticks make a stop last longer than it was to.
            if time.monotonic() > self._rest_s and self._motion.is_at_rest:
                self._order = _QUIET

    def _sent(self, found: Ahead, now_s: float, deadline_s: float) -> float:
        """Publish what is due at ``deadline_s``; return when, monotonic time, or NaN."""
        if isinstance(self._motion, LeadingMotion):
            if found.message is None and not self._commands.has_others:
                return math.nan
            message = found.message
            time.sleep(max(deadline_s - time.monotonic(), 0.0))
            late_s = time.monotonic() - deadline_s  # this process may have been stopped meanwhile
            if message is not None and self._motion.stream.withhold(now_s + late_s):
                message = None
            self._commands.send_ahead(message, found.commands, now_s)
            if message is not None:
                self._note_sent()
            return math.nan if message is None else time.monotonic()
        if found.commands[-1].position is None:
            return math.nan
        time.sleep(max(deadline_s - time.monotonic(), 0.0))
        self._commands.send(found.commands[-1])
        self._note_sent()
        return time.monotonic()

    def _verdict(self, motion: MotionLoop | LeadingMotion) -> Verdict:
        """Return what was ordered, or why that cannot be done any more."""
        verdict = self._order.verdict
        silent_s = time.monotonic() - self._heard_s
        if self._lost:
            return verdict
        if silent_s > self._settings.silence_s:
            text = f"nothing came from the controller for {silent_s:.2f} s"
            return Verdict(State.HOLDING, Reason.CONTROLLER_LOST, text)
        if verdict.state == State.RUNNING and self._order.chunk is None and not motion.has_chunk:
            text = "the controller is back: waiting for its next plan"
            return Verdict(State.HOLDING, Reason.CONTROLLER_LOST, text)
        return verdict

    # Words

    def _note(
        self,
        command: Command,
        took_over: int = 0,
        missed: int = 0,
        sent_s: float = math.nan,
        began: int = 0,
    ) -> None:
        self._command, self._noted_s = command, time.monotonic()
        sent = self._sent_last(command)
        follows, before = self._sent_before(sent)
        told = Told(
            command.stamp_s,
            sent_s,
            command.state,
            command.reason,
            command.text,
            command.limited,
            took_over,
            missed,
            _rows(sent.motion) if sent else (),
            sent.stamp_s if sent else 0.0,
            began,
            tuple((each.stamp_s, _rows(each.motion)) for each in before),
            follows,
        )
        self._untold.append(told_packet(told))

    def _sent_last(self, command: Command) -> Sent | None:
        """Return the end of what was sent: of the lead, or ``command`` itself."""
        if isinstance(self._motion, LeadingMotion):
            return self._motion.stream.sent if command.position is not None else None
        motion = command.position, command.velocity, command.acceleration
        if any(each is None for each in motion):
            return None
        return Sent(command.stamp_s, Motion(*motion))  # type: ignore[arg-type]

    def _sent_before(self, sent: Sent | None) -> tuple[bool, tuple[Sent, ...]]:
        """Return whether what was noted earlier still counts, and what was sent behind it."""
        if sent is None or not isinstance(self._motion, LeadingMotion):
            return False, ()
        follows, points = self._motion.stream.sent_since(self._noted_until_s)
        self._noted_until_s = sent.stamp_s
        return follows, points[:-1]

    def _tell(self) -> None:
        """Tell what has been noted, as far as the controller has room for it."""
        while self._untold and not self._lost:
            try:
                self._link.send(self._untold[0])
            except BlockingIOError:
                return
            except ConnectionError:  # noticed at the next reading
                return
            self._untold.popleft()

    def _say(self, command: Command) -> None:
        message = ControllerStatus(
            state=int(command.state), reason=int(command.reason), text=command.text
        )
        message.header.stamp = time_from(command.stamp_s)
        self._last_words.publish(message)

    def wait_until_heard(self, patience_s: float) -> None:
        """Return when every listener has the last command and word, or the patience is over."""
        for publisher in (*self._commands.publishers, self._last_words):
            publisher.wait_for_all_acked(Duration(seconds=patience_s))


def _rows(motion: Motion) -> tuple[tuple[float, ...], ...]:
    rows = (motion.position, motion.velocity, motion.acceleration)
    return tuple(tuple(row.tolist()) for row in rows)
