"""The action of a simulated gripper, as the gripper controllers of ros2_control serve it.

A goal is taken at once and ends the one before. It succeeds where the gripper arrives; where it
pushes without moving, it is aborted as stalled, which is how a grip ends with default parameters.
"""

from collections.abc import Callable
from typing import Any

from rclpy.action import ActionServer, CancelResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.node import Node

from ddpm_controller.messages.message_classes import message_class
from ddpm_controller.robots.outputs import PARALLEL_GRIPPER_COMMAND, RobotOutput

_TOLERANCES = {"rad": 0.01, "m": 0.001}
"""Unit -> distance from its goal at which a gripper has arrived."""
_STALL_VELOCITY = 0.001
_STALL_TIMEOUT_S = 1.0


class GripperServer:
    """Serves one output by action.

    Args:
        node: Owner of the server.
        output: Output of the robot file.
        take: Called with the position of a goal.
    """

    def __init__(self, node: Node, output: RobotOutput, take: Callable[[float], object]) -> None:
        self._output, self._take = output, take
        self._goal: ServerGoalHandle | None = None
        self._target, self._moved_s = 0.0, 0.0
        self._position = self._now_s = 0.0
        kind = message_class(output.type)
        self._tolerance = _TOLERANCES[output.units[0]]
        self._server = ActionServer(
            node,
            kind,
            output.topic,
            execute_callback=lambda handle: kind.Result(),
            handle_accepted_callback=self._on_accepted,
            cancel_callback=lambda handle: CancelResponse.ACCEPT,
        )

    def advance(self, position: float, velocity: float, now_s: float) -> None:
        """Look at the gripper at a tick; end the goal where it has arrived or is stalled."""
        self._position, self._now_s = position, now_s
        if self._goal is None:
            return
        if self._goal.is_cancel_requested:
            self._end(ServerGoalHandle.canceled, stalled=False)
        elif abs(position - self._target) < self._tolerance:
            self._end(ServerGoalHandle.succeed, stalled=False)
        elif abs(velocity) > _STALL_VELOCITY:
            self._moved_s = now_s
        elif now_s - self._moved_s > _STALL_TIMEOUT_S:
            self._end(ServerGoalHandle.abort, stalled=True)

    def close(self) -> None:
        """Leave the graph."""
        self._server.destroy()

    def _on_accepted(self, handle: ServerGoalHandle) -> None:
        if self._goal is not None:
            self._end(ServerGoalHandle.abort, stalled=False)
        self._goal, self._moved_s = handle, self._now_s
        command = handle.request.command
        is_parallel = self._output.type == PARALLEL_GRIPPER_COMMAND
        self._target = float(command.position[0] if is_parallel else command.position)
        self._take(self._target)

    def _end(self, end: Callable[[ServerGoalHandle], object], *, stalled: bool) -> None:
        assert self._goal is not None
        handle, self._goal = self._goal, None
        result = self._result(stalled)

        def ended(goal: ServerGoalHandle) -> Any:
            end(goal)
            return result

        handle.execute(ended)

    def _result(self, stalled: bool) -> Any:
        result = message_class(self._output.type).Result()
        result.stalled = stalled
        result.reached_goal = abs(self._position - self._target) < self._tolerance
        if self._output.type == PARALLEL_GRIPPER_COMMAND:
            result.state.name = list(self._output.message_names)
            result.state.position = [self._position]
        else:
            result.position = self._position
        return result
