from pathlib import Path

import numpy as np
import pytest
import yaml

from ddpm_controller.control.moving.boxed_arm import CartesianBox
from ddpm_controller.control.moving.safety import ACCELERATION_TIME_S, JERK_TIME_S
from ddpm_controller.control.observing.stream_rules import StreamRule
from ddpm_controller.robots.robot import (
    RobotError,
    continuous_joints,
    joint_limits,
    load_robot,
)
from ddpm_controller.robots.streams import FROZEN_AFTER_S
from ddpm_controller.simulation.arm.arm import JOINT_NAMES
from ddpm_controller.simulation.arm.robot_description import robot_description

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
    assert robot.rules["camera_wrist"] == StreamRule("hold", FROZEN_AFTER_S)
    assert robot.rules["joint_state"] == StreamRule("hold", 0.0)


CHANGES = {
    "unknown key": (lambda file: file.update(colour="red"), "colour"),
    "unknown type": (
        lambda file: file["streams"]["camera_fixed"].update(type="sensor_msgs/msg/PointCloud2"),
        "PointCloud2",
    ),
    "no rate": (lambda file: file["streams"]["joint_state"].pop("rate_hz"), "rate_hz"),
    "negative age": (lambda file: file["streams"]["joint_state"].update(max_age_s=-1), "-1"),
    "no image size": (lambda file: file["streams"]["camera_fixed"].pop("height"), "height"),
    "an unknown way": (
        lambda file: file["streams"]["camera_fixed"].update(when_stale="guess"),
        "when_stale.*hold.*stop.*mask.*guess",
    ),
    "a negative time until frozen": (
        lambda file: file["streams"]["camera_fixed"].update(frozen_after_s=-1),
        "frozen_after_s.*-1",
    ),
    "frozen joints": (
        lambda file: file["streams"]["joint_state"].update(frozen_after_s=1),
        "'joint_state': frozen_after_s is for images",
    ),
    "velocities that wrap": (
        lambda file: file["streams"]["joint_state"].update(field="velocity", wraps=["elbow"]),
        "'joint_state': wraps is for positions, not for velocity",
    ),
    "another name that wraps": (
        lambda file: file["streams"]["joint_state"].update(wraps=["elbov"]),
        "wraps names .'elbov'., which must be among its names",
    ),
    "metres that wrap": (
        lambda file: file["streams"]["joint_state"].update(wraps=["gripper"]),
        "wraps names .'gripper'., .*and in rad",
    ),
    "cropped joints": (
        lambda file: file["streams"]["joint_state"].update(crop=[0, 0, 1, 1]),
        "'joint_state': crop is for images",
    ),
    "a crop beyond the picture": (
        lambda file: file["streams"]["camera_fixed"].update(crop=[0, 40, 96, 57]),
        r"'camera_fixed': crop \[0, 40, 96, 57\] .* column 97, the message has 96 x 96",
    ),
    "a crop above the picture": (
        lambda file: file["streams"]["camera_fixed"].update(crop=[-1, 0, 8, 8]),
        r"camera_fixed.crop.0: .*greater than or equal to 0, got -1",
    ),
    "a crop of nothing": (
        lambda file: file["streams"]["camera_fixed"].update(crop=[0, 0, 8, 0]),
        r"camera_fixed.crop.3: .*greater than 0, got 0",
    ),
    "joints at a distance": (
        lambda file: file["streams"]["joint_state"].update(depth_range_m=[0.2, 2.0]),
        "'joint_state': depth_range_m is for images",
    ),
    "a range of depth inside out": (
        lambda file: file["streams"]["camera_fixed"].update(depth_range_m=[2.0, 0.2]),
        r"'camera_fixed': depth_range_m needs 0 <= nearest < farthest in m, got \[2.0, 0.2\]",
    ),
    "a range of depth without end": (
        lambda file: file["streams"]["camera_fixed"].update(depth_range_m=[0, float("inf")]),
        r"depth_range_m needs .* got \[0.0, inf\]",
    ),
    "masked joints": (
        lambda file: file["streams"]["joint_state"].update(when_stale="mask"),
        "'joint_state' measures the commanded joints and cannot be masked",
    ),
    "a unit is missing": (lambda file: file["action"]["units"].pop(), "6 units"),
    "a box with two walls": (
        lambda file: file.update(end_effector_box={"lower": [0, 0], "upper": [1, 1, 1]}),
        "end_effector_box.lower",
    ),
    "a box inside out": (
        lambda file: file.update(end_effector_box={"lower": [0, 0, 1], "upper": [1, 1, 0.5]}),
        "lower z 1.0 must be below upper z 0.5",
    ),
    "a latency below 0": (
        lambda file: file["streams"]["camera_fixed"].update(latency_s=-0.01),
        r"latency_s: .*greater than or equal to 0, got -0.01",
    ),
    "a latency that is a wrong clock": (
        lambda file: file["action"].update(latency_s=2.0),
        r"action.latency_s: .*less than 2, got 2.0",
    ),
    "a latency that is no number": (
        lambda file: file["action"].update(latency_s=float("nan")),
        "latency_s",
    ),
    "stale when it comes": (
        lambda file: file["streams"]["joint_state"].update(latency_s=0.3),
        r"max_age_s 0.3 must be above latency_s 0.3",
    ),
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


DRUM_WORDS = SIM_ARM.with_name("drum_words.yaml")


def test_a_stream_of_sentences_is_a_vector_that_holds_and_does_not_age():
    robot = load_robot(DRUM_WORDS)
    stream = robot.streams[-1]
    assert stream.is_text
    assert stream.spec.holds
    assert (stream.spec.kind, stream.spec.shape) == ("vector", (128,))
    assert stream.spec.names[:2] == ("text_0", "text_1")
    assert robot.max_ages_s["instruction"] == float("inf")
    assert not any(each.is_text or each.spec.holds for each in robot.streams[:-1])


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"max_age_s": 0.3},
            r"streams.instruction: .*\['max_age_s'\] are not for a text, .*holds",
        ),
        ({"text_features": 4}, "streams.instruction.text_features: .*equal to 8, got 4"),
        ({"text_features": None}, "streams.instruction.text_features: .*integer, got None"),
        ({"names": ["one"]}, "streams.instruction.names: Extra inputs are not permitted"),
    ],
)
def test_a_stream_of_sentences_that_breaks_a_rule_is_refused(tmp_path, change, text):
    file = yaml.safe_load(DRUM_WORDS.read_text())
    file["streams"]["instruction"].update(change)
    (tmp_path / "robot.yaml").write_text(yaml.safe_dump(file))
    with pytest.raises(RobotError, match=text):
        load_robot(tmp_path / "robot.yaml")


