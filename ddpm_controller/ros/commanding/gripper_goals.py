"""Grippers that are commanded by goals of an action.

Goals are sent on the executor's thread, a few times a second, so that neither a tick nor the
process that commands ever waits for a gripper. A goal replaces the one before, which its server
ends as preempted. One that was aborted while the gripper was stalled has gripped something, which
is no fault. Others are reported, and the gripper gets the next goal all the same.
"""

import math
import time
import uuid
from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from action_msgs.msg import GoalStatus
from rclpy.action import ActionClient
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.task import Future
from sensor_msgs.msg import JointState
from unique_identifier_msgs.msg import UUID

from ddpm_controller.messages.message_classes import message_class
from ddpm_controller.robots.outputs import (
    ACTION_RATE_HZ,
    PARALLEL_GRIPPER_COMMAND,
    RobotOutput,
    columns_of,
)
from ddpm_controller.ros.output_messages import mirror_of

_MOST_WAITING = 10_000
_RETRY_S = 1.0
"""Time after which a goal that was rejected is sent once more."""
_LATEST_S = 1.0
"""A position is not sent later than this time after its moment: it waits for no server."""
_NO_EFFORT = 0.0
"""Effort of a GripperCommand that names none; its field cannot be left out."""


class GripperGoals:
    """Sends each gripper of a robot the goals that follow from its commands.

    Args:
        node: Owner of the clients.
        outputs: Outputs of the robot; those by action are sent.
    """

    def __init__(self, node: Node, outputs: Sequence[RobotOutput]) -> None:
        columns = columns_of(outputs)
        self.grippers = [
            GripperClient(node, each, columns[each.name].start)
            for each in outputs
            if each.is_action
        ]

    def note(self, moment_s: float, position: np.ndarray) -> None:
        """Note a command (Da,) for the moment at which it is to be sent; from any thread."""
        for each in self.grippers:
            each.note(moment_s, float(position[each.column]))

    @property
    def problems(self) -> list[str]:
        """What is worth a warning."""
        return [each.problem for each in self.grippers if each.problem]

    def close(self) -> None:
        """Leave the graph."""
        for each in self.grippers:
            each.close()


class GripperClient:
    """The client of one gripper.

    Args:
        node: Owner of the client.
        output: An output by action.
        column: Column of a command that is the gripper's.

    Attributes:
        problem: Why its newest goal is not carried out; empty without a reason.
        goals: Identities of the goals that it has sent lately.
    """

    def __init__(self, node: Node, output: RobotOutput, column: int) -> None:
        assert output.gripper is not None
        self._node, self.output, self.column = node, output, column
        self._rule = output.gripper
        self._client = ActionClient(node, message_class(output.type), output.topic)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._mirror = node.create_publisher(JointState, output.mirror_topic, latched)
        self._waiting: deque[tuple[float, float]] = deque(maxlen=_MOST_WAITING)
        self._wish: tuple[float, float] | None = None
        self._sent: float | None = None
        self._number, self._retry_s = 0, -math.inf
        self.problem, self.goals = "", deque[bytes](maxlen=64)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        period_s = 1.0 / (output.rate_hz or ACTION_RATE_HZ)
        self._timer = node.create_timer(period_s, self._on_time, clock=steady)

    def note(self, moment_s: float, position: float) -> None:
        """Note where the gripper is to be at a moment."""
        self._waiting.append((moment_s, position))

    @property
    def is_served(self) -> bool:
        """Whether a server of the action is there."""
        return bool(self._client.server_is_ready())

    def close(self) -> None:
        """Leave the graph; the gripper keeps its last goal."""
        self._node.destroy_timer(self._timer)
        self._client.destroy()
        self._node.destroy_publisher(self._mirror)

    def _on_time(self) -> None:
        """Send the newest position whose moment has come, if the rule asks for it."""
        now_s = self._node.get_clock().now().nanoseconds * 1e-9
        while self._waiting and self._waiting[0][0] <= now_s:
            self._wish = self._waiting.popleft()
        if self._wish is None or time.monotonic() < self._retry_s:
            return
        moment_s, wish = self._wish
        if now_s - moment_s > _LATEST_S:  # nothing is commanded any more
            return
        place = self._rule.due(wish, self._sent)
        if place is not None and self.is_served:
            self._send(moment_s, place)

    def _send(self, moment_s: float, place: float) -> None:
        self._number, self._sent = self._number + 1, place
        name = UUID(uuid=list(uuid.uuid4().bytes))
        self.goals.append(bytes(name.uuid))  # before its status can arrive
        future = self._client.send_goal_async(goal_of(self.output, place), goal_uuid=name)
        future.add_done_callback(partial(self._on_answer, self._number))
        self._mirror.publish(mirror_of(self.output, moment_s, place))

    def _on_answer(self, number: int, future: Future) -> None:
        handle = future.result()
        if handle is None:
            return
        if handle.accepted:
            result = handle.get_result_async()
            result.add_done_callback(partial(self._on_result, number))
        elif number == self._number:
            self._sent, self._retry_s = None, time.monotonic() + _RETRY_S
            self._report(f"{self.output.topic} rejects goals; it is asked again each second")

    def _on_result(self, number: int, future: Future) -> None:
        """Look at how the newest goal has ended; those before were replaced."""
        answer = future.result()
        if answer is None or number != self._number:
            return
        stalled = bool(answer.result.stalled)
        failed = answer.status in (GoalStatus.STATUS_ABORTED, GoalStatus.STATUS_CANCELED)
        if not failed or stalled:
            self._report("")
        elif answer.status == GoalStatus.STATUS_CANCELED:
            self._report(f"the goal of {self.output.topic} was cancelled by another node")
        else:
            self._report(
                f"{self.output.topic} has aborted its goal of {self._sent} without being stalled"
            )

    def _report(self, problem: str) -> None:
        """Log a problem once, and keep it until a goal succeeds."""
        if problem and problem != self.problem:
            self._node.get_logger().warning(problem)
        self.problem = problem


def goal_of(output: RobotOutput, place: float) -> Any:
    """Return the goal that brings a gripper to ``place``."""
    assert output.gripper is not None
    goal, effort = message_class(output.type).Goal(), output.gripper.max_effort
    if output.type == PARALLEL_GRIPPER_COMMAND:
        goal.command.name, goal.command.position = list(output.message_names), [place]
        goal.command.effort = [] if effort is None else [effort]
    else:
        goal.command.position = place
        goal.command.max_effort = _NO_EFFORT if effort is None else effort
    return goal
