"""Joint-limits files as MoveIt, ros2_control and UR have them, and what is refused."""

import math

import pytest

from ddpm_controller.robots.joint_limits_file import JointLimitsFileError, read_given_limits
from ddpm_controller.robots.robot import RobotError, joint_limits, load_robot

UR_JOINTS = ("shoulder_pan", "shoulder_lift", "elbow", "wrist_1", "wrist_2", "wrist_3")
UR = """
joint_limits:
  shoulder_pan:
    # acceleration limits are not public
    has_acceleration_limits: false
    has_effort_limits: true
    has_position_limits: true
    has_velocity_limits: true
    max_effort: 150.0
    max_position: !degrees  360.0
    max_velocity: !degrees  180.0
    min_position: !degrees -360.0
  elbow_joint:
    has_velocity_limits: true
    max_velocity: !radians pi / 2
    has_position_limits: true
    min_position: !radians -3.0
    max_position: !radians +3
"""


def described(prefix="", *, joints=UR_JOINTS):
    limit = '<limit lower="-7" upper="7" effort="1" velocity="9"/>'
    rows = [f'<joint name="{prefix}{n}_joint" type="revolute">{limit}</joint>' for n in joints]
    return "\n".join(rows)


def robot(*parts):
    return "\n".join(["<robot>", *parts, "</robot>"])


@pytest.fixture
def read(tmp_path):
    path = tmp_path / "limits.yaml"

    def of(text):
        path.write_text(text)
        return read_given_limits(path)

    return of


def test_angles_are_read_in_degrees_and_in_radians(read):
    given = read(UR)
    assert given["shoulder_pan"].max_velocity == math.radians(180)
    assert given["shoulder_pan"].min_position == math.radians(-360)
    assert given["elbow_joint"].max_velocity == math.pi / 2
    assert (given["elbow_joint"].min_position, given["elbow_joint"].max_position) == (-3, 3)


@pytest.mark.parametrize("prefix", ["", "left_"])
def test_keys_may_lack_the_prefix_of_the_robot_and_the_word_joint(read, prefix):
    limits = joint_limits(
        robot(described(prefix)), (f"{prefix}elbow_joint", f"{prefix}shoulder_pan_joint"), read(UR)
    )
    assert limits.velocity.tolist() == [math.pi / 2, math.pi]
    assert limits.upper.tolist() == [3, math.radians(360)]


def test_a_key_that_means_joints_of_two_arms_is_refused(read):
    urdf = robot(described("left_"), described("right_"))
    remedy = r"prefixes \['left_', 'right_'\]: write the names of the joints in full"
    with pytest.raises(RobotError, match=remedy):
        joint_limits(urdf, ("left_elbow_joint",), read(UR))


MISSPELT = {
    "misspelt": ("elbo_joint", "did you mean 'elbow_joint'"),
    "of another robot": ("panda_finger", r"which has \['elbow_joint', "),
    "the end of a name alone": ("pan", "'pan' is no joint"),
}


@pytest.mark.parametrize(("key", "message"), MISSPELT.values(), ids=MISSPELT)
def test_a_joint_that_the_robot_does_not_have_is_refused_with_its_line(read, key, message):
    given = read(f"joint_limits:\n  wrist_1:\n    max_position: 1\n  {key}:\n    max_position: 1")
    with pytest.raises(RobotError, match=rf"limits.yaml, line 4: '{key}' is no joint") as raised:
        joint_limits(robot(described()), ("elbow_joint",), given)
    assert raised.match(message)


def test_two_keys_for_one_joint_are_refused(read):
    given = read("joint_limits: {elbow: {max_position: 1}, elbow_joint: {max_position: 2}}")
    with pytest.raises(RobotError, match="'elbow_joint' means joint 'elbow_joint', and so does"):
        joint_limits(robot(described()), ("elbow_joint",), given)


def test_the_words_of_ros2_control_and_moveit_are_read(read):
    given = read(
        """
controller_manager:
  ros__parameters:
    joint_limits:
      a:
        min_position: -2.0
        max_position: 2.0
        has_acceleration_limits: true
        max_acceleration: 7.0
        has_deceleration_limits: true
        max_deceleration: -5.0   # of this sign in one planner of MoveIt
        has_jerk_limits: true
        max_jerk: 1e2
        has_effort_limits: true
        max_effort: 20.0
        angle_wraparound: true
        has_soft_limits: true
        k_position: 10.0
        k_velocity: 10.0
        soft_lower_limit: -3.0
        soft_upper_limit: 1.5
"""
    )["a"]
    assert (given.min_position, given.max_position) == (-2, 1.5)
    assert (given.max_acceleration, given.max_jerk) == (5, 100)
    assert given.max_velocity == math.inf