def test_the_robot_file_says_what_to_do_about_each_stream(tmp_path):
    file = yaml.safe_load(SIM_ARM.read_text())
    file["streams"]["joint_state"].update(when_stale="stop")
    file["streams"]["camera_fixed"].update(when_stale="mask", frozen_after_s=0)
    path = tmp_path / "robot.yaml"
    file["joint_limits"] = str(SIM_ARM.parent / file["joint_limits"])
    path.write_text(yaml.safe_dump(file))
    rules = load_robot(path).rules
    assert rules["joint_state"] == StreamRule("stop")
    assert rules["camera_fixed"] == StreamRule("mask", 0.0)


@pytest.mark.parametrize(
    ("crop", "resize", "shape"),
    [
        (None, None, (96, 96, 3)),
        ([8, 0, 80, 96], None, (80, 96, 3)),
        ([8, 0, 80, 96], [40, 48], (40, 48, 3)),
        (None, [48, 48], (48, 48, 3)),
    ],
)
def test_a_camera_may_be_cropped_and_then_resized(tmp_path, crop, resize, shape):
    file = yaml.safe_load(SIM_ARM.read_text())
    camera = file["streams"]["camera_fixed"]
    camera.pop("resize", None)
    camera.update(crop=crop, resize=resize, depth_range_m=[0.2, 2])
    file["joint_limits"] = None
    (tmp_path / "robot.yaml").write_text(yaml.safe_dump(file))
    streams = load_robot(tmp_path / "robot.yaml").streams
    (stream,) = (each for each in streams if each.spec.name == "camera_fixed")
    assert stream.spec.shape == shape
    assert stream.crop == (None if crop is None else tuple(crop))
    assert stream.message_size == (96, 96)
    assert stream.spec.depth_range_m == (0.2, 2.0)


