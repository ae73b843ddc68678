"""What moves and does not decide: follows chunks, stops, and keeps the limits, tick by tick.

It takes orders and gives commands, so that it can run in a process of its own: see
``ros/commanding/command_process.py``.
"""

import math
from copy import copy
from dataclasses import dataclass, replace

import numpy as np

from ddpm_controller.control.command import Command
from ddpm_controller.control.moving.cartesian_box import BoxedGovernor, governor_of
from ddpm_controller.control.moving.governor import LONGEST_STEP, Governor, Limited, Tightening
from ddpm_controller.control.moving.interpolation import Motion
from ddpm_controller.control.moving.receding_horizon import ChunkFollower
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.control.moving.step_limit import Bounds, StepLimit
from ddpm_controller.control.moving.stopping import (
    AT_ONCE,
    STAND_S,
    SafeStop,
    StandingStop,
    longest_stop_s,
    standing_up_s,
)
from ddpm_controller.control.moving.stream_settings import limits_between
from ddpm_controller.control.moving.velocity_governor import VelocityGovernor
from ddpm_controller.control.states import Reason, State, Verdict
from ddpm_controller.types import ActionChunk

_NEAR_S = 0.2
"""A robot is near its last command when it can get there in this time, s."""


@dataclass(frozen=True)
class Sent:
    """What was sent last, by whichever process.

    Attributes:
        stamp_s: The tick.
        motion: Motion of the joints then.
        before: What was sent before it, oldest first, as far as trajectories repeat it.
    """

    stamp_s: float
    motion: Motion
    before: tuple["Sent", ...] = ()


@dataclass(frozen=True)
class Order:
    """What to do from the next tick on, until another order comes.

    Attributes:
        verdict: Waiting sends nothing, running follows the chunk, holding stops smoothly.
        chunk: To be followed from the next tick on; None: the one in force.
        begin_at: (Da,) measured position; a run begins there, with velocities at 0.
        keep_position: It continues from the last command where that is near ``begin_at``.
        measured: (Da,) newest measured position, for a limit on the step from there and for the
            position limits of a joint whose velocity is commanded; it holds whatever the verdict
            is. NaN of a column that is not measured.
        sent: What another process has sent last; the motion continues from there.
        limits: Others that have come, of which the stricter ones count: see ``can_tighten``.
    """

    verdict: Verdict
    chunk: ActionChunk | None = None
    begin_at: np.ndarray | None = None
    keep_position: bool = False
    measured: np.ndarray | None = None
    sent: Sent | None = None
    limits: JointLimits | None = None

    def measured_at(self, position: np.ndarray | None) -> "Order":
        """Return the same for a robot that is measured at ``position`` (Da,)."""
        return replace(self, measured=position)


