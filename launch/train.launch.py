"""The trainer. Described in ddpm_controller/ros/graph.py."""

from launch import LaunchDescription

from ddpm_controller.ros.graph import TRAIN
from ddpm_controller.ros.launch_actions import launch_description


def generate_launch_description() -> LaunchDescription:
    """Return the actions of the graph `train`."""
    return launch_description(TRAIN)
