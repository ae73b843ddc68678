"""How a controller process starts and ends, each test with a process of its own."""

import signal

import numpy as np
import pytest
from broken_checkpoints import edit, rename_joints
from controller_driver import FakeRobot, client, process_of
from lifecycle_msgs.msg import Transition
from random_checkpoint import save_random_checkpoint
from robot_files import array_robot

from ddpm_controller.control.states import Reason, State
from ddpm_controller.robots.robot import joint_limits
from ddpm_controller.simulation.arm.arm import JOINT_NAMES
from ddpm_controller.simulation.arm.robot_description import robot_description

LIMITS = joint_limits(robot_description(), JOINT_NAMES)


def test_without_limits_nothing_is_sent_and_they_are_waited_for(checkpoint):
    with client() as node, process_of("controller", checkpoint=checkpoint):
        robot = FakeRobot(node, description="")
        node.bring_up()
        status = node.until_state(State.WAITING, Reason.NO_OBSERVATION)
        assert "robot_description" in status.text
        assert not node.heard["joint_trajectory"]
        robot.describe("<robot name='no joints'/>")
        node.until(lambda: "has no joint" in node.status.text)
        robot.describe(robot_description())
        node.until_running()


def test_float_arrays_are_sent_in_the_order_of_the_robot_file(tmp_path):
    """Without a checkpoint it holds where it is: a busy machine may lose the first commands."""
    parameters = {"robot": array_robot(tmp_path), "control_rate_hz": 100.0}
    with client() as node, process_of("controller", **parameters):
        FakeRobot(node)
        node.bring_up()
        node.until(lambda: len(node.heard["commands"]) > 10)
        first = np.array(node.heard["commands"][0].data)
        np.testing.assert_allclose(first, [0.0, -0.5, 1.0, 0.5, 0.0, 0.0, 0.03], atol=1e-6)
        assert not node.heard["joint_trajectory"]


def test_a_controller_cannot_be_configured_with_a_bad_checkpoint_and_says_why(tmp_path):
    for name in ("edited", "other_joints", "good"):
        save_random_checkpoint(tmp_path / name)
    edit(tmp_path / "edited")
    rename_joints(tmp_path / "other_joints")
    with client() as node, process_of("controller", checkpoint=tmp_path / "edited"):
        assert not node.change(Transition.TRANSITION_CONFIGURE)
        node.until(lambda: "changed after training" in node.status.checkpoint_error)
        assert node.state() == "unconfigured"
        assert node.set("checkpoint", str(tmp_path / "other_joints")) == (True, "")
        assert not node.change(Transition.TRANSITION_CONFIGURE)
        node.until(lambda: "other_shoulder_pan" in node.status.checkpoint_error)
        assert node.set("checkpoint", str(tmp_path / "good")) == (True, "")
        assert node.change(Transition.TRANSITION_CONFIGURE)
        assert node.set("checkpoint", str(tmp_path / "edited"))[0] is False
        assert node.get("checkpoint") == str(tmp_path / "good")


@pytest.mark.parametrize("way", ["SIGTERM", "the transition shutdown"])
def test_it_stops_the_arm_smoothly_before_it_ends(checkpoint, way):
    with client() as node, process_of("controller", checkpoint=checkpoint) as process:
        FakeRobot(node)
        node.bring_up()
        node.until_running()
        if way == "SIGTERM":
            process.send_signal(signal.SIGTERM)
            node.until(lambda: process.poll() is not None)
            assert process.returncode == 0
        else:
            assert node.change(Transition.TRANSITION_ACTIVE_SHUTDOWN)
        node.until(lambda: node.status.state == State.INACTIVE)
        node.until_rest()
        _, positions = node.commands()
        steps = np.abs(np.diff(positions, axis=0)).max(axis=1)
        assert steps.max() > 0.001
        assert steps[-1] < 1e-6
        accelerations = np.abs(node.led.column("acceleration"))
        assert (accelerations <= 1.1 * LIMITS.acceleration).all()
        assert node.led.refusals == []
