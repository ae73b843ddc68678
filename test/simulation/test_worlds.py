import mujoco
import numpy as np
import pytest

from ddpm_controller.simulation.arm.arm_world import SUCCESS_HOLD_S
from ddpm_controller.simulation.arm.pick_place_world import (
    CUBE_AREA,
    CUBE_HALF,
    CUBE_YAW,
    PAD_AREA,
    PAD_HALF,
    SEPARATION,
    PickPlaceWorld,
)
from ddpm_controller.simulation.arm.reach_world import BALL_AREA, ReachWorld


def hold(world, seconds: float) -> None:
    command = world.command_in_force
    for _ in range(round(seconds / world.tick_s)):
        world.step(command)


def test_touching_the_ball_is_success_only_when_held():
    world = ReachWorld()
    world._state.mocap_pos[0] = world.tip + np.array([0.024, 0.0, 0.0])
    hold(world, SUCCESS_HOLD_S - 2 * world.tick_s)
    assert not world.success
    hold(world, 3 * world.tick_s)
    assert world.success
    world._state.mocap_pos[0] = world.tip + np.array([0.026, 0.0, 0.0])
    hold(world, world.tick_s)
    assert not world.success


@pytest.mark.parametrize("seed", range(20))
def test_objects_start_in_their_areas_and_apart(seed):
    reach, pick_place = ReachWorld(), PickPlaceWorld()
    reach.reset(seed)
    pick_place.reset(seed)
    places = [
        (reach.ball, BALL_AREA), (pick_place.cube, CUBE_AREA), (pick_place.pad, PAD_AREA)
    ]  # fmt: skip
    for place, area in places:
        assert (place[:2] >= np.transpose(area)[0]).all()
        assert (place[:2] <= np.transpose(area)[1]).all()
    assert np.linalg.norm((pick_place.cube - pick_place.pad)[:2]) >= SEPARATION
    assert abs(pick_place.cube_yaw) <= CUBE_YAW
    assert not pick_place.success


def cube_at(offset: tuple[float, float], height: float = CUBE_HALF) -> PickPlaceWorld:
    """A world whose cube lies beside the pad's centre by ``offset``, far from the hand."""
    world = PickPlaceWorld()
    world._state.mocap_pos[0, :2] = (0.45, 0.15)
    world._state.joint("cube").qpos[:3] = [0.45 + offset[0], 0.15 + offset[1], height]
    mujoco.mj_forward(world.scene.model, world._state)
    return world


@pytest.mark.parametrize(
    ("offset", "success"),
    [((0.0, 0.0), True), ((PAD_HALF - 0.004, 0.0), True), ((0.0, PAD_HALF + 0.004), False)],
)
def test_a_resting_cube_counts_when_its_centre_is_on_the_pad(offset, success):
    world = cube_at(offset)
    hold(world, SUCCESS_HOLD_S + 0.1)
    assert world.success is success


def test_a_falling_cube_counts_only_when_it_has_come_to_rest():
    world = cube_at((0.0, 0.0), height=0.3)
    hold(world, SUCCESS_HOLD_S)
    assert not world.success
    hold(world, 1.0)
    assert world.success


def test_a_cube_above_the_pad_is_not_on_it():
    """Without gravity it can be at rest there."""
    world = cube_at((0.0, 0.0), height=0.1)
    world.scene.model.opt.gravity[:] = 0.0
    hold(world, SUCCESS_HOLD_S + 0.1)
    assert not world.success


def test_a_cube_held_on_the_pad_is_not_there_yet():
    world = PickPlaceWorld()
    joints = world.kinematics.joints_for(np.array([0.4, 0.0, CUBE_HALF]), 0.0, world.positions[:6])
    for opening, success in ((0.012, False), (0.045, True)):
        world.reset(0)
        world._state.mocap_pos[0, :2] = (0.4, 0.0)
        world._state.joint("cube").qpos[:3] = [0.4, 0.0, CUBE_HALF]
        world._state.joint("cube").qpos[3:] = [1, 0, 0, 0]
        for name, value in (("gripper", 0.03), ("gripper_mirror", 0.03)):
            world._state.joint(name).qpos[:] = value
        world._state.qpos[world._position_index[:6]] = joints
        world._state.act[:] = world._command = np.append(joints, 0.03)
        mujoco.mj_forward(world.scene.model, world._state)
        for _ in range(40):
            world.step(np.append(joints, opening))
        assert world.success is success


def test_a_moved_object_stays_in_its_area():
    world = PickPlaceWorld()
    world.move_cube(np.array([5.0, -5.0]))
    np.testing.assert_allclose(world.cube[:2], [CUBE_AREA[0][1], CUBE_AREA[1][0]])


def test_reaching_costs_the_distance_of_the_tip_from_the_ball():
    world = ReachWorld()
    world._state.mocap_pos[0] = world.tip + np.array([0.03, 0.04, 0.0])
    assert world.terminal_cost() == pytest.approx(0.05)
    assert world.running_cost() == pytest.approx(0.05)


def test_picking_and_placing_costs_the_ways_of_the_cube_and_to_the_cube():
    world = cube_at((0.08, 0.06))
    assert world.terminal_cost() == pytest.approx(0.1)
    to_cube = np.linalg.norm(world.tip - world.cube)
    assert world.running_cost() == pytest.approx(0.1 + to_cube)


def test_a_cube_in_the_middle_of_the_pad_costs_nothing_once_it_is_let_go():
    world = cube_at((0.0, 0.0))
    assert world.terminal_cost() == pytest.approx(0.0)
    assert world.running_cost() == pytest.approx(0.0), "also far from the hand"
    world._state.joint("cube").qpos[:3] = world.tip - [0.0, 0.0, 0.01]
    world._state.mocap_pos[0] = world._state.joint("cube").qpos[:3] - [0.0, 0.0, CUBE_HALF]
    for finger in ("gripper", "gripper_mirror"):
        world._state.joint(finger).qpos[:] = 0.02
    mujoco.mj_forward(world.scene.model, world._state)
    assert world.terminal_cost() == pytest.approx(0.01), "the fingers have to open by 1 cm"
