import numpy as np
import pytest

from ddpm_controller.simulation.disturbances import PERTURBATIONS
from ddpm_controller.simulation.stick.drum_world import (
    FEWEST,
    MOST,
    REST_S,
    SURFACE_M,
    TOP_M,
    DrumWorld,
)
from ddpm_controller.simulation.stick.stick_arm import joints_for, place_of


def seed_wanting(strikes: int) -> int:
    world = DrumWorld()
    for seed in range(100):
        world.reset(seed)
        if world.wanted == strikes:
            return seed
    raise AssertionError


def drummer(strikes: int, **options) -> DrumWorld:
    world = DrumWorld(**options)
    world.reset(seed_wanting(strikes))
    return world


def go(world: DrumWorld, height: float, seconds: float) -> None:
    """Command the tip to a height, above where it is commanded to be."""
    place = place_of(world.command_in_force)
    for _ in range(round(seconds / world.tick_s)):
        world.step(joints_for(np.array([*place[:2], height])))


def strike(world: DrumWorld, times: int = 1) -> None:
    for _ in range(times):
        go(world, SURFACE_M - 0.02, 0.3)
        go(world, TOP_M, 0.4)


@pytest.mark.parametrize("wanted", [2, 5])
def test_the_right_count_and_then_a_rest_is_success(wanted):
    world = drummer(wanted)
    assert not world.success
    strike(world, wanted)
    assert world.strikes == wanted
    assert len(world.strike_times_s) == wanted
    assert not world.success
    go(world, TOP_M, REST_S - 0.4)
    assert not world.success
    go(world, TOP_M, 0.4)
    assert world.success


@pytest.mark.parametrize("strikes", [2, 4])
def test_another_count_is_no_success(strikes):
    world = drummer(3)
    strike(world, strikes)
    go(world, TOP_M, 3.0)
    assert world.strikes == strikes
    assert not world.success


def test_a_strike_after_the_success_is_counted_and_ends_it():
    world = drummer(2)
    strike(world, 2)
    go(world, TOP_M, 2.0)
    assert world.success
    strike(world)
    go(world, TOP_M, 2.0)
    assert not world.success
    assert world.strikes == 3


def test_a_stretched_rest_shows_strikes_that_come_late():
    world = drummer(2, perturbation=PERTURBATIONS["longer"])
    strike(world, 2)
    go(world, TOP_M, world.timeout_s - REST_S)
    assert not world.success
    go(world, TOP_M, 2 * REST_S)
    assert world.success


def test_a_long_and_trembling_touch_is_one_strike():
    world = drummer(2)
    for _ in range(6):
        go(world, SURFACE_M - 0.02, 0.1)
        go(world, SURFACE_M - 0.005, 0.04)
    assert world.strikes == 1


def test_a_hand_that_stays_low_or_keeps_moving_is_not_at_rest():
    low = drummer(2)
    strike(low, 2)
    go(low, SURFACE_M + 0.03, 2.5)
    assert low.strikes == 2
    assert not low.success
    restless = drummer(2)
    strike(restless, 2)
    for _ in range(6):
        go(restless, TOP_M + 0.06, 0.2)
        go(restless, TOP_M - 0.03, 0.2)
    assert restless.strikes == 2
    assert not restless.success


def test_every_goal_comes_up_and_is_told_in_numbers_and_words():
    world, told = DrumWorld(), {}
    for seed in range(40):
        world.reset(seed)
        assert world.vectors["goal"].names == ("strikes_wanted",)
        assert world.vectors["goal"].values == [world.wanted]
        told.setdefault(world.wanted, set()).add(world.instruction)
    assert sorted(told) == list(range(FEWEST, MOST + 1))
    assert {"strike two times", "hit the drum 2 times", "hit the drum two times"} <= told[2]
    assert all(len(sentences) > 2 for sentences in told.values())
    world.reset(7)
    said = world.instruction
    world.reset(8)
    world.reset(7)
    assert world.instruction == said


def test_a_world_is_what_it_was_before_anything_was_said():
    """Words are drawn beside the number and the place, whose draws stand here again."""
    for seed in (0, 41):
        world, random = DrumWorld(), np.random.default_rng(seed)
        world.reset(seed)
        wanted = random.integers(2, 5, endpoint=True)
        place = np.array([0.0, 0.42]) + random.uniform([-0.10, -0.03], [0.10, 0.03])
        height = 0.19 + random.uniform(-0.012, 0.012)
        assert world.wanted == wanted
        np.testing.assert_array_equal(world.command_in_force, joints_for([*place, height]))


def test_nobody_is_told_the_count():
    world = drummer(3)
    before = world.vectors["goal"].values.copy()
    strike(world, 2)
    assert set(world.vectors) == {"joint_velocity", "goal"}
    np.testing.assert_array_equal(world.vectors["goal"].values, before)


def test_the_tally_has_count_and_tempo():
    world = drummer(4)
    assert np.isnan(world.tally["period_s"])
    strike(world, 3)
    tally = world.tally
    assert (tally["strikes"], tally["wanted"]) == (3.0, 4.0)
    assert tally["period_s"] == pytest.approx(0.7, abs=0.01)
    assert tally["period_deviation_s"] < 0.01


def test_strikes_that_are_missing_or_too_many_cost_one_each_and_the_rest_one():
    world = drummer(3)
    assert world.terminal_cost() == 4.0
    strike(world, 2)
    assert world.terminal_cost() == 2.0
    strike(world)
    assert 0.5 < world.terminal_cost() < 1.0
    go(world, TOP_M, REST_S)
    assert world.terminal_cost() == 0.0
    strike(world, 2)
    assert world.terminal_cost() == 3.0


def test_the_way_down_costs_while_a_strike_is_due_and_the_way_up_after_it():
    world = drummer(2)
    go(world, SURFACE_M + 0.10, 0.5)
    above = world.running_cost() - world.terminal_cost()
    assert above == pytest.approx(0.10, abs=0.01)
    go(world, SURFACE_M + 0.02, 0.5)
    assert world.running_cost() - world.terminal_cost() < above
    go(world, SURFACE_M - 0.02, 0.3)
    below = world.running_cost() - world.terminal_cost()
    assert world.strikes == 1
    go(world, SURFACE_M + 0.02, 0.06)
    assert world.running_cost() - world.terminal_cost() < below
