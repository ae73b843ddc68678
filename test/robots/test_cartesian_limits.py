"""Robot files whose action is a velocity, a twist or a pose, and the limits that they have."""

import numpy as np
import pytest

from ddpm_controller.robots.given_limits import GivenLimits
from ddpm_controller.robots.robot import RobotError, joint_limits, load_robot
from ddpm_controller.share import share_path
from ddpm_controller.simulation.arm.robot_description import robot_description
from ddpm_controller.types import ActionSpec

KINDS = "config/robots/kinds/sim_arm_{}.yaml"
URDF = robot_description()
FAST = GivenLimits(-0.5, 0.5, 1.0, place="limits.yaml, line 3")


def robot_of(kind):
    return load_robot(share_path(KINDS.format(kind)))


def refused(names, kinds, given, units=None):
    with pytest.raises(RobotError) as caught:
        joint_limits(URDF, names, given, kinds, units or ("m",) * len(names))
    return str(caught.value)


def test_velocities_of_joints_have_the_position_limits_of_the_joints_behind_them():
    limits, positions = robot_of("velocity").limits(URDF), robot_of("delta").limits(URDF)
    assert limits.velocities.chosen.all()
    assert np.array_equal(limits.velocities.lower, positions.lower)
    assert np.array_equal(limits.upper, positions.velocity)
    assert np.array_equal(limits.velocity, positions.acceleration)
    # The robot file knows no latency: a tenth of a second, and a period of the joint states.
    assert limits.velocities.late_s == pytest.approx(0.12)


def test_a_pose_is_governed_like_joints_and_a_twist_like_velocities():
    pose, twist = robot_of("pose").limits(URDF), robot_of("twist").limits(URDF)
    assert pose.velocities is None
    assert pose.upper[:3].tolist() == [0.75, 0.5, 0.6]
    assert pose.follow.tolist() == [0.02, 0.02, 0.02, 0.1, 0.1, 0.1, np.inf]
    assert twist.velocities.chosen.tolist() == [True] * 6 + [False]
    assert not np.isfinite(twist.velocities.lower[:6]).any()
    assert twist.upper[-1] == pose.upper[-1] == 0.05  # the gripper, from robot_description


def test_a_column_without_limits_is_refused_with_the_remedy():
    assert "give linear.x a max_velocity" in refused(("linear.x",), ("twist",), {})
    endless = {"x": GivenLimits(max_velocity=1.0, place="limits.yaml, line 3")}
    text = refused(("x",), ("pose",), endless)
    assert "limits.yaml, line 3: column 'x' of a pose has no range" in text


def test_a_rotation_vector_without_a_range_is_within_half_a_turn():
    given = {"rx": GivenLimits(max_velocity=1.0)}
    limits = joint_limits(URDF, ("rx",), given, ("pose",), ("rad",))
    assert limits.upper[0] == pytest.approx(np.pi)


def test_limits_of_columns_and_of_joints_may_stand_in_one_file():
    given = {"x": FAST, "elbow": GivenLimits(max_velocity=0.3)}
    limits = joint_limits(URDF, ("x", "elbow"), given, ("pose", "joint_position"), ("m", "rad"))
    assert limits.velocity.tolist() == [1.0, 0.3]


@pytest.mark.parametrize("kind", ["joint_effort", "torque", "wrench"])
def test_efforts_are_read_and_not_commanded(tmp_path, kind):
    text = share_path(KINDS.format("velocity"))
    with open(text, encoding="utf-8") as file:
        changed = file.read().replace("kind: joint_velocity", f"kind: {kind}")
    path = tmp_path / "robot.yaml"
    path.write_text(changed)
    with pytest.raises(RobotError, match="efforts are read, not commanded"):
        load_robot(path)


def test_an_end_effector_box_is_refused_where_the_end_effector_is_not_known(tmp_path):
    with open(share_path(KINDS.format("velocity")), encoding="utf-8") as file:
        text = file.read().replace(
            "../limits/sim_arm.yaml", share_path("config/robots/limits/sim_arm.yaml")
        )
    path = tmp_path / "robot.yaml"
    path.write_text(text + "end_effector_box: {lower: [-1, -1, 0], upper: [1, 1, 1]}\n")
    with pytest.raises(RobotError, match="end_effector_box is for positions of joints"):
        load_robot(path).limits(URDF)


def test_each_kind_is_measured_by_the_streams_of_its_robot_file():
    assert robot_of("pose").action_spec.measured_names == (
        "x",
        "y",
        "z",
        "rx",
        "ry",
        "rz",
        "gripper",
    )
    assert robot_of("twist").action_spec.measured_names == ("gripper",)
    spec: ActionSpec = robot_of("twist").action_spec
    assert spec.are_velocities.tolist() == [True] * 6 + [False]