@pytest.mark.parametrize("text", ["streams: [", "just words", ""])
def test_a_file_that_is_no_robot_file_is_refused(tmp_path, text):
    path = tmp_path / "robot.yaml"
    path.write_text(text)
    with pytest.raises(RobotError, match="robot file"):
        load_robot(path)
    with pytest.raises(RobotError, match="No such file"):
        load_robot(tmp_path / "nowhere.yaml")


def test_a_robot_file_may_name_the_end_effector_and_its_box(tmp_path):
    assert load_robot(SIM_ARM).end_effector == "tip"
    assert load_robot(SIM_ARM).box is None
    assert load_robot(SIM_ARM.with_name("pusht.yaml")).end_effector == ""
    file = yaml.safe_load(SIM_ARM.read_text())
    file["end_effector_box"] = {"lower": [0.1, -0.4, 0.0], "upper": [0.6, 0.4, float("inf")]}
    file["joint_limits"] = None
    (tmp_path / "robot.yaml").write_text(yaml.safe_dump(file))
    box = load_robot(tmp_path / "robot.yaml").box
    assert box == CartesianBox((0.1, -0.4, 0.0), (0.6, 0.4, float("inf")))


def test_limits_are_taken_by_name_from_the_urdf():
    limits = joint_limits(URDF, ("b", "a"))
    np.testing.assert_array_equal(limits.lower, [-np.inf, -1])
    np.testing.assert_array_equal(limits.upper, [np.inf, 2])
    np.testing.assert_array_equal(limits.velocity, [4, 3])
    assert joint_limits(robot_description(), JOINT_NAMES).velocity.shape == (7,)


def test_a_joint_that_wraps_has_no_position_limits(tmp_path):
    file = yaml.safe_load(SIM_ARM.read_text())
    file["streams"]["joint_state"]["wraps"] = ["wrist_roll"]
    file["joint_limits"] = None
    (tmp_path / "robot.yaml").write_text(yaml.safe_dump(file, sort_keys=False))
    robot, urdf = load_robot(tmp_path / "robot.yaml"), robot_description()
    assert robot.stream_specs[0].wraps == ("wrist_roll",)
    with pytest.raises(
        RobotError, match=r"\['wrist_roll'\] are in wraps .*remove them from wraps"
    ):
        robot.limits(urdf)
    turning = urdf.replace(
        'name="wrist_roll" type="revolute"', 'name="wrist_roll" type="continuous"'
    )
    assert np.isinf(robot.limits(turning).upper[5])


def robot_with_limits(folder, text):
    file = yaml.safe_load(SIM_ARM.read_text())
    file["joint_limits"] = "limits.yaml"
    (folder / "robot.yaml").write_text(yaml.safe_dump(file))
    if text is not None:
        (folder / "limits.yaml").write_text(text)
    return load_robot(folder / "robot.yaml")


LIMITS_FILE = """
default_velocity_scaling_factor: 0.1
joint_limits:
  a:
    min_position: -3.0
    max_position: 1.0
    has_velocity_limits: true
    max_velocity: 5.0
    has_acceleration_limits: true
    max_acceleration: 7.0
  b:
    has_velocity_limits: true
    max_velocity: 1.5
    has_acceleration_limits: false
    max_acceleration: 0.0
    has_jerk_limits: true
    max_jerk: 11.0
    max_step_from_measured: 0.2
    follow_tolerance: .inf
"""


def test_the_stricter_of_urdf_and_joint_limits_file_counts(tmp_path):
    given = robot_with_limits(tmp_path, LIMITS_FILE).given_limits
    limits = joint_limits(URDF, ("b", "a"), given)
    np.testing.assert_array_equal(limits.lower, [-np.inf, -1])
    np.testing.assert_array_equal(limits.upper, [np.inf, 1])
    np.testing.assert_array_equal(limits.velocity, [1.5, 3])
    # What nobody says is derived: 1.5 / 0.025, 7 / 0.02.
    np.testing.assert_allclose(limits.acceleration, [60, 7])
    np.testing.assert_allclose(limits.jerk, [11, 350])
    np.testing.assert_array_equal(limits.step, [0.2, np.inf])
    np.testing.assert_array_equal(limits.follow, [np.inf, 0.1])


