"""The executable `controller`: runs the lifecycle node until it is told to end."""

import signal
import threading
import traceback

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from ddpm_controller.ros.controller.node import Controller


def _spin_once(executor: SingleThreadedExecutor, controller: Controller) -> None:
    """Run one callback; what it raises is told and must not end a node that holds a robot.

    rclpy lets even a lifecycle transition that does not exist escape as an error.
    """
    try:
        executor.spin_once(timeout_sec=0.1)
    except ExternalShutdownException:
        raise
    except Exception:
        if rclpy.ok():
            controller.get_logger().error(f"callback failed:\n{traceback.format_exc()}")


def main() -> int:
    """Run the node until it is told to end; the robot is stopped smoothly then."""
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    executor = SingleThreadedExecutor()
    controller = None
    try:
        controller = Controller()
        executor.add_node(controller)
        while rclpy.ok() and not ended.is_set():
            _spin_once(executor, controller)
    except ExternalShutdownException:
        pass
    finally:
        if controller is not None:
            controller.close()
            controller.destroy_node()
        executor.shutdown()
        rclpy.try_shutdown()
    return 0
