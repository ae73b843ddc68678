"""A first robot file is what was seen, with marks where it was guessed, and it loads."""

import numpy as np
import pytest
import yaml
from robot_driver import DRIVERS, driver_of
from robot_facts import commanded, observed
from small_bags import run_messages, write_bag

from ddpm_controller.bags.message_types import message_types
from ddpm_controller.robots.robot import load_robot
from ddpm_controller.survey.arms import told_apart
from ddpm_controller.survey.bag import robot_in_bag
from ddpm_controller.survey.limits_file import limits_file_text
from ddpm_controller.survey.messages import Survey
from ddpm_controller.survey.robot_file import ODOMETRY, robot_file_text
from ddpm_controller.survey.seen_robot import (
    SeenCamera,
    SeenCommands,
    SeenJoints,
    SeenOther,
    SeenRobot,
)

T = message_types().types
JTC = "trajectory_msgs/msg/JointTrajectory"
ARRAY = "std_msgs/msg/Float64MultiArray"
URDF = """<robot name="r"><link name="a"/><link name="b"/><link name="c"/>
<joint name="lift" type="prismatic"><parent link="a"/><child link="b"/>
<limit lower="0" upper="1" velocity="1" effort="1"/></joint>
<joint name="turn" type="continuous"><parent link="b"/><child link="c"/></joint></robot>"""

DESCRIBED = {"/robot_description": URDF}


def loaded(folder, seen, name="mine"):
    """Write both files, as the command does, and load them."""
    (folder / f"{name}_limits.yaml").write_text(limits_file_text(name, seen))
    path = folder / f"{name}.yaml"
    path.write_text(robot_file_text(name, seen))
    return load_robot(path)


def seen_of(driver):
    """What a graph with this driver shows: nothing of its velocities, all of its topics."""
    roots = [f"/{side}/".replace("//", "/") for side in driver.sides.values()]
    states = [
        SeenJoints(root + each.topic, dict.fromkeys(each.names, each.rate_hz))
        for root in roots
        for each in driver.states
    ]
    merged: dict[str, SeenJoints] = {}
    for each in states:
        before = merged.get(each.topic, SeenJoints(each.topic, {}))
        merged[each.topic] = SeenJoints(each.topic, {**before.rates_hz, **each.rates_hz})
    commands = [
        SeenCommands(
            root + each.topic, each.type, each.joints if each.parameter else (), each.node
        )
        for root in roots
        for each in driver.takes
    ]
    root = roots[0]
    cameras = [
        SeenCamera(
            root + c.topic if c.topic[0] != "/" else c.topic,
            "sensor_msgs/msg/Image",
            c.height,
            c.width,
            c.encoding,
            c.rate_hz,
        )
        for c in driver.cameras
    ]
    odometry = driver.odometry
    others = [SeenOther(root + o.topic, ODOMETRY, o.rate_hz) for o in [odometry] if o]
    return told_apart(
        SeenRobot(
            "a test",
            driver.namespace,
            tuple(merged.values()),
            tuple(cameras),
            tuple(commands),
            {
                f"/{side}/robot_description".replace("//", "/"): driver.description(side)
                for side in driver.sides.values()
            },
            tuple(others),
        )
    )


@pytest.mark.parametrize("name", list(yaml.safe_load(DRIVERS.read_text())))
def test_what_is_written_of_a_shipped_robot_commands_and_measures_the_same(name, tmp_path):
    driver = driver_of(name)
    robot = loaded(tmp_path, seen_of(driver), name)
    shipped = load_robot(DRIVERS.parents[2] / "config" / "robots" / f"{name}.yaml")
    assert commanded(robot) == commanded(shipped)
    assert observed(robot) == observed(shipped)
    assert robot.descriptions == shipped.descriptions
    rates_hz = {each.topic: each.spec.rate_hz for each in robot.streams}
    assert rates_hz == {each.topic: each.spec.rate_hz for each in shipped.streams}
    assert robot.limits(driver.urdf).velocity.size == len(robot.action_spec.joint_names)


def test_a_bag_shows_joints_rates_cameras_and_the_recorded_commands(tmp_path):
    write_bag(tmp_path / "bag", run_messages(2000))
    seen = robot_in_bag(tmp_path / "bag")
    robot = loaded(tmp_path, seen)
    (joints, camera) = robot.streams
    assert (joints.topic, joints.spec.names, joints.spec.rate_hz) == (
        "joint_states",
        ("grip", "lift"),
        50.0,
    )
    assert (camera.topic, camera.message_size, camera.spec.rate_hz) == (
        "camera/image_raw",
        (4, 6),
        25.0,
    )
    (output,) = robot.outputs
    assert (output.topic, output.type, output.names) == ("joint_trajectory", JTC, ("grip", "lift"))
    text = (tmp_path / "mine.yaml").read_text()
    assert "the driver leaves out velocity and effort" in text
    assert "check: rad or m; no robot_description was seen" in text


def test_the_description_gives_units_and_what_it_lacks_is_asked_for(tmp_path):
    states = SeenJoints("/joint_states", {"turn": 100.0, "lift": 100.0, "wheel": 20.0})
    commands = SeenCommands("/c/joint_trajectory", JTC, ("lift", "turn"), "/c")
    seen = SeenRobot("a test", "", (states,), (), (commands,), DESCRIBED)
    robot = loaded(tmp_path, seen)
    assert robot.action_spec.units == ("m", "rad")
    text = (tmp_path / "mine.yaml").read_text()
    assert "turn turn without end: add wraps: [turn]" in text
    assert "also there: wheel" in text
    limits = (tmp_path / "mine_limits.yaml").read_text()
    assert "max_velocity: 1.0" in limits.split("turn:")[1]
    assert "lift: {}" in limits
    assert robot.limits(URDF).velocity.tolist() == [1.0, 1.0]


