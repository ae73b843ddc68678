"""ROS for a command that handles its signals itself, as one that must stop a robot smoothly."""

from collections.abc import Iterator
from contextlib import contextmanager

import rclpy
from rclpy.signals import SignalHandlerOptions


@contextmanager
def own_signals() -> Iterator[None]:
    """Have ROS initialized without its own handlers of SIGINT and SIGTERM."""
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    try:
        yield
    finally:
        rclpy.try_shutdown()
