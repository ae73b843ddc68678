"""The arm in Gazebo and its controller. Described in ddpm_controller/ros/graph/graphs.py."""

from launch import LaunchDescription

from ddpm_controller.ros.graph.graphs import GAZEBO
from ddpm_controller.ros.graph.launch_actions import launch_description


def generate_launch_description() -> LaunchDescription:
    """Return the actions of the graph `gazebo`."""
    return launch_description(GAZEBO)