def joint_a(**lines):
    return yaml.safe_dump({"joint_limits": {"a": lines}})


BAD_LIMITS = {
    "missing": (None, "No such file"),
    "no yaml": ("joint_limits: [", "limits.yaml"),
    "not a mapping": ("just words", "limits.yaml"),
    "lower above upper": (joint_a(min_position=2, max_position=1), "2.0 must be below .* 1.0"),
    "zero velocity": (
        joint_a(has_velocity_limits=True, max_velocity=0),
        "max_velocity must be above 0 .*got 0.0: give a number",
    ),
    "no acceleration": (joint_a(has_acceleration_limits=True), "got None"),
    "nan": (joint_a(has_jerk_limits=True, max_jerk=float("nan")), "max_jerk"),
    "half a range": (joint_a(has_position_limits=True, max_position=1), "give both"),
    "no tolerance": (joint_a(follow_tolerance=0), "follow_tolerance"),
    "no step": (joint_a(max_step_from_measured=0), "max_step_from_measured"),
    "unknown": (joint_a(max_speed=1), "max_speed"),
}


@pytest.mark.parametrize(("text", "message"), BAD_LIMITS.values(), ids=BAD_LIMITS)
def test_a_joint_limits_file_that_contradicts_itself_is_refused(tmp_path, text, message):
    with pytest.raises(RobotError, match=message) as raised:
        robot_with_limits(tmp_path, text)
    assert "limits.yaml" in str(raised.value)


def test_limits_that_contradict_the_urdf_are_refused_with_both_values(tmp_path):
    text = joint_a(min_position=5.0, max_position=6.0)
    given = robot_with_limits(tmp_path, text).given_limits
    with pytest.raises(RobotError, match=r"\[-1, 2\].*\[5, 6\].*limits.yaml, line 2"):
        joint_limits(URDF, ("a",), given)


@pytest.mark.parametrize("name", ["sim_arm", "pusht"])
def test_the_shipped_limits_are_those_that_are_derived_without_a_file(name):
    """So that an evaluation, a replay and a robot without the file agree to the bit."""
    robot = load_robot(SIM_ARM.with_name(f"{name}.yaml"))
    assert set(robot.given_limits) == set(robot.action_spec.joint_names)
    for given in robot.given_limits.values():
        velocity = np.float64(given.max_velocity)
        assert given.max_acceleration == velocity / ACCELERATION_TIME_S
        assert given.max_jerk == given.max_acceleration / JERK_TIME_S


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (("a", "c"), r"no joint \['c'\]"),
        (("free",), "'free' is fixed"),
        (("slow",), "above 0"),
        (("text",), "'text' needs a finite number for lower, got 'x'"),
    ],
)
def test_a_joint_without_limits_is_refused(names, text):
    with pytest.raises(RobotError, match=text):
        joint_limits(URDF, names)
    with pytest.raises(RobotError, match="not XML"):
        joint_limits("<robot", names)


def test_latencies_are_unknown_until_they_are_given(tmp_path):
    robot = load_robot(SIM_ARM)
    assert {each.latency_s for each in (*robot.streams, robot)} == {0.0}
    file = yaml.safe_load(SIM_ARM.read_text())
    file.pop("joint_limits")
    file["streams"]["camera_wrist"]["latency_s"] = 0.034
    file["action"]["latency_s"] = 0.05
    path = tmp_path / "robot.yaml"
    path.write_text(yaml.safe_dump(file, sort_keys=False))
    calibrated = load_robot(path)
    assert [each.latency_s for each in calibrated.streams] == [0.0, 0.0, 0.034]
    assert calibrated.latency_s == 0.05


def test_the_joints_that_turn_without_end_are_known_in_the_order_that_was_asked_for():
    assert continuous_joints(URDF, ("slow", "b", "a")) == ("b",)
    assert continuous_joints(URDF, ("a",)) == ()
    assert continuous_joints("", ("a",)) == ()
