"""Configures and activates lifecycle nodes when their processes start."""

import queue
import sys
import threading
from collections.abc import Callable

import rclpy
from lifecycle_msgs.msg import State, Transition, TransitionEvent
from lifecycle_msgs.srv import ChangeState
from rclpy.client import Client
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future


class Autostart:
    """A node in a thread that brings lifecycle nodes up.

    As the launch files do: configure when the process has started, also after a respawn, and
    activate on the way from configuring to inactive, so that a node which is deactivated by hand
    stays inactive.

    Args:
        names: Absolute names of the nodes.
    """

    def __init__(self, names: list[str]) -> None:
        self._context = Context()
        rclpy.init(args=[], context=self._context, signal_handler_options=SignalHandlerOptions.NO)
        self._node = rclpy.create_node(
            "start", context=self._context, enable_rosout=False, start_parameter_services=False
        )
        self._clients = {
            name: self._node.create_client(ChangeState, f"{name}/change_state") for name in names
        }
        for name in names:
            topic = f"{name}/transition_event"
            self._node.create_subscription(
                TransitionEvent, topic, self._on_transition_of(name), 10
            )
        self._started: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._configuring: set[str] = set()
        self._event_due: set[str] = set()
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
        waiting: set[str] = set()
        try:
            while self._context.ok():
                executor.spin_once(timeout_sec=0.1)
                while not self._started.empty():
                    waiting.add(self._started.get())
                ready = {name for name in waiting if self._clients[name].service_is_ready()}
                for name in ready:
                    self._configuring.add(name)
                    self._change(name, Transition.TRANSITION_CONFIGURE, self._on_configured)
                waiting -= ready
        except ExternalShutdownException:
            return

    def _on_transition_of(self, name: str) -> Callable[[TransitionEvent], None]:
        def on_transition(event: TransitionEvent) -> None:
            configured = (
                event.start_state.id == State.TRANSITION_STATE_CONFIGURING
                and event.goal_state.id == State.PRIMARY_STATE_INACTIVE
            )
            if configured and name not in self._event_due:
                self._activate(name)
            self._event_due.discard(name)

        return on_transition

    def _on_configured(self, name: str) -> None:
        # The event of the very first transition may be lost: it is sent while the two processes
        # are still finding each other. The answer to the request is not.
        if name in self._configuring:
            self._event_due.add(name)
            self._activate(name)

    def _activate(self, name: str) -> None:
        self._configuring.discard(name)
        self._change(name, Transition.TRANSITION_ACTIVATE, lambda name: None)

    def _change(self, name: str, transition: int, then: Callable[[str], None]) -> None:
        client: Client = self._clients[name]
        label = "configure" if transition == Transition.TRANSITION_CONFIGURE else "activate"

        def on_answer(future: Future) -> None:
            if future.cancelled() or future.exception() is not None:
                return
            if future.result().success:
                then(name)
            else:
                sys.stdout.write(f"[ERROR] [start]: {name} refused to {label}: see its own log\n")
                sys.stdout.flush()

        request = ChangeState.Request(transition=Transition(id=transition))
        client.call_async(request).add_done_callback(on_answer)
