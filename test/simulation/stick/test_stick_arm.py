import mujoco
import numpy as np
import pytest

from ddpm_controller.control.moving.forward_kinematics import LinkChain
from ddpm_controller.simulation.joints import JointRange
from ddpm_controller.simulation.stick.drum_world import DrumWorld
from ddpm_controller.simulation.stick.stick_arm import (
    FORE_M,
    PUBLISHED_STICK_NAMES,
    SHOULDER_M,
    STICK_JOINTS,
    STICK_NAMES,
    UPPER_M,
    joints_for,
    place_of,
)
from ddpm_controller.simulation.stick.stick_description import STICK_CAMERAS, stick_description

EXACT = {"rtol": 0.0, "atol": 1e-9}  # rounding only


def joints_in_range(count: int) -> np.ndarray:
    limits = JointRange.of(STICK_JOINTS)
    return np.random.default_rng(0).uniform(limits.lower, limits.upper, (count, 3))


def test_mujoco_the_urdf_and_the_formula_put_the_ball_at_the_same_place():
    model = DrumWorld().scene.model
    state = mujoco.MjData(model)
    rows = joints_in_range(20)
    chain = LinkChain(stick_description(), STICK_NAMES, "tip")
    for row, pose in zip(rows, chain.poses(rows), strict=True):
        state.qpos[:3] = row
        mujoco.mj_kinematics(model, state)
        tip = state.site("tip").xpos
        angle, radius, height = place_of(row)
        np.testing.assert_allclose(pose[:3, 3], tip, **EXACT)
        np.testing.assert_allclose(
            [radius * np.cos(angle), radius * np.sin(angle), height], tip, **EXACT
        )


def test_the_ball_at_zero_is_where_the_drawing_says():
    np.testing.assert_allclose(place_of(np.zeros(3)), [0.0, FORE_M, SHOULDER_M + UPPER_M], **EXACT)


@pytest.mark.parametrize("radius", [0.32, 0.42, 0.52])
@pytest.mark.parametrize("height", [0.04, 0.12, 0.2])
def test_joints_for_a_place_put_the_ball_there_within_the_limits(radius, height):
    limits = JointRange.of(STICK_JOINTS)
    joints = joints_for(np.array([0.4, radius, height]))
    np.testing.assert_allclose(place_of(joints), [0.4, radius, height], **EXACT)
    assert (joints > limits.lower + 0.1).all()
    assert (joints < limits.upper - 0.1).all()


def test_out_of_reach_the_arm_is_stretched_towards_the_place():
    place = place_of(joints_for(np.array([0.0, 2.0, SHOULDER_M])))
    np.testing.assert_allclose(place, [0.0, UPPER_M + FORE_M, SHOULDER_M], **EXACT)


def test_the_driver_reports_the_same_joints_in_another_order():
    assert sorted(PUBLISHED_STICK_NAMES) == sorted(STICK_NAMES)
    assert all(a != b for a, b in zip(PUBLISHED_STICK_NAMES, STICK_NAMES, strict=True))


def test_the_description_has_the_limits_and_the_cameras():
    text = stick_description()
    for joint in STICK_JOINTS:
        assert f'lower="{joint.lower}" upper="{joint.upper}" velocity="{joint.velocity}"' in text
    for camera in STICK_CAMERAS:
        assert f"{camera.name}_optical_frame" in text
