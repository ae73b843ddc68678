"""Limits that change while the controller is active count from its next activation, over ROS."""

import itertools
import shutil
from pathlib import Path

import pytest
import yaml
from controller_driver import FakeRobot, client, process_of
from lifecycle_msgs.msg import Transition

from ddpm_controller.control.states import Reason, State
from ddpm_controller.share import share_path
from ddpm_controller.simulation.arm.robot_description import robot_description

SIM_ARM = Path(share_path("config/robots/sim_arm.yaml"))
LOW = "joint_limits:\n  elbow:\n    min_position: -2.0\n    max_position: 0.5\n"
"""The elbow of the fake robot stands at 1 rad."""


@pytest.fixture
def robot_file(tmp_path):
    file = yaml.safe_load(SIM_ARM.read_text())
    shutil.copy(SIM_ARM.parent / file["joint_limits"], tmp_path / "limits.yaml")
    path = tmp_path / SIM_ARM.name
    path.write_text(yaml.safe_dump({**file, "joint_limits": "limits.yaml"}, sort_keys=False))
    return path


def activate_again(node):
    """Return the first status of the next activation that does not wait for joint states."""
    assert node.change(Transition.TRANSITION_DEACTIVATE)
    node.until(lambda: node.status.state == State.INACTIVE)
    statuses = node.heard["controller/status"]
    begin = len(statuses)
    assert node.change(Transition.TRANSITION_ACTIVATE)

    def decided():
        new = [each for each in statuses[begin:] if each.state != State.INACTIVE]
        return next((each for each in new if "nothing yet from" not in each.text), None)

    return node.until(decided, "a status of the new activation")


def with_low_elbow():
    head, tail = robot_description().split('<joint name="elbow" ', 1)
    _, behind = tail.split("<limit", 1)
    before, rest = tail[: tail.index("<limit")], behind[behind.index("/>") :]
    return f'{head}<joint name="elbow" {before}<limit lower="-2" upper="0.5" velocity="1"{rest}'


def test_a_description_counts_from_the_activation_after_it(robot_file):
    with client() as node, process_of("controller", robot=robot_file):
        robot = FakeRobot(node)
        node.bring_up()
        node.until_state(State.HOLDING, Reason.NO_CHECKPOINT)
        statuses = node.heard["controller/status"]
        begin = len(statuses)

        def describe(description, reason, text=""):
            status = None
            for _ in range(5):  # the topic may come behind the transitions
                robot.describe(description)
                status = activate_again(node)
                if status.reason == reason and text in status.text:
                    return
            raise AssertionError(f"it does not count: {status}")

        low = "elbow at 1.0000 outside [-2.0000, 0.5000]"
        describe(with_low_elbow(), Reason.LIMIT_POSITION, low)
        active = itertools.takewhile(lambda s: s.state != State.INACTIVE, statuses[begin:])
        assert {each.state for each in active} <= {State.HOLDING}
        describe(robot_description(), Reason.NO_CHECKPOINT)
        describe("<robot name='none'/>", Reason.NO_OBSERVATION, "has no joint")
        describe(robot_description(), Reason.NO_CHECKPOINT)


@pytest.mark.long
def test_a_joint_limits_file_counts_from_the_activation_after_it(robot_file, tmp_path):
    (limits_file,) = tmp_path.glob("*limits*.yaml")
    with client() as node, process_of("controller", robot=robot_file):
        FakeRobot(node)
        node.bring_up()
        node.until_state(State.HOLDING, Reason.NO_CHECKPOINT)
        limits_file.write_text(LOW)
        status = activate_again(node)
        assert status.reason == Reason.LIMIT_POSITION
        assert "elbow at 1.0000 outside [-1.5000, 0.5000]" in status.text
        limits_file.write_text(LOW.replace("elbow", "elbov"))
        status = activate_again(node)
        assert "limits.yaml, line 2: 'elbov' is no joint" in status.text
        limits_file.write_text(LOW.replace("max_position", "max_postion"))
        assert node.change(Transition.TRANSITION_DEACTIVATE)
        assert not node.change(Transition.TRANSITION_ACTIVATE)
        node.until(lambda: "did you mean 'max_position'" in node.status.text)
