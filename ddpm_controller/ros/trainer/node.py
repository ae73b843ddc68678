"""The node `trainer`: trains from bags when its action asks for it."""

import math
import sys
from collections.abc import Generator
from pathlib import Path

import rclpy
from ddpm_msgs.action import Train
from ddpm_msgs.msg import TrainingStatus
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from ddpm_controller.ros.answered import answer_always
from ddpm_controller.ros.parameters import declare, read
from ddpm_controller.ros.private_memory import keep_private
from ddpm_controller.ros.trainer.parameters import TrainerParameters
from ddpm_controller.ros.trainer.thread import TrainingGoal, TrainingThread
from ddpm_controller.share import found_path

_PATIENCE_S = 30.0


class _NextSpin:
    """Awaited once, it gives the executor the turn until something else has happened."""

    def __await__(self) -> Generator[None, None, None]:
        yield


class Trainer(Node):
    """One training at a time, on a thread of its own; the status is published meanwhile."""

    def __init__(self) -> None:
        super().__init__("trainer")
        declare(self, TrainerParameters)
        latched = QoSProfile(
            depth=1,
            reliability=ReliabilityPolicy.RELIABLE,
            durability=DurabilityPolicy.TRANSIENT_LOCAL,
        )
        self._status = self.create_publisher(TrainingStatus, "~/status", latched)
        self._training: TrainingThread | None = None
        self._goal_handle: ServerGoalHandle | None = None
        self._server = ActionServer(
            self,
            Train,
            "~/train",
            execute_callback=self._execute,
            goal_callback=self._on_goal,
            cancel_callback=self._on_cancel,
        )
        self._publish(TrainingStatus(state=TrainingStatus.STATE_IDLE, validation_loss=math.nan))
        period_s = self.get_parameter("status_period_s").value
        # Also what lets `_execute` look after the thread: a waiting coroutine is resumed
        # whenever the executor wakes up.
        self.create_timer(period_s, self._on_timer)

    def close(self) -> None:
        """Let a training that runs save its state, and leave the graph."""
        if self._training is not None:
            self._training.stop()
            self._training.join(_PATIENCE_S)
        self._server.destroy()
        self.destroy_node()

    def _on_goal(self, request: Train.Goal) -> GoalResponse:
        if self._training is not None:
            self.get_logger().warning(
                f"refused: {self._training.goal.output} is being trained; cancel that first"
            )
            return GoalResponse.REJECT
        self._training = TrainingThread(self._goal(request))
        return GoalResponse.ACCEPT

    def _on_cancel(self, goal_handle: ServerGoalHandle) -> CancelResponse:
        if self._training is not None:
            self._training.stop()
        return CancelResponse.ACCEPT

    async def _execute(self, goal_handle: ServerGoalHandle) -> Train.Result:
        training = self._training
        assert training is not None  # _on_goal has made it
        self._goal_handle = goal_handle
        training.start()
        while training.is_alive():
            await _NextSpin()
        self._training = self._goal_handle = None
        return self._ended(training, goal_handle)

    def _goal(self, request: Train.Goal) -> TrainingGoal:
        parameters = read(self, TrainerParameters)
        return TrainingGoal(
            bags=tuple(Path(bag) for bag in request.bags),
            robot=Path(request.robot or found_path(parameters.robot)),
            config=Path(request.config or parameters.config or ""),
            output=Path(request.output or parameters.output or ""),
            torch_num_threads=parameters.torch_num_threads,
            device=parameters.device,
            cache=parameters.cache,
            refuse_wrong=parameters.refuse_wrong,
        )

    def _on_timer(self) -> None:
        if self._training is None or self._goal_handle is None:
            return
        status = self._publish(self._training.status())
        self._goal_handle.publish_feedback(Train.Feedback(status=status))

    def _publish(self, status: TrainingStatus) -> TrainingStatus:
        status.header.stamp = self.get_clock().now().to_msg()
        self._status.publish(status)
        return status

    def _ended(self, training: TrainingThread, goal_handle: ServerGoalHandle) -> Train.Result:
        """Settle the goal and report its end on the status topic."""
        status, result = training.status(), training.result
        if training.error:
            goal_handle.abort()
            status.state, status.text = TrainingStatus.STATE_FAILED, training.error
            self.get_logger().error(training.error)
        elif result is not None and result.finished:
            goal_handle.succeed()
            status.state, status.text = TrainingStatus.STATE_DONE, f"{result.steps} updates done"
        else:
            goal_handle.canceled() if goal_handle.is_cancel_requested else goal_handle.abort()
            status.state = TrainingStatus.STATE_CANCELLED
            status.text = f"stopped after {status.step} updates; the same goal resumes from there"
        self._publish(status)
        answer = Train.Result(message=status.text, validation_loss=math.nan)
        answer.success = status.state == TrainingStatus.STATE_DONE
        if result is not None:
            answer.best_checkpoint = str(result.best_checkpoint or "")
            answer.last_checkpoint = str(result.last_checkpoint or "")
            answer.validation_loss = result.validation_loss
        return answer


def main() -> int:
    """Run the node until it is interrupted."""
    rclpy.init()
    trainer = None
    try:
        trainer = Trainer()
        answer_always(trainer)
        keep_private()
        executor = SingleThreadedExecutor()
        executor.add_node(trainer)
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except (ValueError, RuntimeError, ParameterException) as error:
        if rclpy.ok():  # else it was asked to end while it began
            sys.stderr.write(f"trainer: {error}\n")
            return 1
    finally:
        if trainer is not None:
            trainer.close()
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
