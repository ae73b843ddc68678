"""The controller on a robot. Described in ddpm_controller/ros/graph/graphs.py."""

from launch import LaunchDescription

from ddpm_controller.ros.graph.graphs import CONTROLLER
from ddpm_controller.ros.graph.launch_actions import launch_description


def generate_launch_description() -> LaunchDescription:
    """Return the actions of the graph `controller`."""
    return launch_description(CONTROLLER)
