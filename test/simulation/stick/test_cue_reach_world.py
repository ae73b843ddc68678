import numpy as np
import pytest

from ddpm_controller.simulation.disturbances import PERTURBATIONS
from ddpm_controller.simulation.stick.cue_reach_world import HOME, PLACES, CueReachWorld
from ddpm_controller.simulation.stick.stick_arm import joints_for, place_of

LEFT, MIDDLE, RIGHT = 0, 1, 2


def shown(place: int, **options) -> CueReachWorld:
    """A world whose light shows a place, at its start."""
    world = CueReachWorld(**options)
    seed = 0
    world.reset(seed)
    while world.place != place:
        seed += 1
        world.reset(seed)
    return world


def wait(world: CueReachWorld) -> None:
    hold = world.command_in_force
    while not world.may_go:
        world.step(hold)


def reach(world: CueReachWorld, place: int, seconds: float = 0.8) -> None:
    start, end = place_of(world.command_in_force), np.array(PLACES[place])
    ticks = round(seconds / world.tick_s)
    for share in np.arange(1, ticks + 1) / ticks:
        world.step(joints_for(start + share * (end - start)))


def hold(world: CueReachWorld, seconds: float) -> None:
    command = world.command_in_force
    for _ in range(round(seconds / world.tick_s)):
        world.step(command)


@pytest.mark.parametrize("place", [LEFT, MIDDLE, RIGHT])
def test_the_place_that_was_lit_is_success_when_it_is_held(place):
    world = shown(place)
    wait(world)
    reach(world, place)
    assert not world.success
    hold(world, 0.4)
    assert world.success
    assert world.tally["touched"] == place
    assert world.tally["early"] == 0.0


def test_another_place_fails_the_episode_for_good():
    world = shown(LEFT)
    wait(world)
    reach(world, RIGHT)
    hold(world, 0.2)
    assert world.failed
    reach(world, MIDDLE)
    reach(world, LEFT)
    hold(world, 0.5)
    assert not world.success
    assert world.tally["touched"] == RIGHT


def test_nobody_may_go_before_the_light_says_so():
    world = shown(MIDDLE)
    reach(world, MIDDLE, 0.5)
    hold(world, 0.2)
    assert world.failed
    assert world.tally["early"] == 1.0
    wait(world)
    hold(world, 0.5)
    assert not world.success


def test_the_cue_is_on_for_a_moment_and_dark_long_before_the_go():
    """The noise of a lamp is 0.05, so half a light is ten deviations away from both."""
    world = shown(RIGHT)
    seen, start = [], world.command_in_force
    for _ in range(300):
        world.step(start)
        seen.append(world.vectors["light"].values > 0.5)
    lit = np.array(seen)
    assert lit[:, RIGHT].sum() * world.tick_s == pytest.approx(0.6, abs=0.03)
    assert not lit[:, [LEFT, MIDDLE]].any()
    last_cue, first_go = np.flatnonzero(lit[:, RIGHT])[-1], np.flatnonzero(lit[:, 3])[0]
    assert (first_go - last_cue) * world.tick_s >= 1.0
    assert lit[first_go:, 3].all()


def test_the_camera_sees_the_lamps():
    """Lit and dark pictures differ, at the very moment at which the sensor does."""
    world = shown(MIDDLE)
    start = world.command_in_force
    dark = world.render("camera_front")
    while world.vectors["light"].values[MIDDLE] < 0.5:
        world.step(start)
    lit = world.render("camera_front")
    yellow = (lit[..., 0] > 200) & (lit[..., 1] > 180) & (lit[..., 2] < 140)
    assert yellow.sum() > 20
    while world.vectors["light"].values[MIDDLE] > 0.5:
        world.step(start)
    assert (world.render("camera_front") != dark).any(axis=-1).mean() < 0.02
    world.close()


def test_waits_differ_and_a_stretched_one_is_twice_as_long():
    nominal, longer = (
        [wait_of(CueReachWorld(perturbation=PERTURBATIONS[name]), seed) for seed in range(20)]
        for name in ("nominal", "longer")
    )
    assert np.ptp(nominal) > 1.0
    np.testing.assert_allclose(longer, 2 * np.array(nominal))


def wait_of(world: CueReachWorld, seed: int) -> float:
    world.reset(seed)
    return world.tally["wait_s"]


def test_the_places_come_from_the_seed_and_home_does_not_tell():
    world, places = CueReachWorld(), []
    for seed in range(30):
        world.reset(seed)
        places.append(world.place)
        assert abs(place_of(world.command_in_force)[0] - HOME[0]) <= 0.05
    assert {LEFT, MIDDLE, RIGHT} == set(places)


def test_a_reach_costs_the_way_to_the_place_that_was_lit_and_before_the_go_by_home():
    world = shown(LEFT)
    at_home = world.terminal_cost()
    reach(world, RIGHT, 0.4)
    assert not world.may_go
    assert world.terminal_cost() > at_home + 0.1
    world = shown(LEFT)
    reach(world, LEFT, 0.2)
    assert not world.may_go
    assert world.terminal_cost() > at_home, "nothing is gained before the go"
    world = shown(LEFT)
    wait(world)
    reach(world, LEFT)
    hold(world, 0.4)
    angle, radius, height = PLACES[LEFT]
    place = [radius * np.cos(angle), radius * np.sin(angle), height]
    assert world.terminal_cost() == pytest.approx(np.linalg.norm(world.tip - place))
    assert world.running_cost() == world.terminal_cost() < 0.02


def test_a_false_start_costs_more_than_any_way():
    world = shown(MIDDLE)
    reach(world, MIDDLE, 0.5)
    hold(world, 0.2)
    assert world.failed
    assert world.terminal_cost() > 1.0
