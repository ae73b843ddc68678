"""Requests for a checkpoint that come while another one is being loaded."""

import threading
import time

import pytest
import rclpy
from random_checkpoint import SIM_ARM, save_random_checkpoint
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter

from ddpm_controller.checkpoint import CheckpointError
from ddpm_controller.control.parameter_names import OVERRIDES
from ddpm_controller.policy import PlanSettings, overrides_from
from ddpm_controller.robots.robot import load_robot
from ddpm_controller.ros.controller.checkpoint_swap import CheckpointSwap
from ddpm_controller.ros.controller.policy_loader import load_policy
from ddpm_controller.ros.executor_calls import ExecutorCalls

PATIENCE_S = 90.0


class SlowLoader:
    """Loads for as long as a test wants."""

    def __init__(self, robot):
        self._robot = robot
        self.begun, self.may_end = threading.Semaphore(0), threading.Event()
        self.loaded = []
        self.overrides = list

    def load(self, folder):
        self.begun.release()
        assert self.may_end.wait(PATIENCE_S)
        self.loaded.append(folder)
        if "bad" in folder:
            raise CheckpointError(f"{folder}: bad")
        overrides = overrides_from(self.overrides())
        return load_policy(folder, self._robot, PlanSettings(overrides=overrides))


class Swapping:
    """A swap of a node, with what it has put to use."""

    def __init__(self, node):
        robot = load_robot(SIM_ARM)
        node.declare_parameter("checkpoint", "")
        node.declare_parameter(OVERRIDES, Parameter.Type.STRING_ARRAY)
        node.set_parameters([Parameter(OVERRIDES, Parameter.Type.STRING_ARRAY, [])])
        self.node = node
        self.loader, self.used = SlowLoader(robot), []
        self.loader.overrides = lambda: node.get_parameter(OVERRIDES).value
        self.problem = ""
        self.swap = CheckpointSwap(
            node,
            ExecutorCalls(node),
            lambda: self.used[-1] if self.used else None,
            self._use,
            lambda: None,
        )
        self.swap.open(robot, self.loader.load)
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(node)

    def _use(self, loaded, done):
        if not self.problem:
            self.used.append(loaded)
        done(self.problem)

    def answer(self, future):
        deadline_s = time.monotonic() + PATIENCE_S
        while not future.done():
            assert time.monotonic() < deadline_s
            self.executor.spin_once(timeout_sec=0.05)
        return future.result()


@pytest.fixture
def swapping():
    rclpy.init()
    node = rclpy.create_node("swapping")
    swapping = Swapping(node)
    yield swapping
    swapping.loader.may_end.set()
    swapping.swap.close()
    swapping.executor.shutdown()
    node.destroy_node()
    rclpy.try_shutdown()


def test_the_last_of_the_requests_that_come_during_a_load_wins(swapping, tmp_path):
    folders = [str(tmp_path / name) for name in ("first", "bad", "other", "last")]
    save_random_checkpoint(tmp_path / "first")
    save_random_checkpoint(tmp_path / "last", 1)
    first = swapping.swap.request(folders[0])
    assert swapping.loader.begun.acquire(timeout=PATIENCE_S)
    others = [swapping.swap.request(folder) for folder in folders[1:]]
    assert [each.done() for each in (first, *others)] == [True, True, True, False]
    assert first.result() == f"overtaken by a newer request: {folders[1]}"
    swapping.loader.may_end.set()
    assert swapping.answer(others[-1]) == ""
    assert swapping.loader.loaded == [folders[0], folders[-1]]
    assert [each.folder for each in swapping.used] == [folders[-1]]
    assert swapping.swap.error == ""


def test_a_checkpoint_that_cannot_be_used_is_answered_with_the_error(swapping, tmp_path):
    folders = [str(tmp_path / name) for name in ("first", "last")]
    swapping.loader.may_end.set()
    save_random_checkpoint(tmp_path / "first")
    save_random_checkpoint(tmp_path / "last", 1)
    assert swapping.answer(swapping.swap.request(folders[0])) == ""
    swapping.problem = f"{folders[1]}: IndexError: no memory"
    assert swapping.answer(swapping.swap.request(folders[1])) == swapping.problem
    assert swapping.swap.error == swapping.problem
    assert swapping.executor.get_nodes()[0].get_parameter("checkpoint").value == folders[0]
    swapping.problem = ""
    assert swapping.answer(swapping.swap.request(folders[1])) == ""
    assert swapping.swap.error == ""


def test_a_checkpoint_that_was_overtaken_while_it_loaded_never_comes_into_use(swapping, tmp_path):
    """Though the newer one turns out to be bad."""
    save_random_checkpoint(tmp_path / "first")
    first = swapping.swap.request(str(tmp_path / "first"))
    assert swapping.loader.begun.acquire(timeout=PATIENCE_S)
    bad = swapping.swap.request(str(tmp_path / "bad"))
    swapping.loader.may_end.set()
    assert swapping.answer(bad).endswith("bad: bad")
    assert first.result().startswith("overtaken by a newer request")
    assert swapping.used == []


def set_overrides(swapping, words):
    swapping.loader.may_end.set()
    number = len(swapping.loader.loaded)
    values = [Parameter(OVERRIDES, Parameter.Type.STRING_ARRAY, words)]
    assert swapping.node.set_parameters(values)[0].successful
    deadline_s = time.monotonic() + PATIENCE_S
    while len(swapping.loader.loaded) == number:
        assert time.monotonic() < deadline_s
        swapping.executor.spin_once(timeout_sec=0.05)


def test_other_settings_load_the_checkpoint_in_use_once_more(swapping, tmp_path):
    save_random_checkpoint(tmp_path)
    swapping.loader.may_end.set()
    assert not swapping.answer(swapping.swap.request(str(tmp_path)))
    set_overrides(swapping, ["sampler=ddpm"])
    deadline_s = time.monotonic() + PATIENCE_S
    while len(swapping.used) < 2:
        assert time.monotonic() < deadline_s
        swapping.executor.spin_once(timeout_sec=0.05)
    first, second = swapping.used
    assert first.folder == second.folder == str(tmp_path)
    assert first.policy.facts.settings["sampler"] != "ddpm"
    assert second.policy.facts.settings["sampler"] == "ddpm"


def test_settings_that_the_policy_does_not_have_are_set_back(swapping, tmp_path):
    save_random_checkpoint(tmp_path)
    swapping.loader.may_end.set()
    assert not swapping.answer(swapping.swap.request(str(tmp_path)))
    set_overrides(swapping, ["weight_height=3"])
    deadline_s = time.monotonic() + PATIENCE_S
    while not swapping.swap.error:
        assert time.monotonic() < deadline_s
        swapping.executor.spin_once(timeout_sec=0.05)
    assert "weight_height" in swapping.swap.error
    assert len(swapping.used) == 1
    assert list(swapping.node.get_parameter(OVERRIDES).value) == []
