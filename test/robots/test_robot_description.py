"""What of a robot description counts, as robots publish it, and what is refused with its line."""

import numpy as np
import pytest

from ddpm_controller.control.moving.forward_kinematics import LinkChain
from ddpm_controller.robots.given_limits import GivenLimits
from ddpm_controller.robots.robot import RobotError, joint_limits

LIMIT = '<limit lower="-3.1" upper="3.1" effort="80" velocity="2"/>'


def joint(inside=LIMIT, name="turn", kind="revolute", links=("a", "b")):
    """A joint in one line of the text."""
    parent, child = links
    return (
        f'<joint name="{name}" type="{kind}"><parent link="{parent}"/><child link="{child}"/>'
        f'<axis xyz="0 0 1"/>{inside}</joint>'
    )


def robot(*lines, root='<robot name="arm">'):
    """A description whose first joint is in line 4."""
    links = '<link name="a"/><link name="b"/><link name="c"/>'
    return "\n".join(['<?xml version="1.0"?>', root, links, *lines, "</robot>"])


def ranges(urdf, *names, **given):
    limits = joint_limits(urdf, names or ("turn",), given)
    return [*limits.lower, *limits.upper, *limits.velocity]


def test_only_the_children_of_robot_are_joints():
    others = (
        '<ros2_control name="system" type="system"><hardware/><joint name="turn">'
        '<command_interface name="position"><param name="max">1</param></command_interface>'
        '</joint><joint name="gpio" type="fixed"/></ros2_control>',
        '<transmission name="t"><type>x</type><joint name="turn"><hardwareInterface/></joint>'
        '<actuator name="m"/></transmission>',
        '<gazebo><plugin name="p"><joint name="turn" type="prismatic">${left}</joint></plugin>'
        '</gazebo><gazebo reference="turn"><limit lower="9"/></gazebo>',
    )
    for urdf in (robot(joint(), *others), robot(*others, joint())):
        assert ranges(urdf) == [-3.1, 3.1, 2]
        with pytest.raises(RobotError, match=r"no joint \['gpio'\]: it has \['turn'\]"):
            ranges(urdf, "gpio")


SOFT = '<safety_controller soft_lower_limit="{}" soft_upper_limit="{}" k_velocity="1"/>'
COUNTS = {
    "soft limits that are stricter": (joint(LIMIT + SOFT.format(-1, 1)), [-1, 1, 2]),
    "soft limits that are wider": (joint(LIMIT + SOFT.format(-5, 1)), [-3.1, 1, 2]),
    "soft limits of zero, as exporters write none": (
        joint(LIMIT + SOFT.format(0, 0)),
        [-3.1, 3.1, 2],
    ),
    "a safety controller without soft limits": (
        joint(LIMIT + '<safety_controller k_velocity="30"/>'),
        [-3.1, 3.1, 2],
    ),
    "a soft limit that is left out is 0": (
        joint(LIMIT + '<safety_controller soft_upper_limit="1" k_velocity="30"/>'),
        [0, 1, 2],
    ),
    "a lower limit that is left out is 0": (
        joint('<limit upper="0.8" velocity="1" effort="1"/>', kind="prismatic"),
        [0, 0.8, 1],
    ),
    "continuous": (joint('<limit effort="1" velocity="2"/>', kind="continuous"), "free"),
    "continuous with a range, which does not count": (joint(kind="continuous"), "free"),
    "mimic, but another joint is commanded": (
        robot(joint(), joint('<mimic joint="turn"/>', "other", links=("b", "c"))),
        [-3.1, 3.1, 2],
    ),
    "white space before the first line": ("\n \n" + robot(joint()), [-3.1, 3.1, 2]),
    "the name space of xacro": (
        robot(joint(), root='<robot xmlns:xacro="http://www.ros.org/wiki/xacro" name="r">'),
        [-3.1, 3.1, 2],
    ),
    "a joint that cannot be used but is not commanded": (
        robot(joint(), joint("<limit/>", "other", links=("b", "c"))),
        [-3.1, 3.1, 2],
    ),
}


@pytest.mark.parametrize(("text", "expected"), COUNTS.values(), ids=COUNTS)
def test_what_counts_of_a_description(text, expected):
    urdf = text if "<robot" in text else robot(text)
    assert ranges(urdf) == ([-np.inf, np.inf, 2] if expected == "free" else expected)


def test_acceleration_deceleration_and_jerk_of_urdf_1_2_count_where_they_are_stricter():
    rates = 'acceleration="8" deceleration="5" jerk="70"'
    urdf = robot(joint(f'<limit lower="-1" upper="1" velocity="2" effort="1" {rates}/>'))
    limits = joint_limits(urdf, ("turn",))
    assert (limits.acceleration, limits.jerk) == (5, 70)
    file = {"turn": GivenLimits(max_acceleration=6, max_jerk=60)}
    limits = joint_limits(urdf, ("turn",), file)
    assert (limits.acceleration, limits.jerk) == (5, 60)
    limits = joint_limits(urdf, ("turn",), {"turn": GivenLimits(max_acceleration=4)})
    assert (limits.acceleration, limits.jerk) == (4, 70)


