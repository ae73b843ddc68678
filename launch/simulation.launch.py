"""A simulated arm in its world. Described in ddpm_controller/ros/graph/graphs.py."""

from launch import LaunchDescription

from ddpm_controller.ros.graph.graphs import SIMULATION
from ddpm_controller.ros.graph.launch_actions import launch_description


def generate_launch_description() -> LaunchDescription:
    """Return the actions of the graph `simulation`."""
    return launch_description(SIMULATION)
