"""Each shipped robot file against a robot that speaks as its driver does."""

import pytest
from lifecycle_msgs.msg import Transition
from robot_driver import driver_of
from robot_process import robot_process
from shipped_robots import Watcher, controller_process, robot_file, small_checkpoint

from ddpm_controller.control.states import State
from ddpm_controller.robots.robot import load_robot

LONG = ("ur5e_2f85", "aloha", "fr3_hand", "xarm7", "go2")
FEW_COMMANDS = 3
ALL = ["so101", *(pytest.param(n, marks=pytest.mark.long) for n in LONG)]


@pytest.mark.parametrize("name", ALL)
def test_a_shipped_robot_file_runs_on_its_driver_without_a_warning(name, tmp_path):
    watch_a_run(tmp_path, name, cameras=False)


@pytest.mark.long
def test_its_cameras_are_read_as_they_are_published(tmp_path):
    watch_a_run(tmp_path, "so101", cameras=True)


def watch_a_run(folder, name, *, cameras):
    """Configure and activate, until the robot has taken commands of each output."""
    file = robot_file(folder, name, cameras=cameras)
    robot, namespace = load_robot(file), driver_of(name).namespace
    checkpoint = small_checkpoint(folder / "checkpoint", robot, name)
    topics = {output.topic for output in robot.outputs}
    watcher = Watcher(name)
    words = [] if cameras else ["--no-cameras"]
    try:
        with robot_process(name, *words), controller_process(file, checkpoint, namespace):
            watcher.change(Transition.TRANSITION_CONFIGURE)
            watcher.change(Transition.TRANSITION_ACTIVATE)
            watcher.until(
                lambda: (
                    watcher.statuses
                    and watcher.statuses[-1].state == State.RUNNING
                    and topics <= set(watcher.taken)
                    and max(watcher.taken.values()) >= FEW_COMMANDS
                )
            )
            watcher.change(Transition.TRANSITION_DEACTIVATE)
        assert watcher.refused == []
        assert watcher.warnings == []
    finally:
        watcher.close()
