"""What a transition leaves behind that raises: a reason, and a node that can begin again."""

import pytest
import rclpy
from lifecycle_msgs.msg import State as LifecycleState
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn

from ddpm_controller.control.states import Reason, State
from ddpm_controller.ros.controller import node as controller_node
from ddpm_controller.ros.controller.node import Controller

CAUSES = {
    "on_activate": (controller_node, "RealTimeThread"),
    "on_deactivate": (Controller, "_stop"),
    "on_cleanup": (Controller, "_clean_up"),
}


class BrokenError(Exception):
    """What nothing expects."""


@pytest.fixture
def controller(checkpoint, monkeypatch):
    """A controller in this process, with what it has logged as an error."""
    arguments = ["--ros-args", "-p", f"checkpoint:={checkpoint}", "-p", "command.process:=false"]
    rclpy.init(args=arguments)
    node = Controller()
    node.errors = []
    logger = node.get_logger()
    monkeypatch.setattr(logger, "error", lambda text, **_: node.errors.append(text))
    monkeypatch.setattr(node, "get_logger", lambda: logger)
    yield node
    node.close()
    node.destroy_node()
    rclpy.shutdown()


def fail_once(monkeypatch, owner, name):
    """Let ``owner.name`` raise the first time it is called."""
    healthy, calls = getattr(owner, name), []

    def broken(*words, **settings):
        calls.append(name)
        if len(calls) == 1:
            raise BrokenError("the cause")
        return healthy(*words, **settings)

    monkeypatch.setattr(owner, name, broken)


def bring_to(node, transition):
    """Trigger all transitions before and with ``transition``; return what that one gave."""
    for name in ("on_configure", "on_activate", "on_deactivate", "on_cleanup"):
        result = getattr(node, f"trigger_{name.removeprefix('on_')}")()
        if name == transition:
            return result
    raise AssertionError(transition)


@pytest.mark.parametrize("transition", CAUSES)
def test_a_transition_that_raises_is_logged_and_published_and_can_be_repeated(
    controller, monkeypatch, transition
):
    fail_once(monkeypatch, *CAUSES[transition])
    assert bring_to(controller, transition) == TransitionCallbackReturn.ERROR
    (text,) = controller.errors
    assert text.startswith(f"{transition} failed: BrokenError: the cause")
    assert "Traceback" in text
    assert controller._state_machine.current_state[0] == LifecycleState.PRIMARY_STATE_UNCONFIGURED
    status = controller._report.status
    assert (status.state, status.reason) == (State.INACTIVE, Reason.DEACTIVATED)
    assert status.text == f"{transition} failed: BrokenError: the cause"
    assert bring_to(controller, "on_activate") == TransitionCallbackReturn.SUCCESS


def test_a_checkpoint_is_loaded_after_an_activation_that_has_raised(
    controller, monkeypatch, checkpoint
):
    fail_once(monkeypatch, controller_node, "RealTimeThread")
    assert bring_to(controller, "on_activate") == TransitionCallbackReturn.ERROR
    assert controller.trigger_configure() == TransitionCallbackReturn.SUCCESS
    asked = controller._swap.request(str(checkpoint))
    executor = SingleThreadedExecutor()
    executor.add_node(controller)
    executor.spin_until_future_complete(asked, timeout_sec=60.0)
    assert (asked.done(), asked.result()) == (True, "")
    executor.shutdown()
