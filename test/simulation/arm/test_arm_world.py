import numpy as np
import pytest

from ddpm_controller.simulation.arm.arm import joint_range
from ddpm_controller.simulation.arm.reach_world import ReachWorld
from ddpm_controller.simulation.worlds import WORLDS

ARM_WORLDS = pytest.mark.parametrize("name", ["reach", "pick_place"])


def wave(world, ticks: int) -> np.ndarray:
    """Move all joints for a while and return the positions seen, (ticks, 7)."""
    start, seen = world.positions, []
    for tick in range(ticks):
        world.step(start + 0.02 * np.sin(0.2 * tick) * np.array([1, 1, 1, 1, 1, 1, 0.1]))
        seen.append(world.positions)
    return np.array(seen)


@ARM_WORLDS
def test_the_same_seed_gives_the_same_episode_bit_for_bit_also_after_another_one(name):
    fresh, used = WORLDS[name].world(), WORLDS[name].world()
    used.reset(8)
    wave(used, 20)
    for world in (fresh, used):
        world.reset(3)
    np.testing.assert_array_equal(wave(fresh, 30), wave(used, 30))
    for camera in fresh.cameras:
        np.testing.assert_array_equal(fresh.render(camera.name), used.render(camera.name))
    fresh.close()
    used.close()


@ARM_WORLDS
def test_another_seed_puts_arm_and_objects_somewhere_else(name):
    world = WORLDS[name].world()
    world.reset(1)
    positions, picture = world.positions, world.render("camera_fixed")
    world.reset(2)
    assert np.abs(world.positions - positions).max() > 1e-3
    assert (world.render("camera_fixed") != picture).any()
    world.close()


@ARM_WORLDS
def test_an_arm_that_is_told_nothing_new_stays_where_it_is(name):
    world = WORLDS[name].world()
    start = world.positions
    for _ in range(100):
        world.step(start)
        assert np.abs(world.positions - start).max() < 1e-3


def test_a_command_moves_no_faster_than_the_velocity_limit():
    world, limits = ReachWorld(), joint_range()
    before = world.command_in_force
    world.step(limits.upper)
    np.testing.assert_allclose(world.command_in_force, before + limits.velocity * world.tick_s)
    world.step(limits.lower)
    np.testing.assert_allclose(world.command_in_force, before)


def test_a_command_beyond_the_position_limit_stops_there():
    world, limits = ReachWorld(), joint_range()
    target = world.command_in_force
    target[-1] = 1.0
    for _ in range(100):
        world.step(target)
    assert world.command_in_force[-1] == limits.upper[-1]
    assert world.positions[-1] == pytest.approx(limits.upper[-1], abs=1e-3)


def test_the_arm_lags_behind_its_command_and_arrives():
    """A first-order lag of 30 ms and a critically damped servo: late, but without overshoot."""
    world = ReachWorld()
    target = world.command_in_force
    target[0] += 0.05  # one tick at the velocity limit
    seen = [world.positions[0]]
    for _ in range(50):
        world.step(target)
        seen.append(world.positions[0])
    share_left = (target[0] - np.array(seen)) / 0.05
    # Measured: 0.86 after two ticks; a servo without the lag leaves 0.66.
    assert share_left[2] > 0.75
    assert share_left[-1] == pytest.approx(0.0, abs=0.02)
    assert share_left.min() > -0.1


@pytest.mark.parametrize("wrong", [np.full(7, np.nan), np.zeros(6), np.full(7, np.inf)])
def test_a_command_that_is_not_seven_finite_numbers_is_refused_and_nothing_moves(wrong):
    world = ReachWorld()
    before = world.positions
    with pytest.raises(ValueError, match="7 finite positions"):
        world.step(wrong)
    np.testing.assert_array_equal(world.positions, before)
    assert world.time_s == 0.0


def test_a_push_moves_the_hand_and_is_over_after_its_time():
    world = ReachWorld()
    start, command = world.tip, world.command_in_force
    world.push(np.array([0.0, 40.0, 0.0]), 0.2)
    for _ in range(10):
        world.step(command)
    assert world.tip[1] - start[1] > 0.01
    for _ in range(40):
        world.step(command)
    assert np.linalg.norm(world.tip - start) < 0.002


def test_time_counts_ticks_from_reset():
    world = ReachWorld(tick_hz=25.0)
    command = world.command_in_force
    for _ in range(5):
        world.step(command)
    assert world.time_s == pytest.approx(0.2)
    world.reset(0)
    assert world.time_s == 0.0


def test_a_tick_that_the_physics_cannot_divide_is_refused():
    with pytest.raises(ValueError, match="tick_hz 60"):
        ReachWorld(tick_hz=60.0)


def test_worlds_that_share_a_scene_do_not_share_a_state():
    first = ReachWorld()
    second = ReachWorld(scene=first.scene)
    first.reset(1)
    second.reset(2)
    picture = first.render("camera_fixed")
    assert (second.render("camera_fixed") != picture).any()
    second.close()  # not the owner: the first one still sees
    np.testing.assert_array_equal(first.render("camera_fixed"), picture)
    first.close()