class MotionLoop:
    """Follower, governor and stop of one robot.

    Args:
        limits: Limits of its joints.
        period_s: Time between ticks.
        fade_s: How long the difference between two chunks fades.
        stop_s: How long a stop takes; longer where the limits do not allow that.
        led_s: As ``StepLimit``; 0 where its ticks are those of the clock.
        spacing_s: Time between points that others join by quintics, between which the limits hold
            too; 0: there are none.

    Raises:
        ValueError: Points so far apart that nothing is left of a limit between them.
    """

    def __init__(
        self,
        limits: JointLimits,
        period_s: float,
        *,
        fade_s: float = 0.2,
        stop_s: float = 0.2,
        led_s: float = 0.0,
        spacing_s: float = 0.0,
    ) -> None:
        self._spacing_s = spacing_s
        self._limits = limits = self._between(limits)
        self._period_s = period_s
        # A fade would be a lag in the loop that keeps the robot on its legs.
        self._fade_s = min(fade_s, AT_ONCE * period_s) if limits.stands else fade_s
        self._stop_s = min(stop_s, STAND_S) if limits.stands else stop_s
        self._governor = governor_of(limits, period_s)
        self._velocities = _velocity_governor(self._governor, limits, period_s, led_s)
        self._step = StepLimit(limits, led_s)
        self._follower: ChunkFollower | None = None
        self._sent: Motion | None = None
        self._was_limited = self._was_held = False
        self._last_s = -math.inf
        self._rest_s = -math.inf
        self._looser: tuple[JointLimits, Governor] | None = None
        self._tightening: Tightening | None = None
        self._untold = False

    @property
    def limits(self) -> JointLimits:
        """Limits in force."""
        return self._limits

    @property
    def longest_stop_s(self) -> float:
        """Time within which every stop ends, s."""
        return longest_stop_s(self._stop_s, self._limits)

    @property
    def is_at_rest(self) -> bool:
        """Whether the last command lets the robot rest."""
        sent = self._sent
        return sent is None or self._limits.is_rest(sent.position, sent.velocity)

    @property
    def has_chunk(self) -> bool:
        """Whether there is a chunk to follow, which may have ended."""
        return self._follower is not None and self._follower.chunk is not None

    def hold_at(self, position: np.ndarray, now_s: float) -> None:
        """Begin at ``position`` (Da,), at rest, whatever has been sent."""
        self.go_on(Motion.rest(position), now_s)

    def go_on(self, motion: Motion, now_s: float) -> None:
        """Begin with a motion that was sent for ``now_s``; a chunk to follow must come next."""
        self._follower = ChunkFollower(
            motion.position, now_s, self._limits, fade_s=self._fade_s, stop_s=self._stop_s
        )
        self._sent, self._last_s = motion, now_s
        self._was_limited = self._was_held = False
        self._step.forget()
        if self._velocities is not None:
            self._velocities.forget()
        self._note(now_s, motion)

    def copied(self) -> "MotionLoop":
        """Return another one that continues from here, whatever becomes of this one."""
        another = copy(self)
        another._follower, another._step = copy(self._follower), self._step.copied()
        if self._velocities is not None:
            another._velocities = self._velocities.copied()
        return another

    def bounds(self, measured: np.ndarray | None) -> Bounds | None:
        """Return between which positions the next motion stays for a robot at ``measured``."""
        return self._step.around(measured)

    def take_up(self, sent: Sent, now_s: float, measured: np.ndarray | None = None) -> None:
        """Go on from what another one has sent: stop smoothly, until there is a chunk."""
        self._make_room_for(sent.motion)
        self.hold_at(sent.motion.position, sent.stamp_s)
        assert self._follower is not None
        self._sent, self._rest_s = sent.motion, now_s + self._stop_s
        self._stop_from_sent(self._follower, now_s, self.bounds(measured))

    def tighten(self, limits: JointLimits) -> None:
        """Be led within stricter limits too, once every joint has slowed down to them."""
        before = self._limits if self._tightening is None else self._tightening.limits
        limits = before.strictest(self._between(limits))
        governor = self._governor
        assert isinstance(governor, Governor)
        self._tightening, self._untold = Tightening(governor, limits, self._period_s), True

    def _between(self, limits: JointLimits) -> JointLimits:
        return limits_between(limits, self._spacing_s) if self._spacing_s else limits

    def _take_stricter(self) -> None:
        """Let the stricter limits be in force."""
        tightening, self._tightening = self._tightening, None
        if tightening is None:
            return
        assert isinstance(self._governor, Governor)
        self._looser = self._limits, self._governor
        self._limits, self._governor = tightening.limits, tightening.governor
        self._step = self._step.within(self._limits)

    def _make_room_for(self, motion: Motion) -> None:
        """Slow down once more where ``motion``, of a stop sent earlier, is beyond the limits."""
        if self._looser is None or self._looser[1] is self._governor:
            return
        assert isinstance(self._governor, Governor)
        if not self._governor.admits(motion).all():
            stricter = self._limits
            self._limits, self._governor = self._looser
            self._tightening = Tightening(self._governor, stricter, self._period_s)

    def _verdict(self, order: Order) -> Verdict:
        """Return what was ordered, or why the robot cannot be moved within the limits."""
        tightening = self._tightening
        if tightening is None or self._sent is None:
            return order.verdict
        if tightening.admits(self._sent).all():
            self._take_stricter()
        elif order.verdict.state == State.RUNNING and tightening.is_stuck(self._sent):
            return Verdict(State.HOLDING, Reason.LIMIT_POSITION, OUTSIDE_STRICTER)
        return order.verdict

    def follow(self, now_s: float, order: Order) -> Command:
        """Return the command that carries out ``order`` at ``now_s``."""
        if order.limits is not None:
            self.tighten(order.limits)
        verdict = self._verdict(order)
        went_back = now_s < self._last_s
        if went_back:
            self._last_s = now_s - self._period_s  # the motion continues all the same
            if verdict.state == State.RUNNING and order.chunk is None:
                verdict = Verdict(State.HOLDING, Reason.CLOCK_JUMP, "the time went back")
        if order.begin_at is not None:
            self._begin(order.begin_at, order.keep_position, now_s)
        if order.sent is not None:
            self.take_up(order.sent, now_s, order.measured)
        bounds = self.bounds(order.measured)
        if verdict.state in (State.WAITING, State.INACTIVE) or self._follower is None:
            return Command(now_s, None, verdict.state, verdict.reason, verdict.text)
        if verdict.state == State.RUNNING:
            if order.chunk is not None:
                # From what was really sent: the curve may have exceeded than the limits.
                assert self._sent is not None
                self._follower.accept(order.chunk, self._sent, self._sent_s(now_s))
        # A stop that was not followed exactly starts afresh: what it has missed must not
        # be caught up with.
        elif self._was_held or (
            (verdict.reason != Reason.PLAN_LATE or self._limits.stands)
            and (self.has_chunk or self._was_limited or went_back or self._is_late(now_s))
        ):
            self._stop_from_sent(self._follower, now_s, bounds)
        return self._limited(self._follower, now_s, verdict, bounds, order.measured)

    def _begin(self, measured: np.ndarray, keep_position: bool, now_s: float) -> None:
        self._take_stricter()
        resting = self._limits.resting(measured)
        start = np.clip(resting, self._limits.lower, self._limits.upper)
        sent = self._sent if keep_position else None
        if sent is not None and is_near(measured, sent.position, self._limits):
            within = (np.abs(resting - sent.position) <= self._limits.step).all()
            start = self._limits.resting(sent.position) if within else start
        self.hold_at(start, now_s)
        if self._limits.stands and self._follower is not None:
            up_s = max(self._stop_s, standing_up_s(start, self._limits.stand))
            begin = Motion.rest(start)
            self._follower.stop(StandingStop(now_s, begin, up_s, self._limits.stand))

    def _limited(
        self,
        follower: ChunkFollower,
        now_s: float,
        verdict: Verdict,
        bounds: Bounds | None,
        measured: np.ndarray | None,
    ) -> Command:
        elapsed_s = max(now_s - self._last_s, 0.0)
        runs = verdict.state == State.RUNNING
        tightening = self._tightening if runs else None
        wish = follower.command(now_s)
        if tightening is not None and self._sent is not None:
            safe = tightening.step(self._sent, wish, elapsed_s, bounds)
        else:
            safe = self._governed(wish, elapsed_s, bounds, measured)
        self._was_limited, self._was_held = bool(safe.reasons), "step" in safe.reasons
        limited = safe.noticed
        if runs and self._untold:
            limited, self._untold = tuple(dict.fromkeys(("stricter", *limited))), False
        if limited:
            verdict = verdict.limited(limited)
        motion = self._sent = safe.motion
        self._last_s = now_s
        self._note(now_s, motion)
        return Command(
            now_s,
            motion.position,
            verdict.state,
            verdict.reason,
            verdict.text,
            velocity=motion.velocity,
            acceleration=motion.acceleration,
            step_s=safe.step_s,
            limited=limited,
        )

    def _governed(
        self, wish: Motion, elapsed_s: float, bounds: Bounds | None, measured: np.ndarray | None
    ) -> Limited:
        assert self._sent is not None
        if self._velocities is None:
            return self._governor.step(self._sent, wish, elapsed_s, bounds)
        return self._velocities.step(self._sent, wish, elapsed_s, bounds, measured)

    def _note(self, now_s: float, motion: Motion) -> None:
        self._step.note(now_s, motion.position)
        if self._velocities is not None:
            self._velocities.note(now_s, motion.position)

    def _stop_from_sent(
        self, follower: ChunkFollower, now_s: float, bounds: Bounds | None
    ) -> None:
        assert self._sent is not None
        begin_s = self._sent_s(now_s)
        if follower.chunk is not None:
            self._rest_s = begin_s + self._stop_s
        # A stop that starts afresh has less time: else it would never end.
        left_s = max(self._rest_s - begin_s, self._period_s)
        if self._limits.stands:
            follower.stop(StandingStop(begin_s, self._sent, left_s, self._limits.stand))
            return
        follower.stop(SafeStop(begin_s, self._sent, left_s, self._limits, bounds))

    def _is_late(self, now_s: float) -> bool:
        return now_s - self._last_s > LONGEST_STEP * self._period_s

    def _sent_s(self, now_s: float) -> float:
        """Return the moment for which the last command counts, a period ago at most.

        After a late tick the reach stays that of one period: a catch-up must not be a jump.
        """
        if self._is_late(now_s):
            return now_s - self._period_s
        return min(self._last_s, now_s)


