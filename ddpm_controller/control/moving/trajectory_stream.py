"""Messages that a trajectory controller with default parameters follows exactly, and survives.

A message has points from a little before now, so that the controller takes its set point from the
message alone; a committed lead, which later messages repeat and never change, so that late and
lost ones do no harm; and a stop behind it, so that a robot whose sender has died comes to rest.
"""

import math
from dataclasses import replace

import numpy as np

from ddpm_controller.control.moving.interpolation import Motion
from ddpm_controller.control.moving.motion_loop import Sent
from ddpm_controller.control.moving.path import Path, in_nanoseconds
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.control.moving.step_limit import Bounds
from ddpm_controller.control.moving.stopping import EmbeddedStop
from ddpm_controller.control.moving.stream_settings import (
    SHORTEST_PAST_S,
    StreamSettings,
    time_between,
)
from ddpm_controller.types import Trajectory

Tail = tuple[np.ndarray, np.ndarray]
"""Moments (N,) and motions (N, 3, Da) of the stop behind a lead."""


class TrajectoryStream:
    """What was committed, and the messages made of it.

    Args:
        joint_names: Names of the joints in the order of the motions.
        limits: Limits of the joints.
        period_s: Time between the ticks whose motions are appended.
        stop_s: Time that a gentle stop takes.
        settings: Times and form.
    """

    def __init__(
        self,
        joint_names: tuple[str, ...],
        limits: JointLimits,
        period_s: float,
        stop_s: float,
        settings: StreamSettings,
    ) -> None:
        self._joint_names, self._limits, self._settings = joint_names, limits, settings
        self._period_s = period_s
        self._message_s = max(settings.message_period_s, period_s) - period_s / 2
        self._knot_ticks = settings.knot_ticks(period_s)
        self._resume_s = settings.resume_s(period_s)
        self._past_s = 0.0 if settings.stamp == "zero" else settings.past_s
        self._stop_s = stop_s
        self.use(limits)
        self._path = Path(len(joint_names))
        self._newest: tuple[float, Motion] | None = None
        self._ticks = 0
        self._is_due = False
        self._tail: Tail = (np.zeros(0), np.zeros((0, 3, len(joint_names))))
        self.sent: Sent | None = None
        """End of the lead that was sent last: from there on the robot stops by itself."""
        self._before: tuple[float, Sent | None, Tail] = (math.inf, None, self._tail)

    def use(self, limits: JointLimits) -> None:
        """Take other limits for the stops from now on; the newest motion keeps them."""
        self._limits = limits
        self._stop = EmbeddedStop(limits, self._stop_s, fastest=limits.arm is not None)

    @property
    def end_s(self) -> float:
        """Moment up to which the motion is committed, sent or not; inf: nothing has begun."""
        if self._newest is not None:
            return self._newest[0]
        return self._path.end_s if len(self._path) else math.inf

    def at(self, moment_s: float) -> Motion:
        """Return where the robot is led at ``moment_s``: from ``past_s`` ago to the newest point.

        To compare with what is measured, and for a limit on the distance from there: the newest
        command is a lead ahead of the robot.
        """
        return self._path.at(moment_s)

    # What is committed

    def begin(self, now_s: float, start: np.ndarray, measured: np.ndarray) -> Trajectory:
        """Return the message that leads from ``measured`` to rest at ``start``, both (Da,).

        The motion may be appended from ``end_s`` on. A stop that the robot is still in is
        finished first; a lead that ends at rest has none behind it.
        """
        settings, path = self._settings, self._path
        if self.sent is not None:
            path.cut(self.sent.stamp_s)
            last = self.sent.motion
            if last.acceleration.any() or not self._limits.is_rest(last.position, last.velocity):
                self._keep_tail(math.inf)
            path.forget(now_s - settings.past_s)
        if len(path) and path.end_s > now_s and np.any(path.motions[:, 1:]):
            from_s, measured = path.end_s, path.last.position
        else:
            from_s = now_s
            path.clear()
        duration_s = max(settings.begin_s, time_between(measured, start, self._limits))
        rest = Motion.rest(start)
        path.append(from_s + duration_s, rest)
        message = self._message_of(path.times_s, path.motions, now_s)
        past_s = max(settings.past_s, SHORTEST_PAST_S)
        self._commit(path.end_s + past_s + settings.lead_s, rest)
        return message

    def _commit(self, moment_s: float, motion: Motion) -> None:
        """Let the motion begin with a point at ``moment_s``."""
        moment_s = in_nanoseconds(moment_s)
        self._path.append(moment_s, motion)
        self._newest, self._ticks, self._is_due = None, 0, False
        self.sent = Sent(moment_s, motion)
        self._tail = (np.zeros(0), np.zeros((0, 3, len(motion.position))))
        self._before = math.inf, None, self._tail

    def clear(self) -> None:
        """Forget all: nothing that was sent counts any more."""
        self._path.clear()
        self._newest, self.sent = None, None

    def append(self, moment_s: float, motion: Motion) -> None:
        """Commit the motion of one tick, ``period_s`` after the last one."""
        self._ticks += 1
        if self._ticks % self._knot_ticks:
            self._newest = (moment_s, motion)
        else:
            self._path.append(moment_s, motion)
            self._newest = None

    def take_up(self, sent: Sent) -> None:
        """Continue what another process has sent: the end of its lead, and the stop behind it."""
        self._path.clear()
        for each in sent.before:
            self._path.append(each.stamp_s, each.motion)
        self._commit(sent.stamp_s, sent.motion)
        times_s, motions = self._stop.points(sent.motion)
        self._tail = (sent.stamp_s + times_s, motions)

    def stop_from(
        self, motion: Motion, bounds: Bounds | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return times (N,) after ``motion`` and motions (N, 3, Da) of the stop sent behind it."""
        return self._stop.points(motion, bounds)

    def has_hole(self, now_s: float) -> bool:
        """Return whether the robot has begun with its stop, or will before a message can come."""
        return self.sent is not None and self.sent.stamp_s < now_s + self._resume_s

    def can_repeat(self, now_s: float) -> bool:
        """Return whether it knows what was sent as far back as a message begins."""
        return self._path.begin_s <= now_s - self._past_s

    def sent_since(self, moment_s: float) -> tuple[bool, tuple[Sent, ...]]:
        """Return the points that were sent, oldest first, up to the end of the lead.

        Args:
            moment_s: Moment of a point that was sent, behind which they begin.

        Returns:
            Whether that point is still one of the motion, and those behind it; else all.
        """
        if self.sent is None:
            return False, ()
        times_s, motions = self._path.times_s, self._path.motions
        end = int(np.searchsorted(times_s, self.sent.stamp_s, side="right"))
        first = int(np.searchsorted(times_s, moment_s, side="right"))
        follows = 0 < first <= end and bool(times_s[first - 1] == moment_s)
        points = range(first if follows else 0, end)
        return follows, tuple(Sent(float(times_s[i]), Motion(*motions[i].copy())) for i in points)

    def resume(self, now_s: float) -> Sent:
        """Commit the stop of the last message up to a lead from now; return where it is left."""
        assert self.sent is not None
        sent, tail = self.sent, self._tail
        past_s = self._path.begin_s + max(self._settings.past_s, SHORTEST_PAST_S)
        moment_s = max(now_s, past_s, self.sent.stamp_s) + self._settings.lead_s
        self._path.cut(self.sent.stamp_s)
        self._keep_tail(moment_s)
        motion = self._tail_at(moment_s)
        self._commit(moment_s, motion)
        self._before, self._is_due = (moment_s, sent, tail), True
        return self.sent

    def shift(self, by_s: float) -> None:
        """Move all in time: the clock has jumped."""
        self._path.shift(by_s)
        self._tail = (self._tail[0] + by_s, self._tail[1])
        if self.sent is not None:
            self.sent = replace(self.sent, stamp_s=self.sent.stamp_s + by_s)
        if self._newest is not None:
            self._newest = (self._newest[0] + by_s, self._newest[1])
        self._before = math.inf, None, self._tail

    # Messages

    def message(self, now_s: float, bounds: Bounds | None = None) -> Trajectory | None:
        """Return the message that is due at ``now_s``, if one is; its stop keeps ``bounds``."""
        if self.sent is None:
            return None
        if not self._is_due and self.end_s - self.sent.stamp_s < self._message_s:
            return None
        self._path.forget(now_s - self._past_s)
        if not self.can_repeat(now_s):
            return None  # the controller would begin at the measured position
        if self._newest is not None:
            self._path.append(*self._newest)
            self._newest = None
        last, end_s = self._path.last, self._path.end_s
        if not self._is_due:  # a message that resumes agrees with the stop for a lead
            self._before = self.sent.stamp_s, self.sent, self._tail
        self.sent, self._is_due = Sent(end_s, last), False
        times_s, motions = self._stop.points(last, bounds)
        if self._settings.carries != "accelerations":
            times_s, motions = self._sampled(times_s, motions)
        self._tail = (end_s + times_s, motions)
        return self._message_of(
            np.concatenate([self._path.times_s, self._tail[0]]),
            np.concatenate([self._path.motions, motions]),
            now_s,
        )

    def withhold(self, now_s: float) -> bool:
        """Take the last message back if it would come too late; return whether it would.

        At ``now_s`` the robot is beyond what this message and the one before it have in common,
        so the motion resumes from the stop of that one.
        """
        common_s, sent, tail = self._before
        if sent is None or common_s >= now_s + self._resume_s:
            return False
        self.sent, self._tail = sent, tail
        self._before = math.inf, None, tail
        return True

    def _message_of(self, times_s: np.ndarray, motions: np.ndarray, now_s: float) -> Trajectory:
        stamp_s = float(times_s[0])
        if self._settings.stamp == "zero":
            stamp_s, motions = now_s, np.array(motions)
            times_s = np.array(times_s)
            if times_s[0] < now_s:
                motion = self._path.at(now_s)
                motions[0] = motion.position, motion.velocity, motion.acceleration
                times_s[0] = now_s
        carries = self._settings.carries
        return Trajectory(
            0.0 if self._settings.stamp == "zero" else stamp_s,
            self._joint_names,
            times_s - stamp_s,
            motions[:, 0].copy(),
            None if carries == "positions" else motions[:, 1].copy(),
            motions[:, 2].copy() if carries == "accelerations" else None,
        )

    def _sampled(self, times_s: np.ndarray, motions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return a stop with a point at every tick, for points without accelerations."""
        way = Path(motions.shape[2])
        way.append(0.0, self._path.last)
        for moment_s, rows in zip(times_s, motions, strict=True):
            way.append(float(moment_s), Motion(*rows))
        end_s = float(times_s[-1])
        moments_s = np.append(np.arange(self._period_s, end_s - 1e-6, self._period_s), end_s)
        found = [way.at(float(moment_s)) for moment_s in moments_s]
        rows = np.array([(each.position, each.velocity, each.acceleration) for each in found])
        return moments_s, rows

    # The stop of the last message

    def _keep_tail(self, until_s: float) -> None:
        """Commit the points of the stop before ``until_s``."""
        for moment_s, rows in zip(*self._tail, strict=True):
            if self._path.end_s < moment_s < until_s:
                self._path.append(float(moment_s), Motion(*rows))

    def _tail_at(self, moment_s: float) -> Motion:
        """Return the motion between the last committed point and the next one of the stop."""
        times_s, motions = self._tail
        i = int(np.searchsorted(times_s, moment_s))
        if i == len(times_s):
            return Motion.rest(self._path.last.position)
        ahead = Path(motions.shape[2])
        ahead.append(self._path.end_s, self._path.last)
        ahead.append(float(times_s[i]), Motion(*motions[i]))
        return ahead.at(moment_s)
