import numpy as np
import pytest

from ddpm_controller.simulation.arm.pick_place_world import CUBE_AREA
from ddpm_controller.simulation.arm.reach_world import BALL_AREA, ReachWorld

START = np.array([0.0, 0.15, 0.1, -0.25, 0.0, 0.0])


@pytest.fixture(scope="module")
def kinematics():
    return ReachWorld().kinematics


@pytest.mark.parametrize("height", [0.015, 0.16])
@pytest.mark.parametrize("area", [CUBE_AREA, BALL_AREA])
def test_every_corner_of_the_table_is_reached_with_the_hand_straight_down(
    kinematics, area, height
):
    for x in area[0]:
        for y in area[1]:
            for yaw in (-0.6, 0.6):
                joints = kinematics.joints_for(np.array([x, y, height]), yaw, START, 100)
                position, rotation = kinematics.tip(joints)
                # A tenth of a millimetre: far below what the servos hold.
                np.testing.assert_allclose(position, [x, y, height], atol=1e-4)
                np.testing.assert_allclose(rotation[:, 2], [0, 0, 1], atol=1e-3)
                assert np.arctan2(rotation[1, 0], rotation[0, 0]) == pytest.approx(yaw, abs=1e-3)


def test_following_a_path_tick_by_tick_stays_on_it(kinematics):
    """Three warm-started steps per tick, as an expert does, at 0.5 m/s."""
    joints = kinematics.joints_for(np.array([0.30, -0.15, 0.2]), 0.0, START)
    for y in np.arange(-0.15, 0.15, 0.01):
        before = joints
        joints = kinematics.joints_for(np.array([0.30, y, 0.2]), 0.0, joints, 3)
        position, _ = kinematics.tip(joints)
        assert np.abs(position - [0.30, y, 0.2]).max() < 5e-4
        assert np.abs(joints - before).max() < 0.06  # no jump to another solution


def test_a_place_out_of_reach_gives_joints_within_their_limits(kinematics):
    joints = kinematics.joints_for(np.array([2.0, 0.0, 0.2]), 0.0, START)
    position, _ = kinematics.tip(joints)
    assert np.isfinite(joints).all()
    assert position[0] < 0.75
