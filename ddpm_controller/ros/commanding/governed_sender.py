"""Commands at a fixed rate, each through the governor: for a command line that moves a robot.

Trajectories end at rest and have a committed lead, as those of a controller; what is recorded of
them has the moments that they are for, so the lead is in no latency.
"""

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from rclpy.node import Node

from ddpm_controller.control.command import Command
from ddpm_controller.control.moving.cartesian_box import governor_of
from ddpm_controller.control.moving.interpolation import Motion
from ddpm_controller.control.moving.motion_loop import Sent
from ddpm_controller.control.moving.path import in_nanoseconds
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.control.moving.step_limit import StepLimit
from ddpm_controller.control.moving.stream_settings import StreamSettings, limits_between
from ddpm_controller.control.moving.trajectory_stream import TrajectoryStream
from ddpm_controller.control.states import Reason, State
from ddpm_controller.robots.outputs import JOINT_TRAJECTORY
from ddpm_controller.robots.robot import Robot
from ddpm_controller.ros.commanding.command_publisher import CommandPublisher

WishAt = Callable[[float], Motion]
"""Moment -> where the robot is to be then."""
_EARLY = 0.5
"""Of a period: so much earlier than its time a tick may come and still make its step."""


class GovernedSender:
    """Sends one command after the other.

    Args:
        node: Owner of the publisher.
        robot: Whose command topic it is.
        limits: Limits of its joints.
        period_s: Between two commands.
        stop_s: Time of a gentle stop.
        begin: Where it is at rest, (Da,).

    Attributes:
        limits: Limits that its commands keep.
        sent: The last command and the moment that it is for.
        due_s: When the next one is due, monotonic time.
    """

    def __init__(
        self,
        node: Node,
        robot: Robot,
        limits: JointLimits,
        period_s: float,
        stop_s: float,
        begin: np.ndarray,
    ) -> None:
        names, self._period_s = robot.action_spec.joint_names, period_s
        self._stream: TrajectoryStream | None = None
        led_s = 0.0
        if any(output.type == JOINT_TRAJECTORY for output in robot.outputs):
            settings = StreamSettings()
            self._lead_s = max(settings.lead_s, 2 * period_s)
            settings = replace(settings, lead_s=self._lead_s)
            led_s = settings.past_s + settings.lead_s
            limits = limits_between(limits, period_s * settings.knot_ticks(period_s))
            self._stream = TrajectoryStream(names, limits, period_s, stop_s, settings)
        self.limits = limits
        self._commands = CommandPublisher(node, robot.outputs, period_s, depth=1)
        self._governor, self._near = governor_of(limits, period_s), StepLimit(limits, led_s)
        self._measured = begin
        self.sent = Sent(-np.inf, Motion.rest(np.clip(begin, limits.lower, limits.upper)))
        self.due_s = time.monotonic()

    def begin(self, now_s: float) -> float:
        """Have the robot led at rest; return the moment from which on it is free to move."""
        if self._stream is None:
            return now_s
        if self._stream.sent is None:
            place = self.sent.motion.position
            message = self._stream.begin(now_s, place, self._measured)
            self._commands.send_ahead(message, (), now_s)
            self.sent = replace(self.sent, stamp_s=self._stream.end_s)
        return max(now_s + self._lead_s, self._stream.end_s)

    def send(self, wish_at: WishAt, now_s: float, measured: np.ndarray) -> list[Sent]:
        """Send what the limits leave of a motion for a robot at ``measured`` (Da,).

        Returns:
            The commands that are new.
        """
        self._measured = measured
        new = (
            self._sent_now(wish_at, now_s) if self._stream is None else self._ahead(wish_at, now_s)
        )
        # After a late tick the next one comes a period later: nothing is caught up with.
        self.due_s = max(self.due_s + self._period_s, time.monotonic())
        return new

    def led(self, now_s: float) -> np.ndarray:
        """Return where the robot is led now, (Da,): the last command may be a lead ahead."""
        if self._stream is None or self._stream.sent is None:
            return self.sent.motion.position
        return self._stream.at(now_s).position

    @property
    def is_heard(self) -> bool:
        """Whether there is a subscriber to every output."""
        return all(each.get_subscription_count() for each in self._commands.publishers)

    def _sent_now(self, wish_at: WishAt, now_s: float) -> list[Sent]:
        before_s = self.sent.stamp_s
        elapsed_s = max(now_s - before_s, 0.0) if np.isfinite(before_s) else self._period_s
        self._step(wish_at, now_s, elapsed_s)
        self._commands.send(_command(self.sent))
        return [self.sent]

    def _ahead(self, wish_at: WishAt, now_s: float) -> list[Sent]:
        stream = self._stream
        assert stream is not None
        if stream.has_hole(now_s):
            stream.resume(now_s)
            self.sent = Sent(stream.end_s, stream.at(stream.end_s))
        new = []
        last_s = now_s + self._lead_s + _EARLY * self._period_s
        while (moment_s := in_nanoseconds(stream.end_s + self._period_s)) <= last_s:
            stream.append(moment_s, self._step(wish_at, moment_s, self._period_s))
            new.append(self.sent)
        message = stream.message(now_s, self._near.around(self._measured))
        self._commands.send_ahead(message, [_command(each) for each in new], now_s)
        return new

    def _step(self, wish_at: WishAt, moment_s: float, elapsed_s: float) -> Motion:
        bounds = self._near.around(self._measured)
        wish = wish_at(moment_s)
        motion = self._governor.step(self.sent.motion, wish, elapsed_s, bounds).motion
        self._near.note(moment_s, motion.position)
        self.sent = Sent(moment_s, motion)
        return motion


def _command(sent: Sent) -> Command:
    motion = sent.motion
    fields = (motion.position, State.RUNNING, Reason.NONE, "", None)
    return Command(sent.stamp_s, *fields, motion.velocity, motion.acceleration)
