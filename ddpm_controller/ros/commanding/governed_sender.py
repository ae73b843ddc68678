"""Commands at a fixed rate, each through the governor: for a command line that moves a robot."""

import time

import numpy as np
from rclpy.node import Node

from ddpm_controller.control.command import Command
from ddpm_controller.control.moving.cartesian_box import governor_of
from ddpm_controller.control.moving.interpolation import Motion
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.control.moving.step_limit import StepLimit
from ddpm_controller.control.states import Reason, State
from ddpm_controller.robots.robot import JOINT_TRAJECTORY, Robot
from ddpm_controller.ros.commanding.command_publisher import CommandPublisher


class GovernedSender:
    """Sends one command after the other.

    Args:
        node: Owner of the publisher.
        robot: Whose command topic it is.
        limits: Limits of its joints.
        period_s: Between two commands.
        begin: Where it is at rest, (Da,).

    Attributes:
        sent: Motion of the last command.
        due_s: When the next one is due, monotonic time.
    """

    def __init__(
        self, node: Node, robot: Robot, limits: JointLimits, period_s: float, begin: np.ndarray
    ) -> None:
        output = "joint_trajectory" if robot.action.type == JOINT_TRAJECTORY else "commands"
        names = robot.action_spec.joint_names
        self._commands = CommandPublisher(node, output, names, period_s, depth=1)
        self._governor, self._step = governor_of(limits, period_s), StepLimit(limits)
        self._period_s = period_s
        self._last_s: float | None = None
        self.sent = Motion.rest(begin)
        self.due_s = time.monotonic()

    def send(self, wish: Motion, now_s: float, measured: np.ndarray) -> None:
        """Send what the limits leave of ``wish`` for a robot at ``measured`` (Da,)."""
        elapsed_s = self._period_s if self._last_s is None else max(now_s - self._last_s, 0.0)
        self._last_s = now_s
        bounds = self._step.around(measured)
        self.sent = motion = self._governor.step(self.sent, wish, elapsed_s, bounds).motion
        fields = (motion.position, State.RUNNING, Reason.NONE, "", None)
        self._commands.send(Command(now_s, *fields, motion.velocity, motion.acceleration))
        # After a late tick the next one comes a period later: nothing is caught up with.
        self.due_s = max(self.due_s + self._period_s, time.monotonic())

    @property
    def is_heard(self) -> bool:
        """Whether there is a subscriber."""
        return bool(self._commands.publisher.get_subscription_count())
