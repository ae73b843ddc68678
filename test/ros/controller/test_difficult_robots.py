"""A real controller process on simulated robots that are as real ones are."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from controller_driver import PATIENCE_S, Client, client, process_of
from lifecycle_msgs.msg import Transition
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory

from ddpm_controller.bags.conversions import seconds
from ddpm_controller.control.states import Reason, State
from ddpm_controller.ros.asking import ask

DRIVEN = {"world": "reach", "driver": "controllers", "camera_hz": 10.0}


@pytest.fixture(scope="module")
def node(checkpoint) -> Iterator[Client]:
    """A client of a controller that is configured."""
    parameters = {
        "checkpoint": checkpoint,
        "command.stream": "rest_ended",
        "run_on_activate": True,
        "start.distance": "any",
    }
    with client() as node, process_of("controller", **parameters):
        assert node.change(Transition.TRANSITION_CONFIGURE)
        yield node


@contextmanager
def robot(node: Client, **parameters: object) -> Iterator[None]:
    """A robot and an active controller; the robot goes first, as when somebody unplugs it."""
    with process_of("simulation", **DRIVEN, **parameters):
        assert node.change(Transition.TRANSITION_ACTIVATE)
        yield
        assert node.change(Transition.TRANSITION_DEACTIVATE)


def set_parameter(node: Client, name: str, value: object) -> tuple[bool, str]:
    service = node.create_client(SetParameters, "simulation/set_parameters")
    node.until(service.service_is_ready, "the simulation's parameters")
    request = SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()])
    result = ask(service, request, node.spin, PATIENCE_S).results[0]
    node.destroy_client(service)
    return result.successful, result.reason


def test_arm_gripper_and_base_that_publish_apart_are_one_vector(node):
    """The driver's joint states come at 125 Hz, the gripper's at 30, the base's at 50."""
    with robot(node, joint_states="apart", states_hz=125.0):
        node.until_running(num_chunks=3)
        chunk = node.heard["controller/action_chunk"][-1]
        assert "joint_state/gripper" in chunk.element_names
        size = len(chunk.element_names)
        assert len(chunk.element_stamps) == size * len(chunk.window_stamps)
        newest = dict(zip(chunk.element_names, chunk.element_stamps[-size:], strict=True))
        source = chunk.source_stamps[-len(chunk.stream_names) :]
        oldest_s = seconds(source[list(chunk.stream_names).index("joint_state")])
        assert min(map(seconds, newest.values())) == oldest_s


@pytest.mark.parametrize("offset_s", [0.03, -0.03])
def test_a_robot_whose_clock_is_a_little_off_runs(node, offset_s):
    with robot(node, clock_offset_s=offset_s):
        node.until_running(num_chunks=3)


@pytest.mark.parametrize(
    ("offset_s", "text"),
    [(1.0, r"joint_state.* (0\.9\d*|1\.0\d*) s ahead"), (-1.0, r"joint_state is 1\.\d* s old")],
)
def test_a_robot_whose_clock_is_a_second_off_is_named_with_the_figure(node, offset_s, text):
    with robot(node, clock_offset_s=offset_s):
        statuses = node.heard["controller/status"]
        node.until(lambda: re.search(text, statuses[-1].text), f"{text}; last: {node.status}")
        assert node.status.state in (State.WAITING, State.HOLDING)
        reasons = (Reason.INVALID_OBSERVATION, Reason.STALE_OBSERVATION)
        assert node.status.reason in reasons


def test_joint_states_at_1000_hz_are_followed(node):
    with robot(node, states_hz=1000.0):
        node.until_running(num_chunks=3)
        rate_hz = node.until(
            lambda: dict(
                zip(node.status.stream_names, node.status.stream_rates_hz, strict=True)
            ).get("joint_state", 0.0),
            "a rate",
        )
        assert rate_hz > 300.0  # a busy machine may lose some


def test_a_robot_is_stopped_slowed_and_made_deaf_while_it_runs(node):
    """As a user tries it: ros2 param set /simulation protective_stop true."""
    set_points, states = [], []
    deep = QoSProfile(depth=2000)
    node.create_subscription(JointTrajectory, "simulation/set_points", set_points.append, deep)
    node.create_subscription(JointState, "joint_states", states.append, deep)
    with robot(node):
        node.until_running()
        assert set_parameter(node, "protective_stop", True) == (True, "")
        first = len(set_points)
        node.until(lambda: len(set_points) > first + 30, "set points")
        rows = np.array([p.positions for m in set_points[first + 2 :] for p in m.points])
        assert (rows == rows[0]).all()
        assert set_parameter(node, "protective_stop", False) == (True, "")
        accepted, reason = set_parameter(node, "speed_scaling", 1.5)
        assert not accepted
        assert "speed_scaling" in reason
        assert set_parameter(node, "speed_scaling", 0.1) == (True, "")
        assert set_parameter(node, "refuses", True) == (True, "")
        accepted, reason = set_parameter(node, "joint_states", "apart")
        assert not accepted
        assert "read-only" in reason


def test_what_would_have_no_effect_is_refused(node):
    with process_of("simulation", world="reach", driver="direct"):
        accepted, reason = set_parameter(node, "protective_stop", True)
        assert not accepted
        assert "protective_stop needs a driver that is not direct" in reason
