"""The motion loop ahead of now by the lead: its ticks are moments to come, in even steps.

A late tick of the clock makes up for what is missing, as long as the robot has not left the
committed lead; after a longer hole the motion continues from the stop that the robot is in.
"""

import math
from dataclasses import dataclass, replace

from ddpm_controller.control.command import Command
from ddpm_controller.control.moving.interpolation import Motion
from ddpm_controller.control.moving.motion_loop import MotionLoop, Order, Sent
from ddpm_controller.control.moving.path import in_nanoseconds
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.control.moving.stream_settings import StreamSettings
from ddpm_controller.control.moving.trajectory_stream import TrajectoryStream
from ddpm_controller.control.states import Reason, State, Verdict
from ddpm_controller.types import ActionChunk, Trajectory

_EARLY = 0.5
"""Of a period: so much earlier than its time a tick may come and still make its step."""


@dataclass(frozen=True)
class Ahead:
    """What one tick of the clock gives.

    Attributes:
        commands: Commands of the moments that were decided, each ahead of now; often one.
        message: To be sent; None: none is due, or nothing may be sent.
        takes_chunk: Whether the first of the commands is the first to follow an ordered chunk.
    """

    commands: tuple[Command, ...]
    message: Trajectory | None
    takes_chunk: bool = False


class LeadingMotion:
    """A motion loop whose commands become messages.

    Args:
        joint_names: Names of the joints.
        limits: Limits of the joints.
        period_s: Time between the moments; not more than the time between the ticks.
        settings: Form of the messages.
        fade_s: As ``MotionLoop``.
        stop_s: As ``MotionLoop``.
    """

    def __init__(
        self,
        joint_names: tuple[str, ...],
        limits: JointLimits,
        period_s: float,
        settings: StreamSettings,
        *,
        fade_s: float = 0.2,
        stop_s: float = 0.2,
    ) -> None:
        # A robot that lags by up to the past goes where it was led then.
        led_s = settings.past_s + settings.lead_s
        self.motion = MotionLoop(
            limits,
            period_s,
            fade_s=fade_s,
            stop_s=stop_s,
            led_s=led_s,
            spacing_s=period_s * settings.knot_ticks(period_s),
        )
        self._limits = used = self.motion.limits
        self.stream = TrajectoryStream(joint_names, used, period_s, stop_s, settings)
        self._settings, self._period_s = settings, period_s
        self._chunk: ActionChunk | None = None
        self._waiting = Order(Verdict(State.WAITING))
        self._resumed: Sent | None = None
        self._last_s = -math.inf

    def tick(self, now_s: float, order: Order) -> Ahead:
        """Carry out ``order`` from the first moment on that is not committed yet."""
        if now_s < self._last_s - self._period_s:
            self.stream.shift(now_s - self._last_s - self._period_s)
        self._last_s = now_s
        if order.limits is not None:
            self.tighten(order.limits)
            order = replace(order, limits=None)
        order = self._with_waiting(order)
        is_known = order.chunk is None or order.chunk is self._chunk
        is_new = not is_known and order.verdict.state == State.RUNNING
        if order.begin_at is not None:
            return self._begun(now_s, order)
        if order.sent is not None:
            self.stream.take_up(order.sent)
        if order.verdict.state in (State.WAITING, State.INACTIVE) or self.stream.sent is None:
            self._waiting = Order(order.verdict)
            return Ahead((self.motion.follow(now_s + self._settings.lead_s, order),), None)
        takes_up = order.sent is not None
        if self.stream.has_hole(now_s) or (takes_up and not self.stream.can_repeat(now_s)):
            self._resumed = self.stream.resume(now_s)
        elif takes_up:
            self._resumed = self.stream.sent
        if self._resumed is not None:
            order = replace(order, sent=self._resumed, chunk=order.chunk or self._chunk)
        commands = []
        last_s = now_s + self._settings.lead_s + _EARLY * self._period_s
        while (moment_s := in_nanoseconds(self.stream.end_s + self._period_s)) <= last_s:
            commands.append(self._step(moment_s, order))
            order = replace(order, chunk=None, sent=None)
            self._resumed = None
        self._waiting = order
        message = self.stream.message(now_s, self.motion.bounds(order.measured))
        return Ahead(tuple(commands), message, is_new and bool(commands))

    def tighten(self, limits: JointLimits) -> None:
        """Be led within stricter limits too from the next moment on; see ``MotionLoop``."""
        self.motion.tighten(limits)

    @property
    def longest_stop_s(self) -> float:
        """Time within which every stop ends, the lead before it included, s."""
        return self._settings.lead_s + self.motion.longest_stop_s

    @property
    def is_at_rest(self) -> bool:
        """Whether the newest command lets the robot rest."""
        return self.motion.is_at_rest

    @property
    def has_chunk(self) -> bool:
        """Whether there is a chunk to follow, or one that no moment has taken yet."""
        return self.motion.has_chunk or self._waiting.chunk is not None

    def follow(self, now_s: float, order: Order) -> Command:
        """Carry out ``order`` and return where the robot is led at ``now_s`` itself.

        For who applies a command at its tick, without a controller that follows messages.
        """
        if order.begin_at is not None and not order.keep_position:
            self.stream.clear()
        found = self.tick(now_s, order)
        verdict = order.verdict
        limited = tuple(dict.fromkeys(name for each in found.commands for name in each.limited))
        if found.commands:  # a limit is the reason there
            newest = found.commands[-1]
            verdict = Verdict(newest.state, newest.reason, newest.text)
        if order.verdict.state in (State.WAITING, State.INACTIVE) or self.stream.sent is None:
            return Command(now_s, None, verdict.state, verdict.reason, verdict.text)
        motion = self.stream.at(now_s)
        return Command(
            now_s,
            motion.position,
            verdict.state,
            verdict.reason,
            verdict.text,
            velocity=motion.velocity,
            acceleration=motion.acceleration,
            step_s=self._period_s,
            limited=limited,
        )

    def _begun(self, now_s: float, order: Order) -> Ahead:
        """Begin where the motion loop begins; the chunk is followed from the first free moment."""
        assert order.begin_at is not None
        at_rest = replace(order, chunk=None, sent=None)
        if order.verdict.state in (State.WAITING, State.INACTIVE):
            at_rest = replace(at_rest, verdict=Verdict(State.HOLDING, Reason.NO_PLAN))
        # Twice: where it begins is known before the moment from which on it is free to move.
        start = self.motion.follow(now_s, at_rest).position
        assert start is not None
        self._use(self.motion.limits)
        here = self._limits.resting(order.begin_at)
        message = self.stream.begin(now_s, start, here)
        command = self.motion.follow(self.stream.end_s, at_rest)
        self._waiting = replace(order, begin_at=None, sent=None)
        self._chunk = self._resumed = None
        return Ahead((command,), message)

    def _step(self, moment_s: float, order: Order) -> Command:
        command = self.motion.follow(moment_s, order)
        position, velocity, acceleration = command.position, command.velocity, command.acceleration
        assert position is not None
        assert velocity is not None
        assert acceleration is not None
        self.stream.append(moment_s, Motion(position, velocity, acceleration))
        self._use(self.motion.limits)
        if order.chunk is not None and order.verdict.state == State.RUNNING:
            self._chunk = order.chunk
        if not self.motion.has_chunk:
            self._chunk = None
        return command

    def _with_waiting(self, order: Order) -> Order:
        """Return ``order`` with the chunk and the beginning that no moment has taken yet."""
        waiting = self._waiting
        if order.begin_at is not None:
            return order
        chunk = order.chunk
        if order.verdict.state == State.RUNNING and chunk is None:
            chunk = waiting.chunk
        return replace(order, chunk=chunk)

    def _use(self, limits: JointLimits) -> None:
        """Let the stop that is sent behind the newest point keep what that does."""
        if limits is not self._limits:
            self._limits = limits
            self.stream.use(limits)