OUTSIDE_STRICTER = (
    "the robot has come to rest outside of stricter position limits that came: deactivate, move "
    "it within them and activate"
)


def can_tighten(before: JointLimits, after: JointLimits) -> bool:
    """Return whether a motion may be led from limits into stricter ones while it moves.

    Commands that are velocities and an arm with a box need more room than joints do by themselves.
    """
    return all(each.velocities is None and each.arm is None for each in (before, after))


def is_near(measured: np.ndarray, position: np.ndarray, limits: JointLimits) -> bool:
    """Return whether a robot at ``measured`` (Da,) may be led on from ``position`` (Da,).

    A velocity is near every position: it is led on from 0.
    """
    near = np.abs(measured - position) <= limits.velocity * _NEAR_S
    if limits.velocities is not None:
        near |= limits.velocities.chosen
    return bool(near.all())


def _velocity_governor(
    governor: Governor | BoxedGovernor, limits: JointLimits, period_s: float, led_s: float
) -> VelocityGovernor | None:
    """Return what leads the velocities among the columns; None where there is none."""
    if limits.velocities is None:
        return None
    if not isinstance(governor, Governor):
        raise ValueError(
            "end_effector_box: where velocities are commanded the end effector is not known: "
            "leave the box out, or command positions"
        )
    return VelocityGovernor(governor, limits, period_s, led_s)
