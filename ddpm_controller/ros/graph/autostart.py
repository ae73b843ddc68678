"""Configures and activates lifecycle nodes when their processes start."""

import math
import queue
import threading
import time
from collections.abc import Callable

import rclpy
from lifecycle_msgs.msg import State, Transition, TransitionEvent
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future

ASK_AGAIN_S = 5.0
_WORDS = {Transition.TRANSITION_CONFIGURE: "configure", Transition.TRANSITION_ACTIVATE: "activate"}


class Autostart:
    """A node in a thread that brings lifecycle nodes up.

    As the launch files do: configure when the process has started, also after a respawn, and
    activate what was configured so. A node that is deactivated or configured by hand stays
    inactive.

    Args:
        names: Absolute names of the nodes.
        on_refusal: Called in that thread with the name of a node that has refused, and with what.
    """

    def __init__(self, names: list[str], on_refusal: Callable[[str, str], None]) -> None:
        self._context = Context()
        rclpy.init(args=[], context=self._context, signal_handler_options=SignalHandlerOptions.NO)
        self._node = rclpy.create_node(
            "start", context=self._context, enable_rosout=False, start_parameter_services=False
        )
        self._ascents = {name: _Ascent(self._node, name, on_refusal) for name in names}
        self._started: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._spin, name="autostart", daemon=True)
        self._thread.start()

    def bring_up(self, name: str) -> None:
        """Configure and activate the node as soon as it answers; returns at once."""
        self._started.put(name)

    def close(self) -> None:
        """Leave the graph; whatever has not come up by now does not."""
        self._context.try_shutdown()
        self._thread.join()

    def _spin(self) -> None:
        executor = SingleThreadedExecutor(context=self._context)
        executor.add_node(self._node)
        try:
            while self._context.ok():
                executor.spin_once(timeout_sec=0.1)
                while not self._started.empty():
                    self._ascents[self._started.get()].begin()
                for ascent in self._ascents.values():
                    ascent.go_on()
        except ExternalShutdownException:
            return


class _Ascent:
    """One node on its way from unconfigured to active.

    A request or its answer may get lost while two processes are still finding each other, so the
    node's state is asked for, and asked again, and decides what is sent next.
    """

    def __init__(self, node: Node, name: str, on_refusal: Callable[[str, str], None]) -> None:
        self._name, self._on_refusal = name, on_refusal
        self._state = node.create_client(GetState, f"{name}/get_state")
        self._change = node.create_client(ChangeState, f"{name}/change_state")
        node.create_subscription(
            TransitionEvent, f"{name}/transition_event", self._on_transition, 10
        )
        self._is_climbing = False
        self._activation_sent_s = -math.inf
        self._ask_at_s = 0.0

    def begin(self) -> None:
        """Start over: the process is new."""
        self._is_climbing, self._activation_sent_s, self._ask_at_s = True, -math.inf, 0.0

    def go_on(self) -> None:
        """Ask for the state when it is time to."""
        is_due = self._is_climbing and time.monotonic() >= self._ask_at_s
        if is_due and self._state.service_is_ready() and self._change.service_is_ready():
            self._ask_at_s = time.monotonic() + ASK_AGAIN_S
            self._state.call_async(GetState.Request()).add_done_callback(self._on_state)

    def _on_state(self, future: Future) -> None:
        if not self._is_climbing or (answer := _answer_of(future)) is None:
            return
        if answer.current_state.id == State.PRIMARY_STATE_UNCONFIGURED:
            self._send(Transition.TRANSITION_CONFIGURE, self._activate)
        elif answer.current_state.id == State.PRIMARY_STATE_INACTIVE:
            self._activate(again_s=ASK_AGAIN_S)
        elif answer.current_state.id == State.PRIMARY_STATE_ACTIVE:
            self._is_climbing = False

    def _activate(self, again_s: float = math.inf) -> None:
        """Activate; a second time only where a request of ``again_s`` ago has had no effect."""
        is_first = math.isinf(self._activation_sent_s)
        if is_first or time.monotonic() - self._activation_sent_s >= again_s:
            self._activation_sent_s = time.monotonic()
            self._send(Transition.TRANSITION_ACTIVATE, self._arrive)

    def _arrive(self) -> None:
        self._is_climbing = False

    def _on_transition(self, event: TransitionEvent) -> None:
        """Learn of the transitions whose answers were lost."""
        start, goal = event.start_state.id, event.goal_state.id
        configured = (State.TRANSITION_STATE_CONFIGURING, State.PRIMARY_STATE_INACTIVE)
        if goal == State.PRIMARY_STATE_ACTIVE:
            self._arrive()
        elif self._is_climbing and (start, goal) == configured:
            self._activate()

    def _send(self, transition: int, then: Callable[[], None]) -> None:
        def on_answer(future: Future) -> None:
            if (answer := _answer_of(future)) is None:
                return
            if answer.success:
                then()
            elif self._is_climbing:
                self._is_climbing = False
                self._on_refusal(self._name, _WORDS[transition])

        request = ChangeState.Request(transition=Transition(id=transition))
        self._change.call_async(request).add_done_callback(on_answer)


def _answer_of(future: Future) -> GetState.Response | ChangeState.Response | None:
    if future.cancelled() or future.exception() is not None:
        return None
    return future.result()
