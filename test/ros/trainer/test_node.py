import math
from pathlib import Path

import pytest
import rclpy
from action_msgs.msg import GoalStatus
from ddpm_msgs.action import Train
from ddpm_msgs.msg import TrainingStatus
from rclpy.action import ActionClient
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from small_training import RECIPE, small_training

from ddpm_controller.checkpoint import load_checkpoint
from ddpm_controller.ros.trainer.node import Trainer

LONG = RECIPE.replace("num_steps: 20", "num_steps: 100000")


class Graph:
    """The trainer and a client of it, on one executor."""

    def __init__(self) -> None:
        self.trainer = Trainer()
        self.client_node = rclpy.create_node("client")
        self.client = ActionClient(self.client_node, Train, "trainer/train")
        self.statuses: list[TrainingStatus] = []
        self.feedback: list[TrainingStatus] = []
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.client_node.create_subscription(
            TrainingStatus, "trainer/status", self.statuses.append, latched
        )
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.trainer)
        self.executor.add_node(self.client_node)

    def spin_until(self, condition) -> None:
        while not condition():
            self.executor.spin_once(timeout_sec=0.1)

    def result_of(self, future):
        self.spin_until(future.done)
        return future.result()

    def send(self, goal: Train.Goal):
        # The first status too: it is the newest one only until the goal is accepted.
        self.spin_until(lambda: self.statuses and self.client.server_is_ready())
        return self.result_of(
            self.client.send_goal_async(goal, lambda x: self.feedback.append(x.feedback.status))
        )

    def states(self) -> list[int]:
        return [status.state for status in self.statuses]

    def close(self) -> None:
        self.executor.shutdown()
        self.trainer.close()
        self.client_node.destroy_node()


@pytest.fixture
def graph():
    rclpy.init(args=["--ros-args", "-p", "status_period_s:=0.05"])
    graph = Graph()
    yield graph
    graph.close()
    rclpy.shutdown()


def goal_of(files) -> Train.Goal:
    return Train.Goal(
        bags=[str(files.bags)],
        robot=str(files.robot),
        config=str(files.config),
        output=str(files.output),
    )


def test_a_goal_trains_and_its_result_names_the_checkpoints(graph, tmp_path):
    files = small_training(tmp_path)
    handle = graph.send(goal_of(files))
    assert handle.accepted
    answer = graph.result_of(handle.get_result_async())
    assert answer.status == GoalStatus.STATUS_SUCCEEDED
    assert answer.result.success, answer.result.message
    best = load_checkpoint(answer.result.best_checkpoint)
    assert best.manifest.provenance["validation_loss"] == answer.result.validation_loss
    assert Path(answer.result.last_checkpoint) == files.output / "checkpoints" / "last"
    graph.spin_until(lambda: graph.states()[-1:] == [TrainingStatus.STATE_DONE])
    assert graph.states()[0] == TrainingStatus.STATE_IDLE
    assert graph.states() == sorted(graph.states())
    assert graph.statuses[-1].step == graph.statuses[-1].num_steps == 20
    assert graph.statuses[-1].header.stamp.sec > 0


def test_feedback_tells_how_far_it_is_and_a_cancelled_goal_goes_on_later(graph, tmp_path):
    files = small_training(tmp_path, LONG)
    handle = graph.send(goal_of(files))
    graph.spin_until(lambda: graph.feedback and graph.feedback[-1].step > 12)
    newest = graph.feedback[-1]
    assert newest.state == TrainingStatus.STATE_TRAINING
    assert newest.num_steps == 100000
    assert newest.steps_per_s > 0
    assert newest.remaining_s > 0
    assert 0 < newest.loss < 10
    assert newest.validation_loss > 0
    assert newest.learning_rate > 0
    graph.result_of(handle.cancel_goal_async())
    answer = graph.result_of(handle.get_result_async())
    assert answer.status == GoalStatus.STATUS_CANCELED
    assert not answer.result.success
    assert load_checkpoint(answer.result.last_checkpoint).manifest.provenance["step"] > 12
    stopped_at = graph.statuses[-1].step

    again = graph.send(goal_of(files))
    graph.feedback.clear()
    graph.spin_until(lambda: graph.feedback and graph.feedback[-1].step > 0)
    assert graph.feedback[-1].step > stopped_at
    graph.result_of(again.cancel_goal_async())


def test_a_second_goal_is_refused_while_one_is_trained(graph, tmp_path):
    files = small_training(tmp_path, LONG)
    handle = graph.send(goal_of(files))
    assert not graph.send(goal_of(files)).accepted
    graph.result_of(handle.cancel_goal_async())
    answer = graph.result_of(handle.get_result_async())
    assert answer.status == GoalStatus.STATUS_CANCELED


def test_a_goal_that_cannot_be_met_says_why_and_the_next_one_is_met(graph, tmp_path):
    files = small_training(tmp_path)
    wrong = goal_of(files)
    wrong.bags = [str(tmp_path / "nowhere")]
    answer = graph.result_of(graph.send(wrong).get_result_async())
    assert answer.status == GoalStatus.STATUS_ABORTED
    assert "no bag at" in answer.result.message
    assert math.isnan(answer.result.validation_loss)
    graph.spin_until(lambda: graph.states()[-1] == TrainingStatus.STATE_FAILED)
    assert "no bag at" in graph.statuses[-1].text
    answer = graph.result_of(graph.send(goal_of(files)).get_result_async())
    assert answer.result.success, answer.result.message


def test_parameters_fill_in_what_a_goal_leaves_empty(graph, tmp_path):
    files = small_training(tmp_path)
    goal = Train.Goal(bags=[str(files.bags)])
    answer = graph.result_of(graph.send(goal).get_result_async())
    assert "needs a recipe and an output folder" in answer.result.message
    graph.trainer.set_parameters(
        [
            Parameter("config", value=str(files.config)),
            Parameter("robot", value=str(files.robot)),
            Parameter("output", value=str(files.output)),
        ]
    )
    answer = graph.result_of(graph.send(goal).get_result_async())
    assert answer.result.success, answer.result.message


def test_parameters_have_a_text_and_a_range(graph):
    (descriptor,) = graph.trainer.describe_parameters(["torch_num_threads"])
    assert descriptor.description
    assert descriptor.additional_constraints == "as_recipe, or an integer from 1 to 256"
    refused = graph.trainer.set_parameters([Parameter("torch_num_threads", value=-1)])
    assert not refused[0].successful
