import numpy as np
import pytest

from ddpm_controller.simulation.fork_world import (
    CENTRE_X_M,
    DETOUR_M,
    GOAL_X_M,
    RADIUS_M,
    ForkWorld,
    demonstrated,
    detour,
)
from ddpm_controller.simulation.world import ForkedWorld

PERIOD_S = 0.02


def follow(world, side, ticks=260):
    """Command a demonstration of one side from the start, tick by tick; return the path."""
    state = world.positions[None]
    path = demonstrated(state, np.array([float(side)]), PERIOD_S * np.arange(1, ticks))[0]
    seen = []
    for row in path:
        world.step(row)
        seen.append(world.positions)
        if world.success:
            break
    return np.array(seen)


@pytest.mark.parametrize("side", [-1, 1])
def test_both_sides_reach_the_goal(side):
    world = ForkWorld()
    world.reset(3)
    seen = follow(world, side)
    assert world.success
    beside = np.abs(seen[:, 0] - CENTRE_X_M).argmin()
    assert seen[beside, 1] == pytest.approx(side * DETOUR_M, abs=0.01)  # the lag, 0.03 s


def test_straight_ahead_touches_the_obstacle_and_fails_for_good():
    world = ForkWorld()
    world.reset(3)
    follow(world, 0)
    assert world.positions[0] > 0.97
    assert abs(world.positions[1]) < 0.08
    assert not world.success


def test_demonstrations_go_on_from_where_they_are_and_differ_by_their_side():
    states = np.array([[0.1, 0.02], [0.5, -0.15]])
    times_s = 0.1 * np.arange(16)
    left, right = (demonstrated(states, np.full(2, side), times_s) for side in (-1.0, 1.0))
    np.testing.assert_allclose(left[:, 0], states)
    np.testing.assert_allclose(right[:, 0], states)
    assert right[0, -1, 1] > 0.15
    assert left[0, -1, 1] < -0.15
    clear = np.hypot(left[1, :, 0] - CENTRE_X_M, left[1, :, 1])
    assert (clear > RADIUS_M).all()


def test_the_same_seed_and_commands_give_the_same_states():
    one, other = ForkWorld(push=True), ForkWorld(push=True).another()
    one.reset(5)
    other.reset(5)
    np.testing.assert_array_equal(follow(one, 1), follow(other, 1))
    assert one.pushed == other.pushed is not None
    other.reset(6)
    assert other.pushed is None
    assert not np.array_equal(other.positions, one.positions)


@pytest.mark.parametrize("side", [-1, 1])
def test_a_push_leaves_only_the_other_side_open(side):
    world = ForkWorld(push=True)
    world.reset(3)
    follow(world, side)
    assert world.pushed is not None
    assert world.pushed[1] == -side
    assert not world.success  # who goes on as before touches the obstacle


def test_a_chunk_tells_its_side_where_it_passes_the_obstacle():
    world = ForkWorld()
    assert isinstance(world, ForkedWorld)
    times_s = 0.1 * np.arange(14)
    for side in (-1.0, 1.0):
        (chunk,) = demonstrated(np.array([[0.2, 0.0]]), np.array([side]), times_s)
        assert world.mode_of(chunk) == side
        (early,) = demonstrated(np.array([[-0.2, 0.0]]), np.array([side]), times_s)
        assert world.mode_of(early) == 0
        (behind,) = demonstrated(np.array([[0.7, 0.0]]), np.array([side]), times_s)
        assert world.mode_of(behind) == 0
    assert detour(np.array([0.0, CENTRE_X_M, 1.0])).tolist() == [0.0, 1.0, 0.0]


@pytest.mark.parametrize("command", [np.zeros(3), np.array([0.0, np.nan])])
def test_a_command_that_does_not_fit_is_refused(command):
    world = ForkWorld()
    world.reset(0)
    before = world.positions
    with pytest.raises(ValueError, match="a command needs 2 finite positions"):
        world.step(command)
    np.testing.assert_array_equal(world.positions, before)
    assert world.time_s == 0


def test_the_way_to_the_goal_costs_and_a_crash_more():
    world = ForkWorld()
    start = world.terminal_cost()
    assert start == pytest.approx(GOAL_X_M, abs=0.01)
    follow(world, 1)
    assert world.running_cost() == world.terminal_cost() < 0.08
