"""The class of a message type or an action by its name."""

import importlib
from typing import Any


def message_class(message_type: str) -> Any:
    """Return the rclpy class of a type, as ``sensor_msgs/msg/JointState``; imports its package.

    Raises:
        ValueError: Its package is not installed.
    """
    package, folder, name = message_type.split("/")
    try:
        return getattr(importlib.import_module(f"{package}.{folder}"), name)
    except (ImportError, AttributeError):
        raise ValueError(
            f"the message type {message_type} is not installed: sudo apt install "
            f"ros-jazzy-{package.replace('_', '-')}"
        ) from None
