"""How far ahead of its moment a command is sent; live and from a bag. No rclpy."""

from collections.abc import Mapping
from typing import Any

from ddpm_controller.robots.robot import Robot

ACTION_LATENCY_KEY = "robot_action_latency_s"
"""Among a bag's controller parameters: the robot file's latency when it was recorded."""


def lead_from(parameters: Mapping[str, Any], robot: Robot) -> float:
    """Return the lead that a controller with these parameters has, s.

    A controller from before the parameter had none; None is the robot's latency.
    """
    lead_s = parameters.get("lead_s", 0.0)
    if lead_s is not None:
        return float(lead_s)
    return float(parameters.get(ACTION_LATENCY_KEY, robot.latency_s))


def delay_problem(name: str, delay_s: float, rows_last_s: float, remedy: str) -> str:
    """Return why a delay cannot be lived with, or an empty text.

    Args:
        name: Name of the parameter.
        delay_s: Its value.
        rows_last_s: From the first row of a chunk to the last.
        remedy: What to do.
    """
    if delay_s < rows_last_s:
        return ""
    return (
        f"{name} is {delay_s:g} s, but a chunk lasts only {rows_last_s:g} s, so every row would "
        f"be past when it counts: {remedy}"
    )