def test_the_rate_of_a_joint_is_its_own_and_the_slowest_counts():
    survey = Survey()
    header = T["std_msgs/msg/Header"](T["builtin_interfaces/msg/Time"](1, 0), "")
    for k in range(101):
        names = ["arm"] if k % 5 else ["arm", "grip"]
        row = np.full(len(names), 0.1)
        message = T["sensor_msgs/msg/JointState"](header, names, row, row * np.nan, row[:0])
        survey.take("/joint_states", "sensor_msgs/msg/JointState", message, k * 0.01)
    (joints,) = survey.robot("a test").joints
    assert joints.rates_hz == {"arm": 100.0, "grip": 20.0}
    assert joints.lacks == ("velocity", "effort")


def test_of_two_controllers_of_the_same_joints_one_is_named_and_the_other_is_told(tmp_path):
    states = SeenJoints("/joint_states", {"lift": 100.0, "turn": 100.0})
    commands = (
        SeenCommands("/forward/commands", ARRAY, ("lift", "turn"), "/forward"),
        SeenCommands("/speed/commands", ARRAY, ("lift", "turn"), "/speed", "velocity"),
        SeenCommands("/torque/commands", ARRAY, ("lift", "turn"), "/torque", "effort"),
        SeenCommands("/jtc/joint_trajectory", JTC, ("turn", "lift"), "/jtc"),
    )
    robot = loaded(tmp_path, SeenRobot("a test", "", (states,), (), commands, DESCRIBED))
    (output,) = robot.outputs
    assert (output.topic, output.names) == ("jtc/joint_trajectory", ("turn", "lift"))
    text = (tmp_path / "mine.yaml").read_text()
    assert "check: also commanded on forward/commands" in text
    assert "torque" not in text


def test_joints_that_no_parameter_names_are_guessed_from_what_is_left(tmp_path):
    states = SeenJoints("/joint_states", {"a_joint": 100.0, "left_finger": 30.0})
    commands = (
        SeenCommands("/hand/gripper_cmd", "control_msgs/action/GripperCommand"),
        SeenCommands("/arm/joint_trajectory", JTC, ("a_joint",), "/arm"),
    )
    robot = loaded(tmp_path, SeenRobot("a test", "", (states,), (), commands))
    assert [(o.name, o.names) for o in robot.outputs] == [
        ("arm", ("a_joint",)),
        ("gripper", ("left_finger",)),
    ]
    assert "check: the joints and their order" in (tmp_path / "mine.yaml").read_text()
    assert "follow_tolerance: .inf" in (tmp_path / "mine_limits.yaml").read_text()


def test_a_commanded_joint_that_nothing_measures_is_marked(tmp_path):
    states = SeenJoints("/joint_states", {"lift": 100.0})
    commands = SeenCommands("/jtc/joint_trajectory", JTC, ("lift", "turn"), "/jtc")
    loaded(tmp_path, SeenRobot("a test", "", (states,), (), (commands,), DESCRIBED))
    assert (
        "check: turn are commanded but not measured here" in (tmp_path / "mine.yaml").read_text()
    )


@pytest.mark.parametrize("name", ["1", "no", "1.5", "a b"])
def test_names_that_yaml_would_read_as_something_else_stay_names(name, tmp_path):
    """An early description of the SO-100 called its joints 1 to 6."""
    states = SeenJoints("/joint_states", {name: 50.0})
    commands = SeenCommands("/c/commands", ARRAY, (name,), "/c")
    robot = loaded(tmp_path, SeenRobot("a test", "", (states,), (), (commands,)))
    assert robot.action_spec.joint_names == (name,)


def test_without_anything_that_takes_commands_the_file_still_loads_and_says_so(tmp_path):
    states = SeenJoints("/ns/joint_states", {"lift": 0.0})
    camera = SeenCamera("/cam/depth/image_raw", "sensor_msgs/msg/Image", 480, 640, "16UC1", 30.0)
    robot = loaded(tmp_path, SeenRobot("a test", "ns", (states,), (camera,), (), DESCRIBED))
    assert robot.streams[0].topic == "joint_states"
    assert robot.streams[1].topic == "/cam/depth/image_raw"
    assert robot.streams[1].spec.shape == (96, 128, 3)
    text = (tmp_path / "mine.yaml").read_text()
    assert "nothing was seen that takes commands" in text
    assert "check: one message was seen" in text
    assert "depth_range_m: [0.2, 2.0]" in text


def test_what_stands_outside_of_a_namespace_keeps_its_whole_name():
    seen = SeenRobot("a test", "/left/")
    assert seen.relative("/left/joint_states") == "joint_states"
    assert seen.relative("/static_camera/image_raw") == "/static_camera/image_raw"
    assert SeenRobot("a test").relative("/joint_states") == "joint_states"


def test_arms_with_the_same_joints_get_the_word_that_tells_them_apart():
    seen = seen_of(driver_of("aloha"))
    assert list(seen.described.values()) == ["left/", "right/"]
    assert {each.prefix for each in seen.commands} == {"left/", "right/"}


def test_one_arm_with_its_joints_on_several_topics_needs_no_prefix():
    """The driver of an xArm has joint states in a namespace of its own, as Franka's has."""
    for name in ("xarm7", "fr3_hand"):
        seen = seen_of(driver_of(name))
        assert not seen.prefixes
        assert not any(each.prefixes for each in seen.joints)
