"""RunPolicy goals on the real simulation, one tick of both at a time."""

from collections.abc import Iterator

import numpy as np
import pytest
from controller_driver import PATIENCE_S, Client, client, process_of
from ddpm_msgs.action import RunPolicy
from ddpm_msgs.srv import ResetWorld
from lifecycle_msgs.msg import Transition
from random_checkpoint import save_random_checkpoint
from rclpy.duration import Duration
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from ddpm_controller.bags.conversions import seconds
from ddpm_controller.control.states import State

SUCCESS, TIMEOUT = RunPolicy.Result.SUCCESS, RunPolicy.Result.TIMEOUT
CANCELLED, STOPPED = RunPolicy.Result.CANCELLED, RunPolicy.Result.STOPPED


@pytest.fixture(scope="module")
def node(tmp_path_factory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("checkpoint") / "random"
    save_random_checkpoint(folder, share=0.01)  # slow enough for the limits
    parameters = {
        "checkpoint": folder,
        "use_sim_time": True,
        "lockstep": True,
        "run_on_activate": False,
    }
    with (
        client() as each,
        process_of("simulation", world="reach", mode="lockstep"),
        process_of("controller", **parameters),
    ):
        each.bring_up()
        yield each


def begin(node: Client, seed: int = 0, timeout_s: float = 1.0):
    """Reset the world and send a goal; return the handle and the first stamp."""
    answer = node.call(ResetWorld, seed=seed)
    for topic in ("joint_trajectory", "controller/action_chunk"):
        node.heard[topic].clear()
    goal = {"timeout_s": timeout_s, "seed": 7 + seed, "not_before": answer.stamp}
    return node.start_run(**goal), seconds(answer.stamp)


def run(node: Client, seed: int) -> tuple[RunPolicy.Result, np.ndarray, np.ndarray]:
    handle, start_s = begin(node, seed)
    result = node.result(handle)
    node.hear_commands_until(start_s + 0.98 - 1e-6)
    stamps_s, positions = node.ticks()
    of_run = stamps_s > start_s - 1e-6  # not the last one of the run before
    return result, stamps_s[of_run] - start_s, positions[of_run]


def test_a_run_ends_after_its_time_with_one_command_for_every_tick(node):
    result, stamps_s, positions = run(node, seed=3)
    # It begins with a rest of 0.46 s, in which no plan could be followed.
    assert (result.outcome, result.plans) == (TIMEOUT, 2)
    assert result.duration_s == pytest.approx(1.0)
    np.testing.assert_allclose(stamps_s, 0.02 * np.arange(50), atol=1e-9)
    assert np.isfinite(positions).all()
    node.until(lambda: node.status.state == State.WAITING)
    chunks = node.heard["controller/action_chunk"]
    node.until(lambda: len(chunks) >= 2)
    assert [chunk.plan_number for chunk in chunks] == [0, 1]
    assert {chunk.seed for chunk in chunks} == {10}
    assert all(chunk.requested == chunk.header.stamp for chunk in chunks)


def test_the_same_seeds_give_the_same_commands_whatever_the_machine_does(node):
    """Up to the rounding of time: the clock does not begin again with an episode.

    At a limit the governor may turn one rounding into another way to get there.
    """
    first, again, other = (run(node, seed)[2] for seed in (5, 5, 6))
    np.testing.assert_allclose(first, again, atol=1e-6)
    assert np.abs(first - other).max() > 1e-3


def test_nothing_is_sent_between_two_runs(node):
    run(node, seed=0)
    sent = len(node.heard["joint_trajectory"])
    assert node.call(ResetWorld, seed=1).success
    node.until(lambda: node.get("seed") == 0)
    assert len(node.heard["joint_trajectory"]) == sent


def test_success_ends_a_run(node):
    handle, _ = begin(node, timeout_s=0.0)
    node.until_running(num_chunks=3)
    feedback = node.until(lambda: [each for each in node.heard["feedback"] if each.plan_number])
    assert feedback[-1].state == State.RUNNING
    assert feedback[-1].elapsed_s > 0.3
    node.success.publish(Bool(data=True))
    result = node.result(handle)
    assert result.outcome == SUCCESS
    assert result.duration_s > 0.8
    assert result.plans >= 3


def test_a_success_that_was_there_before_does_not_end_a_run(node):
    """It is that of the episode before until the world has taken it back."""
    node.success.publish(Bool(data=True))
    assert node.success.wait_for_all_acked(Duration(seconds=PATIENCE_S))
    node.get("seed")  # what had come before it has been taken
    handle = node.start_run(timeout_s=1.0)
    node.until_running(num_chunks=1)
    node.success.publish(Bool(data=True))
    assert node.result(handle).outcome == TIMEOUT


def test_a_run_is_cancelled(node):
    handle, _ = begin(node, timeout_s=0.0)
    node.until_running(num_chunks=1)
    future = handle.cancel_goal_async()
    node.until(future.done)
    assert node.result(handle).outcome == CANCELLED


def test_a_reset_stops_a_run(node):
    handle, _ = begin(node, timeout_s=0.0)
    node.until_running(num_chunks=1)
    assert node.call(Trigger).success
    result = node.result(handle)
    assert result.outcome == STOPPED
    assert "reset" in result.message


def test_a_second_goal_is_refused_and_a_deactivation_stops_the_first(node):
    handle, _ = begin(node, timeout_s=0.0)
    assert not node.start_run(timeout_s=1.0).accepted
    node.until_running(num_chunks=1)
    assert node.change(Transition.TRANSITION_DEACTIVATE)
    assert node.result(handle).outcome == STOPPED
    assert not node.start_run(timeout_s=1.0).accepted
    assert node.change(Transition.TRANSITION_ACTIVATE)
    assert run(node, seed=0)[0].outcome == TIMEOUT


def test_a_time_that_is_not_one_is_refused(node):
    assert not node.start_run(timeout_s=-1.0).accepted
    assert not node.start_run(timeout_s=float("nan")).accepted
