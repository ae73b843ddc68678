"""The shipped checkpoint on a few episodes. Described in ddpm_controller/ros/graph/graphs.py."""

from launch import LaunchDescription

from ddpm_controller.ros.graph.graphs import DEMO
from ddpm_controller.ros.graph.launch_actions import launch_description


def generate_launch_description() -> LaunchDescription:
    """Return the actions of the graph `demo`."""
    return launch_description(DEMO)
