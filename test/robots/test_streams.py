"""Streams of a robot file: fields, frames, units, several topics."""

import numpy as np
import pytest
import yaml
from small_bags import ROBOT, small_robot

from ddpm_controller.robots.robot import RobotError
from ddpm_controller.robots.streams import camera_info_of

POSE = """
  pose: {topic: pose, type: geometry_msgs/msg/PoseStamped, fields: [pose.position.x],
         rate_hz: 50.0, max_age_s: 0.3}
action:"""
FRAMES = """
  tool: {tf: {parent: /base_link, child: tool0}, rate_hz: 50.0, max_age_s: 0.3}
action:"""


def robot_with(folder, streams):
    return small_robot(folder, ROBOT.replace("\naction:", streams))


def test_joints_in_degrees_and_millimetres_are_seen_in_si(tmp_path):
    text = ROBOT.replace("units: [rad, m], rate_hz", "units: [deg, mm], rate_hz")
    robot = small_robot(tmp_path, text)
    stream = robot.measuring
    assert stream.spec.units == ("rad", "m")
    np.testing.assert_allclose(stream.in_si(np.array([180.0, 250.0])), [np.pi, 0.25])
    (told,) = robot.conversions
    assert told.endswith("converted at reading: lift from deg to rad, grip from mm to m")


def changed(folder, stream, changes, action=None):
    """The robot with other keys in one stream; None takes a key away."""
    file = yaml.safe_load(ROBOT.replace("\naction:", POSE))
    content = file["streams"][stream] | changes
    file["streams"][stream] = {key: each for key, each in content.items() if each is not None}
    file["action"] |= action or {}
    return small_robot(folder, yaml.safe_dump(file))


@pytest.mark.parametrize(
    ("stream", "changes", "text"),
    [
        ("joint_state", {"units": ["banana", "m"]}, "lift has the unit 'banana'.*known are"),
        ("joint_state", {"units": ["rad", ""]}, "grip has the unit ''.*known are rad, m"),
        ("joint_state", {"names": [], "units": []}, "names is empty: name the joints"),
        ("joint_state", {"names": ["lift", ""]}, r"joint_state.names.1: .*at least 1 character"),
        ("joint_state", {"topic": None}, "topic or topics, one of them"),
        ("joint_state", {"topics": {"a": "left/"}}, "topic or topics, one of them"),
        ("joint_state", {"topic": ""}, "joint_state.topic: .*at least 1 character"),
        ("joint_state", {"field": ""}, "joint_state.field: .*'effort', got ''"),
        ("camera", {"topic": None, "topics": {"a": ""}}, "topics is for joints"),
        ("pose", {"fields": []}, "pose.fields: .*at least 1 item"),
        ("pose", {"fields": [""]}, "pose.fields.0: .*at least 1 character"),
        ("pose", {"fields": ["position.x"]}, "'pose': geometry_msgs/msg/PoseStamped: there is no"),
        ("pose", {"fields": ["pose.position.x"] * 2}, "names repeat"),
        ("pose", {"units": ["rad"]}, "pose.position.x has the unit 'rad', but the message type"),
        ("pose", {"names": ["x", "y"]}, "2 names for 1 numbers"),
        ("pose", {"units": ["m", "m"]}, "2 units for 1 numbers"),
        ("pose", {"reference": [0, 0, 0, 0]}, "'pose': .*not filled in"),
        ("pose", {"wraps": ["pose.position.x"]}, "and in rad"),
        ("pose", {"type": "geometry_msgs/msg/PoseArray"}, "streams.pose: .*PoseArray"),
        ("pose", {"topic": "camera/image_raw"}, "a topic has one type"),
    ],
)
def test_what_a_stream_cannot_mean_is_refused(tmp_path, stream, changes, text):
    with pytest.raises(RobotError, match=text):
        changed(tmp_path, stream, changes)


@pytest.mark.parametrize("unit", ["deg", "", "banana"])
def test_commands_in_other_units_are_refused(tmp_path, unit):
    with pytest.raises(RobotError, match=f"command of 'lift' has the unit '{unit}'.*in SI"):
        changed(tmp_path, "pose", {}, {"units": [unit, "m"]})


def test_a_number_whose_unit_is_left_open_needs_one(tmp_path):
    weight = "\n  w: {topic: w, type: std_msgs/msg/Float64, rate_hz: 5.0, max_age_s: 1.0}\naction:"
    with pytest.raises(RobotError, match=r"leaves the unit of \['data'\] open: give units"):
        robot_with(tmp_path, weight)


def test_two_frames_are_a_stream_of_two_topics(tmp_path):
    stream = robot_with(tmp_path, FRAMES).streams[-1]
    assert stream.frames == ("base_link", "tool0")
    assert [each.topic for each in stream.sources] == ["/tf", "/tf_static"]
    assert stream.spec.units == ("m",) * 3 + ("1",) * 6
    with pytest.raises(RobotError, match="parent and child are the same frame 'base_link'"):
        robot_with(tmp_path, FRAMES.replace("tool0", "base_link"))


def test_velocities_of_joints_as_fields_do_not_count_as_their_positions(tmp_path):
    text = ROBOT.replace("sensor_msgs/msg/JointState", "std_msgs/msg/Float64MultiArray")
    text = text.replace("max_age_s: 0.3}", "max_age_s: 0.3, fields: ['data[0:2]']}")
    small_robot(tmp_path, text)
    with pytest.raises(RobotError, match="motion of the commanded joints.*as their position"):
        small_robot(tmp_path, text.replace("[rad, m], rate_hz", "[rad/s, m/s], rate_hz"))


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("camera/image_raw", "camera/camera_info"),
        ("camera/color/image_raw/compressed", "camera/color/camera_info"),
        ("/depth/image_rect/compressedDepth", "/depth/camera_info"),
        ("image", "camera_info"),
        ("/image", "/camera_info"),
    ],
)
def test_a_calibration_lies_beside_its_image(image, expected):
    assert camera_info_of(image) == expected