def motion_of(
    joint_names: tuple[str, ...],
    limits: JointLimits,
    period_s: float,
    stream: StreamSettings | None,
    *,
    fade_s: float,
    stop_s: float,
) -> MotionLoop | LeadingMotion:
    """Return what moves a robot: ahead of now where trajectories are streamed.

    Raises:
        ValueError: Ticks so far apart that nothing is left of a limit between them, or
            trajectories for a robot with a stand.
    """
    if stream is not None and limits.stands:
        raise ValueError(
            "a robot with a stand is commanded tick by tick: have its commands sent as a "
            "JointState or an array, not as trajectories that end at rest"
        )
    if stream is None:
        return MotionLoop(limits, period_s, fade_s=fade_s, stop_s=stop_s)
    return LeadingMotion(joint_names, limits, period_s, stream, fade_s=fade_s, stop_s=stop_s)


def tick_of(motion: MotionLoop | LeadingMotion, now_s: float, order: Order) -> Ahead:
    """Return what ``motion`` makes of a tick; a motion loop decides about the tick itself."""
    if isinstance(motion, LeadingMotion):
        return motion.tick(now_s, order)
    is_new = order.chunk is not None and order.verdict.state == State.RUNNING
    return Ahead((motion.follow(now_s, order),), None, is_new)
