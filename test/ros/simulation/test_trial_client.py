"""What a client of trials takes from the graph, and what it does not."""

import numpy as np
import pytest
import rclpy
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from ddpm_controller.robots.outputs import JOINT_TRAJECTORY, RobotOutput
from ddpm_controller.ros.simulation.trial_client import TrialClient

JOINTS = ("shoulder", "elbow")
OUTPUT = RobotOutput("arm", "joint_trajectory", JOINT_TRAJECTORY, JOINTS, ("rad", "rad"))


@pytest.fixture
def client():
    rclpy.init()
    client = TrialClient([OUTPUT], ())
    client.warnings = []
    client.get_logger = lambda: client
    client.warning = client.warnings.append
    yield client
    client.close()
    rclpy.try_shutdown()


def command(*names, points=1):
    point = JointTrajectoryPoint(positions=[0.1 * k for k in range(len(names))])
    return JointTrajectory(joint_names=names, points=[point] * points)


@pytest.mark.parametrize(
    ("foreign", "why"),
    [(command("wheel", "elbow"), "'shoulder'"), (command("shoulder", points=0), "no points")],
)
def test_a_command_for_other_joints_is_left_out_with_one_warning(client, foreign, why):
    client._on_command(OUTPUT, JOINT_TRAJECTORY, command("elbow", "shoulder"))
    for _ in range(2):
        client._on_command(OUTPUT, JOINT_TRAJECTORY, foreign)
    client._on_joint_state(JointState(name=["elbow", "shoulder"], position=[2.0, 1.0]))
    ((_, positions, commanded),) = client._curve
    np.testing.assert_allclose(positions, [1.0, 2.0])
    np.testing.assert_allclose(commanded, [0.1, 0.0])
    (warning,) = client.warnings
    assert warning.startswith("joint_trajectory: left out: ")
    assert why in warning


def test_states_of_other_joints_are_left_out_with_one_warning(client):
    for _ in range(2):
        client._on_joint_state(JointState(name=["wheel"], position=[2.0]))
    assert client._curve == []
    (warning,) = client.warnings
    assert warning.startswith("joint_states: left out: ")
