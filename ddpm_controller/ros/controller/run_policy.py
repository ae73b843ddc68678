"""The action ``~/run_policy``: run until success, time-out or cancel."""

import math
from collections.abc import Callable
from functools import partial

from ddpm_msgs.action import RunPolicy
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.task import Future
from std_msgs.msg import Bool

from ddpm_controller.messages.stamps import seconds
from ddpm_controller.ros.controller.policy_run import Outcome, PolicyRun, RunEnd
from ddpm_controller.ros.controller.session import ControlSession
from ddpm_controller.ros.executor_calls import ExecutorCalls

_FEEDBACK_PERIOD_S = 0.2


class RunPolicyServer:
    """Turns goals into runs of the session that is active; one at a time.

    Args:
        node: Owner of the action and of the success subscription.
        calls: Brings the end of a run to the executor's thread.
        session: Returns the session, or None while the node is not active.
        success_topic: Success topic of std_msgs/Bool.
    """

    def __init__(
        self,
        node: Node,
        calls: ExecutorCalls,
        session: Callable[[], ControlSession | None],
        success_topic: str,
    ) -> None:
        self._node, self._calls, self._session = node, calls, session
        self._goal: ServerGoalHandle | None = None
        self._run: PolicyRun | None = None
        # A latched success of the episode before must not end the run that follows.
        self._success = False
        self._armed = False
        facts = QoSProfile(
            depth=1,
            reliability=ReliabilityPolicy.RELIABLE,
            durability=DurabilityPolicy.TRANSIENT_LOCAL,
        )
        node.create_subscription(Bool, success_topic, self._on_success, facts)
        self._server = ActionServer(
            node,
            RunPolicy,
            "~/run_policy",
            execute_callback=self._execute,
            goal_callback=self._on_goal,
            cancel_callback=self._on_cancel,
            callback_group=ReentrantCallbackGroup(),
        )
        node.create_timer(
            _FEEDBACK_PERIOD_S,
            self._tell_progress,
            callback_group=ReentrantCallbackGroup(),
            clock=Clock(clock_type=ClockType.STEADY_TIME),
        )

    def _on_goal(self, goal: RunPolicy.Goal) -> GoalResponse:
        session = self._session()
        problem = ""
        if session is None:
            problem = "the controller is not active"
        elif session.loaded is None:
            problem = "no checkpoint is loaded"
        elif session.loop.right_of_way.refuses:
            problem = session.loop.right_of_way.refuses
        elif self._goal is not None:
            problem = "another goal is running"
        elif not (goal.timeout_s >= 0 and math.isfinite(goal.timeout_s)):
            problem = f"timeout_s must be finite and not below 0, got {goal.timeout_s}"
        if problem:
            self._node.get_logger().warning(f"run_policy refused: {problem}")
            return GoalResponse.REJECT
        return GoalResponse.ACCEPT

    def _on_cancel(self, goal: ServerGoalHandle) -> CancelResponse:
        self._end(Outcome.CANCELLED, "cancelled by the client")
        return CancelResponse.ACCEPT

    async def _execute(self, goal: ServerGoalHandle) -> RunPolicy.Result:
        ended = Future()
        session = self._session()
        if session is None or self._goal is not None:
            ended.set_result(RunEnd(Outcome.STOPPED, "the controller is not free", 0.0, 0))
        else:
            self._begin(session, goal, ended)
        end: RunEnd = await ended
        if self._goal is goal:
            self._goal = self._run = None
        if goal.is_cancel_requested:
            goal.canceled()
        elif end.outcome in (Outcome.SUCCESS, Outcome.TIMEOUT):
            goal.succeed()
        else:
            goal.abort()
        self._node.get_logger().info(
            f"run of seed {goal.request.seed}: {end.outcome.name} after {end.duration_s:.2f} s"
        )
        return RunPolicy.Result(
            outcome=int(end.outcome),
            message=end.message,
            duration_s=end.duration_s,
            plans=end.plans,
        )

    def _begin(self, session: ControlSession, goal: ServerGoalHandle, ended: Future) -> None:
        request = goal.request
        not_before_s = seconds(request.not_before) or -math.inf
        run = PolicyRun(
            request.timeout_s,
            request.seed,
            not_before_s,
            lambda end: self._calls.soon(partial(ended.set_result, end)),
        )
        self._goal, self._run = goal, run
        self._armed = not self._success
        session.post(partial(session.begin_run, run))
        if goal.is_cancel_requested:
            self._end(Outcome.CANCELLED, "cancelled by the client")

    def _on_success(self, message: Bool) -> None:
        self._success = bool(message.data)
        if not self._success:
            self._armed = True
        elif self._armed:
            self._end(Outcome.SUCCESS, "the world reports success")

    def _end(self, outcome: Outcome, message: str) -> None:
        session, run = self._session(), self._run
        if session is not None and run is not None:
            session.post(partial(session.end_run, outcome, message, run))

    def _tell_progress(self) -> None:
        session, run, goal = self._session(), self._run, self._goal
        if session is None or run is None or goal is None or not goal.is_active:
            return
        status = session.report.status
        feedback = RunPolicy.Feedback(
            elapsed_s=run.elapsed_s,
            plan_number=status.plan_number,
            state=int(status.state),
            reason=int(status.reason),
            text=status.text,
        )
        goal.publish_feedback(feedback)
