"""Calls that other threads leave for the executor's thread."""

from collections import deque
from collections.abc import Callable

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node


class ExecutorCalls:
    """Runs functions in the thread that spins ``node``, in the order in which they were left.

    Args:
        node: Whose executor runs them.
    """

    def __init__(self, node: Node) -> None:
        self._calls: deque[Callable[[], object]] = deque()
        self._guard = node.create_guard_condition(self._run, ReentrantCallbackGroup())

    def soon(self, call: Callable[[], object]) -> None:
        """Let the executor's thread call ``call``; from any thread."""
        self._calls.append(call)
        self._guard.trigger()

    def _run(self) -> None:
        while self._calls:
            self._calls.popleft()()
