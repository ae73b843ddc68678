import numpy as np
import pytest

from ddpm_controller.simulation.stick.stick_arm import joints_for, place_of
from ddpm_controller.simulation.stick.sticky_lid_world import (
    BEHIND_M,
    HOME,
    TAB_ANGLES,
    TRAVEL_M,
    StickyLidWorld,
)

A, B = 0, 1


def lid(locked: int) -> StickyLidWorld:
    world = StickyLidWorld()
    seed = 0
    world.reset(seed)
    while world.locked != locked:
        seed += 1
        world.reset(seed)
    return world


def go(world: StickyLidWorld, place: list[float], seconds: float = 0.6) -> None:
    """Move the commanded place evenly to another one."""
    start = place_of(world.command_in_force)
    ticks = round(seconds / world.tick_s)
    for share in np.arange(1, ticks + 1) / ticks:
        world.step(joints_for(start + share * (np.array(place) - start)))


def pull(world: StickyLidWorld, tab: int) -> None:
    angle, behind = TAB_ANGLES[tab], BEHIND_M + 0.025
    for place in ([angle, behind, HOME[2]], [angle, behind, 0.045]):
        go(world, place)
    go(world, [angle, BEHIND_M - TRAVEL_M, 0.045], 0.9)


def leave(world: StickyLidWorld, tab: int) -> None:
    angle, behind = TAB_ANGLES[tab], BEHIND_M + 0.025
    for place in ([angle, behind, 0.045], [angle, behind, HOME[2]], list(HOME)):
        go(world, place)


def test_a_that_is_free_opens_the_lid():
    world = lid(locked=B)
    pull(world, A)
    assert world.displacements[A] > 0.06
    assert world.success


def test_a_that_is_locked_does_not_come_and_then_b_does():
    world = lid(locked=A)
    pull(world, A)
    assert abs(world.displacements[A]) < 0.005
    assert not world.success
    leave(world, A)
    pull(world, B)
    assert world.success
    assert dict(world.tally) == {"pulls_a": 1.0, "pulls_b": 1.0, "locked": 0.0, "failed": 0.0}


def test_after_a_try_at_a_locked_tab_nothing_tells_of_it():
    """Within five deviations of the noise: positions 4 mrad, displacements 0.5 mm."""
    world = lid(locked=A)
    go(world, list(HOME))
    before, tabs = world.positions, world.vectors["tabs"].values
    pull(world, A)
    leave(world, A)
    go(world, list(HOME))
    np.testing.assert_allclose(world.positions, before, atol=5 * 1.5 * 0.004)
    np.testing.assert_allclose(world.vectors["tabs"].values, tabs, atol=5 * 1.5 * 0.0005)
    assert world.displacements == pytest.approx(np.zeros(2), abs=2e-4)


def test_a_second_try_at_the_same_tab_fails_the_episode_for_good():
    world = lid(locked=A)
    for _ in range(2):
        pull(world, A)
        leave(world, A)
    assert world.failed
    pull(world, B)
    assert world.displacements[B] > 0.06
    assert not world.success


def test_b_is_not_to_be_pulled_before_a():
    world = lid(locked=A)
    pull(world, B)
    assert world.displacements[B] > 0.06
    assert world.failed
    assert not world.success


def test_a_pull_that_is_let_go_and_taken_up_again_behind_the_tab_is_one():
    world = lid(locked=A)
    pull(world, A)
    go(world, [TAB_ANGLES[A], BEHIND_M + 0.025, 0.045])
    go(world, [TAB_ANGLES[A], BEHIND_M - 0.03, 0.045])
    assert world.tally["pulls_a"] == 1.0
    assert not world.failed


def test_which_tab_is_locked_is_hidden_and_comes_from_the_seed():
    world, locked = StickyLidWorld(), []
    for seed in range(60):
        world.reset(seed)
        locked.append(world.locked)
        assert np.abs(world.vectors["tabs"].values).max() < 0.003
    assert 10 < sum(locked) < 35


def test_a_lid_costs_the_way_of_its_tab_and_the_try_at_a():
    world = lid(locked=A)
    assert world.terminal_cost() == pytest.approx(0.12)
    towards_a = world.running_cost()
    go(world, [TAB_ANGLES[A], BEHIND_M, HOME[2]])
    assert world.running_cost() < towards_a
    pull(world, A)
    assert world.terminal_cost() == pytest.approx(0.06, abs=1e-3), "A is tried"
    leave(world, A)
    away_from_b = world.running_cost()
    go(world, [TAB_ANGLES[B], BEHIND_M, HOME[2]])
    assert world.running_cost() < away_from_b
    pull(world, B)
    assert world.terminal_cost() == world.running_cost() == 0.0


def test_a_lid_that_has_failed_costs_more_than_any_way():
    world = lid(locked=B)
    pull(world, B)
    assert world.failed
    assert world.terminal_cost() > 1.0
