"""The controllers of the simulated arm for velocities, twists and poses."""

import numpy as np
import pytest

from ddpm_controller.simulation.arm.action_driver import (
    HAND,
    POSE_NAMES,
    TWIST_NAMES,
    ActionDriver,
)
from ddpm_controller.simulation.arm.arm import JOINT_NAMES
from ddpm_controller.simulation.arm.kinematics import rotation_of, rotation_vector
from ddpm_controller.simulation.arm.reach_world import ReachWorld
from ddpm_controller.simulation.worlds import make_driver, make_expert
from ddpm_controller.types import ActionSpec


def spec_of(kind, names):
    others = ("gripper",) if "gripper" not in names else ()
    kinds = (kind,) * len(names) + ("joint_position",) * len(others)
    names = (*names, *others)
    return ActionSpec(names, ("1",) * len(names), 0.1, kinds)


SPECS = {
    "joint_velocity": spec_of("joint_velocity", JOINT_NAMES),
    "twist": spec_of("twist", TWIST_NAMES),
    "pose": spec_of("pose", POSE_NAMES),
}


@pytest.fixture(scope="module")
def world():
    made = ReachWorld(50.0)
    yield made
    made.close()


@pytest.mark.parametrize("vector", [(0.0, 0.0, 0.0), (0.3, -0.2, 1.1), (0.0, 0.0, 3.0)])
def test_a_rotation_vector_is_the_rotation_that_it_was_made_of(vector):
    assert rotation_vector(rotation_of(np.array(vector))) == pytest.approx(vector)


@pytest.mark.parametrize("kind", SPECS)
def test_what_an_expert_commands_leads_to_its_set_points_in_each_kind(world, kind):
    world.reset(4)
    driver = ActionDriver(world, SPECS[kind])
    expert = make_expert(world, 4)
    furthest = 0.0
    for _ in range(60):
        target = expert.command()
        found = driver.target(driver.row_for(target))
        furthest = max(furthest, float(np.abs(found - target).max()))
        world.step(found)
    # A twist moves the joints by a Jacobian, off by the square of a step; damped besides.
    assert furthest < {"joint_velocity": 1e-9, "pose": 2e-3, "twist": 5e-3}[kind]


@pytest.mark.parametrize("kind", SPECS)
def test_an_expert_reaches_the_ball_through_each_driver(world, kind):
    world.reset(7)
    driver = ActionDriver(world, SPECS[kind])
    expert = make_expert(world, 7)
    for _ in range(300):
        if expert.done:
            break
        world.step(driver.target(driver.row_for(expert.command())))
    assert world.success


@pytest.mark.parametrize("kind", ["joint_velocity", "twist"])
def test_a_velocity_of_zero_keeps_the_arm_where_it_is(world, kind):
    world.reset(1)
    driver = ActionDriver(world, SPECS[kind])
    row = driver.row_for(world.command_in_force)
    velocities = SPECS[kind].are_velocities
    assert (row[velocities] == 0.0).all()
    assert driver.target(row) == pytest.approx(world.command_in_force)


def test_the_hand_is_measured_where_its_pose_would_be_commanded(world):
    world.reset(2)
    driver = ActionDriver(world, SPECS["pose"])
    measured = driver.vectors[HAND]
    assert measured.names == POSE_NAMES
    assert measured.values[:3] == pytest.approx(world.tip)
    assert measured.values[5] == pytest.approx(world.yaw, abs=1e-3)
    row = driver.row_for(world.positions)
    assert row[:6] == pytest.approx(measured.values)


def test_set_points_stay_inside_the_range_of_the_joints(world):
    world.reset(1)
    driver = ActionDriver(world, SPECS["joint_velocity"])
    for _ in range(100):
        world.step(driver.target(np.full(7, 100.0)))
    assert (world.command_in_force <= [2.2, 1.9, 2.0, 2.2, 1.2, 2.8, 0.05]).all()


def test_a_column_that_the_arm_does_not_have_is_refused(world):
    with pytest.raises(ValueError, match=r"no joint_velocity of \['knee'\]"):
        ActionDriver(world, ActionSpec(("knee",), ("rad/s",), 0.1, ("joint_velocity",)))


def test_positions_of_joints_need_no_driver_of_their_own(world):
    world.reset(1)
    driver = make_driver(world, ActionSpec(("elbow", "gripper"), ("rad", "m"), 0.1))
    target = driver.target(np.array([0.3, 0.02]))
    assert target[JOINT_NAMES.index("elbow")] == 0.3
    assert target[JOINT_NAMES.index("shoulder_pan")] == world.command_in_force[0]
    assert driver.row_for(target).tolist() == [0.3, 0.02]
