from pathlib import Path

import numpy as np
import pytest
import yaml

from ddpm_controller.ros.robot import RobotError, joint_limits, load_robot
from ddpm_controller.simulation.arm import JOINT_NAMES
from ddpm_controller.simulation.robot_description import robot_description

SIM_ARM = Path(__file__).parents[2] / "config" / "robots" / "sim_arm.yaml"

URDF = """
<robot name="r">
  <joint name="a" type="revolute"><limit lower="-1" upper="2" velocity="3" effort="9"/></joint>
  <joint name="b" type="continuous"><limit velocity="4"/></joint>
  <joint name="free" type="fixed"/>
  <joint name="slow" type="revolute"><limit lower="-1" upper="2" velocity="0"/></joint>
  <joint name="text" type="revolute"><limit lower="x" upper="2" velocity="1"/></joint>
</robot>
"""


def test_the_robot_file_of_the_simulated_arm_has_its_streams_in_order():
    robot = load_robot(SIM_ARM)
    assert [spec.name for spec in robot.stream_specs] == [
        "joint_state",
        "camera_fixed",
        "camera_wrist",
    ]
    assert robot.action_spec.joint_names == JOINT_NAMES
    assert robot.streams[1].message_size == (96, 96)
    assert robot.max_ages_s["camera_wrist"] == 0.5


CHANGES = {
    "unknown key": (lambda file: file.update(colour="red"), "colour"),
    "unknown type": (
        lambda file: file["streams"]["camera_fixed"].update(type="sensor_msgs/msg/PointCloud2"),
        "PointCloud2",
    ),
    "no rate": (lambda file: file["streams"]["joint_state"].pop("rate_hz"), "rate_hz"),
    "negative age": (lambda file: file["streams"]["joint_state"].update(max_age_s=-1), "-1"),
    "no image size": (lambda file: file["streams"]["camera_fixed"].pop("height"), "height"),
    "a unit is missing": (lambda file: file["action"]["units"].pop(), "6 units"),
    "a name twice": (
        lambda file: file["action"].update(names=["elbow"] * 7),
        "unique",
    ),
}


@pytest.mark.parametrize(("change", "text"), CHANGES.values(), ids=CHANGES)
def test_a_robot_file_that_breaks_a_rule_is_refused_with_file_and_value(tmp_path, change, text):
    file = yaml.safe_load(SIM_ARM.read_text())
    change(file)
    path = tmp_path / "robot.yaml"
    path.write_text(yaml.safe_dump(file))
    with pytest.raises(RobotError, match=text) as raised:
        load_robot(path)
    assert str(path) in str(raised.value)


@pytest.mark.parametrize("text", ["streams: [", "just words", ""])
def test_a_file_that_is_no_robot_file_is_refused(tmp_path, text):
    path = tmp_path / "robot.yaml"
    path.write_text(text)
    with pytest.raises(RobotError, match="robot file"):
        load_robot(path)
    with pytest.raises(RobotError, match="No such file"):
        load_robot(tmp_path / "nowhere.yaml")


def test_limits_are_taken_by_name_from_the_urdf():
    limits = joint_limits(URDF, ("b", "a"))
    np.testing.assert_array_equal(limits.lower, [-np.inf, -1])
    np.testing.assert_array_equal(limits.upper, [np.inf, 2])
    np.testing.assert_array_equal(limits.velocity, [4, 3])
    assert joint_limits(robot_description(), JOINT_NAMES).velocity.shape == (7,)


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (("a", "c"), r"no joint \['c'\]"),
        (("free",), "no <limit>"),
        (("slow",), "above 0"),
        (("text",), "'text' needs numbers"),
    ],
)
def test_a_joint_without_limits_is_refused(names, text):
    with pytest.raises(RobotError, match=text):
        joint_limits(URDF, names)
    with pytest.raises(RobotError, match="not XML"):
        joint_limits("<robot", names)
