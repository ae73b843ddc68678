"""The supervisor starts, watches and stops processes as launch does."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import rclpy
from ddpm_msgs.srv import ResetWorld
from lifecycle_msgs.msg import State, Transition, TransitionEvent
from lifecycle_msgs.srv import ChangeState
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor

from ddpm_controller.ros.graph.autostart import _Ascent
from ddpm_controller.ros.graph.supervisor import started

ROOT = Path(__file__).parents[3]
SUPPORT = ROOT / "test" / "support"
STUB_GRAPH = str(SUPPORT / "stub_graph.py")
PYTHON_PATH = os.pathsep.join([str(ROOT), str(SUPPORT)])


class Running:
    """A supervisor in a process of its own."""

    def __init__(self, folder, words):
        environment = {**os.environ, "PYTHONPATH": PYTHON_PATH}
        self.process = subprocess.Popen(
            [sys.executable, STUB_GRAPH, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
            cwd=folder,
            start_new_session=True,
        )
        self.seen = []

    def until(self, pattern):
        """Read lines until one matches; fails at the end of the output."""
        for line in self.process.stdout:
            self.seen.append(line)
            if found := re.search(pattern, line):
                return found
        pytest.fail(f"no line matches {pattern!r} in:\n{''.join(self.seen)}")

    def end(self):
        """Read the rest and return the exit code."""
        self.seen += self.process.stdout.readlines()
        return self.process.wait()

    @property
    def text(self):
        return "".join(self.seen)


@pytest.fixture
def start(tmp_path):
    running = []

    def begin(*words):
        running.append(Running(tmp_path, words))
        return running[-1]

    yield begin
    for one in running:
        one.process.kill()
        one.process.wait()
        one.process.stdout.close()


@pytest.fixture
def watcher():
    """A node of the test's own, with its executor."""
    context = Context()
    rclpy.init(args=[], context=context)
    node = rclpy.create_node("watcher", context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    yield node, executor
    executor.shutdown()
    node.destroy_node()
    context.shutdown()


def test_the_exit_code_of_a_required_process_ends_everything(start):
    running = start("required")
    assert running.end() == 7
    assert "[ERROR] [demo-2]: process has died" in running.text
    assert "exit code 7" in running.text
    assert re.search(r"\[INFO\] \[controller-1\]: process started with pid \[\d+\]", running.text)


def test_a_required_process_killed_by_signal_nine_gives_137(start):
    running = start("required_killed")
    pid = int(running.until(r"controller-2\]: process started with pid \[(\d+)\]")[1])
    running.until(r"\[controller-2\] waiting")
    os.kill(pid, signal.SIGKILL)
    assert running.end() == 137


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_interrupts_every_process_and_is_a_clean_end(start, number):
    running = start("required_killed")
    running.until(r"\[controller-\d\] waiting")
    running.until(r"\[controller-\d\] waiting")
    running.process.send_signal(number)
    assert running.end() == 0
    assert running.text.count("sending signal 'SIGINT'") == 2
    assert "SIGTERM' to process" not in running.text


def test_a_process_that_ignores_signals_is_killed_in_the_end(start):
    running = start("stubborn")
    running.until("waiting")
    running.process.send_signal(signal.SIGINT)
    assert running.end() == 1
    order = re.findall(r"sending signal '(\w+)'", running.text)
    assert order == ["SIGINT", "SIGTERM", "SIGKILL"]


def test_a_respawned_process_comes_back_and_the_graph_can_still_be_stopped(start):
    running = start("respawn")
    first = running.until(r"controller-1\]: process started with pid \[(\d+)\]")[1]
    second = running.until(r"controller-1\]: process started with pid \[(\d+)\]")[1]
    assert first != second
    running.process.send_signal(signal.SIGINT)
    assert running.end() == 0


def test_a_process_that_fails_by_itself_shows_in_the_exit_code(start):
    assert start("failing").end() == 1


def test_a_program_that_cannot_be_started_stops_the_others(start):
    running = start("missing")
    assert running.end() != 0
    assert "/no/such/program" in running.text


def test_processes_end_with_a_supervisor_that_is_killed(start):
    """A controller that nobody watches any more must not go on moving the arm."""
    running = start("lifecycle")
    child = psutil.Process(int(running.until(r"process started with pid \[(\d+)\]")[1]))
    running.until("activated")
    running.process.kill()
    child.wait(60)


def test_a_lifecycle_node_is_configured_and_activated_under_its_name(start, tmp_path):
    parameters = tmp_path / "some.yaml"
    parameters.write_text("/**:\n  ros__parameters: {from_file: file, text: overridden}\n")
    running = start("lifecycle", "text:=1.0", "namespace:=left", f"params_file:={parameters}")
    running.until("configured /left/lifecycle")
    running.until("text '1.0'")
    running.until("from_file 'file'")
    running.until("activated")
    running.process.send_signal(signal.SIGINT)
    assert running.end() == 0
    assert "ended by a signal" in running.text


def test_a_node_that_is_configured_by_hand_is_not_activated(start, watcher):
    """Who configures by hand may have an arm in the way; only the beginning is automatic."""
    node, executor = watcher
    change = node.create_client(ChangeState, "/lifecycle/change_state")

    def by_hand(transition):
        answer = change.call_async(ChangeState.Request(transition=Transition(id=transition)))
        executor.spin_until_future_complete(answer, 60.0)
        assert answer.result().success

    running = start("lifecycle")
    running.until("activated")
    assert change.wait_for_service(60.0)
    by_hand(Transition.TRANSITION_DEACTIVATE)
    by_hand(Transition.TRANSITION_CLEANUP)
    before = len(running.seen)
    by_hand(Transition.TRANSITION_CONFIGURE)
    running.until("configured")
    by_hand(Transition.TRANSITION_ACTIVATE)
    running.process.send_signal(signal.SIGINT)
    assert running.end() == 0
    assert "".join(running.seen[before:]).count("activated") == 1


def test_only_what_was_configured_at_the_start_of_a_process_is_activated(watcher):
    def configured() -> list[int]:
        """Let the node arrive at inactive; return what is requested then."""
        requested.clear()
        event = TransitionEvent()
        event.start_state.id = State.TRANSITION_STATE_CONFIGURING
        event.goal_state.id = State.PRIMARY_STATE_INACTIVE
        ascent._on_transition(event)
        return list(requested)

    requested = []
    ascent = _Ascent(watcher[0], "/lifecycle", lambda name, what: None)
    ascent._send = lambda transition, then: requested.append(transition)
    ascent.begin()
    assert configured() == [Transition.TRANSITION_ACTIVATE]
    ascent._arrive()
    assert configured() == []
    ascent.begin()  # another process
    assert configured() == [Transition.TRANSITION_ACTIVATE]


def test_a_graph_ends_with_the_reason_of_a_node_that_refuses_to_be_configured(start):
    running = start("lifecycle", "refuse:=true")
    assert running.end() == 1
    last = running.seen[-1]
    assert last == "[ERROR] [start]: /lifecycle refused to configure: no robot file\n"
    assert "activated" not in running.text


def test_an_argument_left_empty_leaves_the_parameter_to_the_file(start, tmp_path):
    parameters = tmp_path / "some.yaml"
    parameters.write_text("/**:\n  ros__parameters: {text: of the file}\n")
    running = start("lifecycle", f"params_file:={parameters}")
    running.until("text 'of the file'")
    running.process.send_signal(signal.SIGINT)
    running.end()


def test_the_real_simulation_runs_beside_the_caller_from_any_folder(
    tmp_path, monkeypatch, watcher
):
    monkeypatch.chdir(tmp_path)
    reset = watcher[0].create_client(ResetWorld, "left/simulation/reset")
    with started("simulation", {"namespace": "left", "world": "reach"}) as child:
        while not reset.wait_for_service(1.0):
            assert child.poll() is None, "the graph has ended early"
        running = psutil.Process(child.pid).children(recursive=True)
        assert running
    assert child.returncode == 0
    assert not any(process.is_running() for process in running)
