"""What is imported before there is anything to do: what takes long comes later or not at all."""

import subprocess
import sys

import pytest

from ddpm_controller.cli.node_help import PARAMETERS
from ddpm_controller.ros.graph.executables import EXECUTABLES, NODES

LONG = {"torch", "matplotlib", "mujoco", "scipy", "cv2", "safetensors", "sympy"}
OF_BAGS = {"rosbags", "mcap", "zstandard"}
ZYGOTE = "ddpm_controller.ros.commanding.command_zygote"
COMMANDS = "ddpm_controller.ros.commanding.command_process"
OF_COMMANDS = {"ddpm_controller", "numpy", "ruckig", "yaml", "rclpy"}
OF_ROS = {"rpyutils", "lark", "em", "regex", "ament_index_python", "ros_wheels_bootstrapper"}
"""What rclpy and the message types need."""


def imported_by(*modules: str) -> set[str]:
    """Return the packages that a fresh interpreter has after it has imported ``modules``."""
    code = f"import {', '.join(modules)}, sys; print(*{{m.split('.')[0] for m in sys.modules}})"
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(made.stdout.split())


def test_the_help_of_no_command_imports_what_takes_long():
    commands = [EXECUTABLES[each] for each in EXECUTABLES if each not in NODES]
    modules = sorted({each.split(":")[0] for each in [*commands, *PARAMETERS.values()]})
    assert imported_by(*modules) & LONG == set()


def test_the_process_that_commands_imports_nothing_that_it_does_not_use():
    found = imported_by(COMMANDS) - set(sys.stdlib_module_names) - OF_COMMANDS - OF_ROS
    ends = ("_msgs", "_interfaces", "_runtime")
    others = {each for each in found if not each.endswith(ends)}
    assert {each for each in others if not each.startswith(("_", "rosidl_"))} == set()


def test_a_zygote_imports_nothing_that_starts_threads():
    assert "rclpy" not in imported_by(ZYGOTE)


@pytest.mark.long
def test_the_controller_imports_nothing_that_reads_bags_draws_or_simulates():
    found = imported_by("ddpm_controller.ros.controller.node")
    assert found & (OF_BAGS | LONG - {"torch", "safetensors", "cv2"}) == set()
