"""Lifecycle transitions whose errors are reported; rclpy drops what they raise."""

import functools
import traceback
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn


class FailureReports(Protocol):
    """A lifecycle node that keeps why a transition failed."""

    def get_logger(self) -> Any:
        """Return the logger of the node."""
        ...

    def note_failure(self, text: str) -> None:
        """Keep the reason for the status that ``on_error`` publishes."""
        ...


LifecycleOwner = TypeVar("LifecycleOwner", bound=FailureReports)
Transition = Callable[[LifecycleOwner, LifecycleState], TransitionCallbackReturn]


def reported(transition: Transition[LifecycleOwner]) -> Transition[LifecycleOwner]:
    """Return ``transition`` with what it raises in the log; rclpy calls ``on_error`` then."""

    @functools.wraps(transition)
    def run(node: LifecycleOwner, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            return transition(node, state)
        except Exception as error:
            text = f"{transition.__name__} failed: {type(error).__name__}: {error}"
            node.get_logger().error(f"{text}\n{traceback.format_exc()}")
            node.note_failure(text)
            return TransitionCallbackReturn.ERROR

    return run
