"""Every type of command, live and from a bag, becomes the columns of its output."""

import numpy as np
import pytest
from geometry_msgs.msg import Point, Pose, PoseStamped, Quaternion, Twist, TwistStamped, Vector3
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64, Float64MultiArray
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from ddpm_controller.bags.command_messages import command_from
from ddpm_controller.bags.conversions import ConversionError
from ddpm_controller.robots.outputs import POSE_NAMES, RobotOutput

NAMES = ("shoulder", "elbow")
TURNED = PoseStamped(
    pose=Pose(
        position=Point(x=1.0, y=2.0, z=3.0),
        orientation=Quaternion(z=np.sqrt(0.5), w=np.sqrt(0.5)),
    )
)
TURNED.header.frame_id = "base_link"
PUSHED = Twist(linear=Vector3(x=0.1, z=0.3), angular=Vector3(z=-0.5))


def output(kind, names=NAMES, action_kind="joint_position", **more):
    units = ("rad",) * len(names)
    return RobotOutput("action", "topic", kind, names, units, action_kind, **more)


COMMANDS = {
    "a trajectory, its first point by name": (
        output("trajectory_msgs/msg/JointTrajectory"),
        JointTrajectory(
            joint_names=["elbow", "shoulder"], points=[JointTrajectoryPoint(positions=[2.0, 1.0])]
        ),
        [1.0, 2.0],
    ),
    "a trajectory of one of two arms": (
        output("trajectory_msgs/msg/JointTrajectory", ("left/a", "left/b"), prefix="left/"),
        JointTrajectory(joint_names=["b", "a"], points=[JointTrajectoryPoint(positions=[2, 1])]),
        [1.0, 2.0],
    ),
    "an array, in order": (
        output("std_msgs/msg/Float64MultiArray"),
        Float64MultiArray(data=[1.0, 2.0]),
        [1.0, 2.0],
    ),
    "one number": (output("std_msgs/msg/Float64", NAMES[:1]), Float64(data=0.3), [0.3]),
    "a joint state, positions by name": (
        output("sensor_msgs/msg/JointState"),
        JointState(name=["elbow", "other", "shoulder"], position=[2.0, 5.0, 1.0]),
        [1.0, 2.0],
    ),
    "a joint state, velocities": (
        output("sensor_msgs/msg/JointState", NAMES, "joint_velocity"),
        JointState(name=["elbow", "shoulder"], velocity=[2.0, 1.0]),
        [1.0, 2.0],
    ),
    "a twist": (
        output("geometry_msgs/msg/Twist", ("angular.z", "linear.x", "linear.z"), "twist"),
        PUSHED,
        [-0.5, 0.1, 0.3],
    ),
    "a stamped twist of one of two arms": (
        output(
            "geometry_msgs/msg/TwistStamped",
            ("left/linear.x", "left/linear.z", "left/angular.z"),
            "twist",
        ),
        TwistStamped(twist=PUSHED),
        [0.1, 0.3, -0.5],
    ),
    "a pose": (
        output("geometry_msgs/msg/PoseStamped", POSE_NAMES, "pose", frame_id="base_link"),
        TURNED,
        [1.0, 2.0, 3.0, 0.0, 0.0, np.pi / 2],
    ),
    "a pose about another orientation": (
        output(
            "geometry_msgs/msg/PoseStamped", POSE_NAMES, "pose", reference=(0.0, 0.0, 1.0, 0.0)
        ),
        TURNED,
        [1.0, 2.0, 3.0, 0.0, 0.0, -np.pi / 2],
    ),
    "a gripper by action, mirrored": (
        output("control_msgs/action/GripperCommand", ("grip",)),
        JointState(name=["grip"], position=[0.4]),
        [0.4],
    ),
    "a measured joint in place of a command": (
        output(
            "control_msgs/action/GripperCommand",
            ("grip",),
            recorded_topic="joint_states",
            recorded_type="sensor_msgs/msg/JointState",
        ),
        JointState(name=["shoulder", "grip"], position=[0.1, 0.4]),
        [0.4],
    ),
}


@pytest.mark.parametrize(("wanted", "message", "row"), COMMANDS.values(), ids=COMMANDS)
def test_a_command_becomes_the_columns_of_its_output(wanted, message, row):
    np.testing.assert_allclose(command_from(message, wanted, wanted.in_bags[1]), row, atol=1e-12)


def test_joint_states_of_another_part_of_the_robot_are_no_command():
    wanted = output("sensor_msgs/msg/JointState")
    assert command_from(JointState(name=["wheel"], position=[1.0]), wanted, wanted.type) is None


REFUSED = {
    "a trajectory without points": (
        output("trajectory_msgs/msg/JointTrajectory"),
        JointTrajectory(joint_names=list(NAMES)),
        "no points",
    ),
    "an array of another size": (
        output("std_msgs/msg/Float64MultiArray"),
        Float64MultiArray(data=[1.0]),
        "1 numbers, the robot file has 2 joints",
    ),
    "half of the joints": (
        output("sensor_msgs/msg/JointState"),
        JointState(name=["elbow"], position=[1.0]),
        "shoulder",
    ),
    "a twist in an axis that is not learned": (
        output("geometry_msgs/msg/Twist", ("linear.x",), "twist"),
        PUSHED,
        r"linear.z.*0.3.*angular.z",
    ),
    "another frame": (
        output("geometry_msgs/msg/PoseStamped", POSE_NAMES, "pose", frame_id="tool0"),
        TURNED,
        "in frame 'base_link', the robot file has 'tool0'",
    ),
    "no orientation": (
        output("geometry_msgs/msg/PoseStamped", POSE_NAMES, "pose"),
        PoseStamped(pose=Pose(orientation=Quaternion(w=0.0))),
        "length 1",
    ),
}


@pytest.mark.parametrize(("wanted", "message", "text"), REFUSED.values(), ids=REFUSED)
def test_a_command_that_does_not_fit_is_refused(wanted, message, text):
    with pytest.raises(ConversionError, match=text):
        command_from(message, wanted, wanted.in_bags[1])