@pytest.mark.parametrize("kind", ["continuous", "revolute"])
def test_a_velocity_that_the_description_lacks_comes_from_the_file(kind):
    inside = "" if kind == "continuous" else '<limit lower="-1" upper="1"/>'
    urdf, given = robot(joint(inside, kind=kind)), GivenLimits(max_velocity=1.5)
    assert joint_limits(urdf, ("turn",), {"turn": given}).velocity == 1.5
    remedy = "line 4: .*no velocity .*max_velocity with has_velocity_limits: true in the joint-lim"
    with pytest.raises(RobotError, match=remedy):
        ranges(urdf)


def test_a_range_that_the_description_lacks_comes_from_the_file():
    urdf = robot(joint('<limit velocity="2"/>'))
    assert ranges(urdf, turn=GivenLimits(-1, 1)) == [-1, 1, 2]
    with pytest.raises(RobotError, match="line 4: .*no lower and upper .*or min_position and max"):
        ranges(urdf, turn=GivenLimits(max_position=1))


REFUSED = {
    "fixed": (joint(kind="fixed"), "line 4: joint 'turn' is fixed .*remove it from the names"),
    "floating": (joint(kind="floating"), "line 4: joint 'turn' is floating"),
    "planar": (joint(kind="planar"), "line 4: joint 'turn' is planar"),
    "no type": (joint(kind=""), "line 4: joint 'turn' is of type '', URDF has"),
    "a misspelt type": (joint(kind="revolut"), "of type 'revolut', .*did you mean 'revolute'"),
    "mimic": (
        joint(LIMIT + '<mimic joint="other" multiplier="-1"/>'),
        "line 4: joint 'turn' is a mimic joint .*follows 'other': command 'other' in its place",
    ),
    "twice": (
        robot(joint(), joint(kind="prismatic")),
        "line 5: joint 'turn' is given twice, first in robot_description, line 4",
    ),
    "lower above upper": (
        joint('<limit lower="1" upper="-1" velocity="1"/>'),
        "line 4: joint 'turn': lower 1 must be below upper -1",
    ),
    "no room": (joint('<limit lower="0" upper="0" velocity="1"/>'), "lower 0 must be below upper"),
    "negative velocity": (
        joint('<limit lower="-1" upper="1" velocity="-2"/>'),
        "line 4: joint 'turn' has the velocity limit -2, which must be above 0",
    ),
    "no acceleration": (
        joint('<limit lower="-1" upper="1" velocity="2" acceleration="0"/>'),
        "line 4: joint 'turn' has the acceleration limit 0",
    ),
    "nan": (joint('<limit lower="nan" upper="1" velocity="2"/>'), "line 4: .*lower, got 'nan'"),
    "inf": (joint('<limit lower="-1" upper="1" velocity="inf"/>'), "velocity, got 'inf'"),
    "a comma": (joint('<limit lower="-1" upper="1,5" velocity="2"/>'), "upper, got '1,5'"),
    "two limits": (joint(LIMIT + LIMIT), "line 4: joint 'turn' has 2 <limit>"),
    "soft limits beside the hard ones": (
        joint(LIMIT + SOFT.format(4, 5)),
        r"line 4: joint 'turn': \[-3.1, 3.1\] .*and \[4, 5\] \(its <safety_controller>\) have no",
    ),
    "soft limits crossed": (
        joint(LIMIT + SOFT.format(1, -1)),
        "line 4: joint 'turn': soft_lower_limit 1 must be below soft_upper_limit -1",
    ),
    "an attribute twice": (
        joint('<limit lower="-1" upper="1" velocity="2" velocity="3"/>'),
        "line 4, column .*duplicate attribute",
    ),
    "cut": (robot(joint())[:-12], "not XML: line 4, column .*"),
    "empty": (" \n", "not XML: line 2, .*no element found"),
    "a tag of xacro": (
        robot(joint(), '<xacro:property name="pi" value="3"/>'),
        "line 5: xacro is left in it .<xacro:property>",
    ),
    "an expression of xacro": (
        robot(joint(), joint('<limit lower="${-pi}" velocity="1"/>', "other")),
        r"line 5: xacro is left in it \(lower=\"\$\{-pi\}\"\)",
    ),
    "an argument of xacro": (robot(joint(name="$(arg p)turn"), joint()), "line 4: xacro is left"),
    "not a robot": ("<sdf><robot/></sdf>", "begins with <sdf>, a URDF with <robot>"),
    "a misspelt name": (
        robot(joint(name="turm")),
        r"no joint \['turn'\]: it has \['turm'\], the robot file \['turn'\]; did you mean 'turm'",
    ),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED)
def test_a_description_that_cannot_be_used_is_refused_with_line_and_value(text, message):
    urdf = robot(text) if text.startswith("<joint") else text
    with pytest.raises(RobotError, match=message):
        ranges(urdf)


def test_lines_are_counted_from_the_first_one_of_the_message():
    with pytest.raises(RobotError, match="robot_description, line 6: joint 'turn' is fixed"):
        ranges("\n\n" + robot(joint(kind="fixed")))
    with pytest.raises(RobotError, match="line 7, column .*mismatched tag"):
        ranges("\n\n" + robot(joint(), "</joint>"))


def test_the_end_effector_is_found_beside_joints_of_other_types_and_behind_white_space():
    beside = joint(name="wheel", kind="planar", links=("a", "c"))
    chain = LinkChain("\n" + robot(joint(), beside), ("turn",), "b")
    assert chain.base == "a"
    with pytest.raises(ValueError, match=r"must be of .* got \['wheel \(planar\)'\]"):
        LinkChain(robot(joint(), beside), ("turn",), "c")