def test_what_is_switched_off_does_not_count(read):
    off = ("velocity", "acceleration", "deceleration", "jerk")
    lines = [f"    has_{each}_limits: false\n    max_{each}: 0.0" for each in off]
    soft = "    has_soft_limits: false\n    soft_lower_limit: 0\n    soft_upper_limit: 1"
    position = "    has_position_limits: false\n    max_position: 0.1"
    given = read("\n".join(["joint_limits:", "  a:", *lines, soft, position]))["a"]
    limits = (given.max_velocity, given.max_acceleration, given.max_jerk, given.max_position)
    assert limits == (math.inf,) * 4
    assert given.min_position == -math.inf


REFUSED = {
    "a key twice": (
        "    max_position: 3\n    min_position: 0\n    max_position: 1",
        "line 5: joint_limits.a.max_position is given twice, first in line 3: remove",
    ),
    "a joint twice": (
        "    max_position: 3\n  a:\n    max_position: 1",
        "line 4: joint_limits.a is",
    ),
    "no flag": (
        "    min_position: 0\n    max_velocity: 3",
        "line 4: .*max_velocity 3.0 is given without has_velocity_limits: add has_velocity_limits",
    ),
    "no flag of a deceleration": ("    max_deceleration: 3", "without has_deceleration_limits"),
    "no flag of soft limits": (
        "    soft_lower_limit: 0\n    soft_upper_limit: 1",
        "without has_soft_limits",
    ),
    "a misspelt key": (
        "    has_velocity_limit: true",
        "line 3: joint_limits.a.has_velocity_limit: .*did you mean 'has_velocity_limits'",
    ),
    "infinite": (
        "    has_velocity_limits: true\n    max_velocity: .inf",
        "line 4: joint_limits.a.max_velocity: .*finite number, got inf",
    ),
    "infinite step": ("    max_step_from_measured: .inf", "line 3: .*finite number, got inf"),
    "nan": ("    min_position: .nan", "line 3: .*min_position: .*finite number, got nan"),
    "true for a number": ("    max_position: true", "line 3: .*should be a number, got True"),
    "no number of degrees": ("    max_position: !degrees ten", "line 3: !degrees needs a number"),
    "a call": ("    max_position: !degrees exit(0)", "line 3: !degrees needs a number"),
    "another tag": ("    max_position: !turns 1", "not YAML: .*!turns"),
    "crossed": ("    min_position: 2\n    max_position: 1", "line 3: .*2.0 must be below .* 1.0"),
    "soft limits crossed": (
        "    has_soft_limits: true\n    soft_lower_limit: 2\n    soft_upper_limit: 1",
        "line 4: .*soft_lower_limit 2.0 must be below soft_upper_limit 1.0",
    ),
    "soft limits beside the hard ones": (
        "    max_position: 1\n    has_soft_limits: true\n    soft_lower_limit: 2\n"
        "    soft_upper_limit: 3",
        r"line 2: a: \[-inf, 1\] .*and \[2, 3\] \(its soft limits\) have no range in common",
    ),
    "half of the soft limits": (
        "    has_soft_limits: true\n    soft_lower_limit: 2",
        "line 3: .*soft_upper_limit None: give both",
    ),
}


@pytest.mark.parametrize(("lines", "message"), REFUSED.values(), ids=REFUSED)
def test_a_file_that_contradicts_itself_is_refused_with_its_line(read, lines, message):
    with pytest.raises(JointLimitsFileError, match=message) as raised:
        read(f"joint_limits:\n  a:\n{lines}\n")
    assert raised.match("joint-limits file .*limits.yaml")


def test_a_file_without_joint_limits_is_refused_with_what_it_has(read):
    message = r"joint_limits: Field required; it has \['joint_limit', 'x'\]; did you mean 'joint_l"
    with pytest.raises(JointLimitsFileError, match=message):
        read("joint_limit: {}\nx: 1")


def test_ranges_of_description_and_file_that_do_not_meet_are_refused_with_both_lines(read):
    given = read("joint_limits:\n  elbow_joint:\n    min_position: 8\n    max_position: 9")
    message = (
        r"'elbow_joint': \[-7, 7\] \(robot_description, line 4\) and \[8, 9\] \(joint-limits file "
        r".*limits.yaml, line 2\) have no range in common"
    )
    with pytest.raises(RobotError, match=message):
        joint_limits(robot(described()), ("elbow_joint",), given)


def test_a_robot_file_with_a_key_twice_or_misspelt_is_refused_with_its_line(tmp_path):
    path = tmp_path / "robot.yaml"
    path.write_text("robot: r\nstreams: {}\nrobot: s\n")
    with pytest.raises(RobotError, match="robot.yaml: line 3: robot is given twice, first in"):
        load_robot(path)
    path.write_text("robot: r\nstreams: {}\njoint_limit: x\n")
    with pytest.raises(RobotError, match="line 3: joint_limit: .*did you mean 'joint_limits'"):
        load_robot(path)
