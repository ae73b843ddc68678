"""What all worlds with the stick have in common."""

import functools

import numpy as np
import pytest

from ddpm_controller.simulation.disturbances import PERTURBATIONS, Perturbation
from ddpm_controller.simulation.stick.drum_world import DrumWorld
from ddpm_controller.simulation.stick.stick_world import POSITION_NOISE, VELOCITY_NOISE
from ddpm_controller.simulation.worlds import WORLDS, make_expert

NAMES = ["drum", "sticky_lid", "cue_reach"]
STICK_WORLDS = pytest.mark.parametrize("name", NAMES)


def seen(world) -> np.ndarray:
    """Everything that is measured now."""
    vectors = [vector.values for vector in world.vectors.values()]
    return np.concatenate([world.positions, world.velocities, *vectors])


def follow_expert(world, seed: int, ticks: int) -> np.ndarray:
    world.reset(seed)
    expert = make_expert(world, seed)
    rows = [seen(world)]
    for _ in range(ticks):
        world.step(expert.command())
        rows.append(seen(world))
    return np.array(rows)


@STICK_WORLDS
def test_the_same_seed_gives_the_same_episode_bit_for_bit_also_after_another_one(name):
    fresh = WORLDS[name].world()
    used = fresh.another()
    follow_expert(used, 8, 60)
    first, second = (follow_expert(world, 3, 150) for world in (fresh, used))
    np.testing.assert_array_equal(first, second)
    assert fresh.scene._renderer is None  # nobody has asked for a picture
    picture = fresh.render("camera_front")
    np.testing.assert_array_equal(picture, used.render("camera_front"))
    assert picture.shape == (96, 96, 3)
    assert picture.std() > 10
    used.close()
    np.testing.assert_array_equal(fresh.render("camera_front"), picture)
    fresh.close()


@STICK_WORLDS
@pytest.mark.parametrize("tick_hz", [20.0, 25.0, 50.0])
def test_experts_solve_it_at_every_rate(name, tick_hz):
    world = WORLDS[name].world(tick_hz)
    world.reset(1)
    expert = make_expert(world, 1)
    while not expert.done:
        assert world.time_s < world.timeout_s
        world.step(expert.command())
    assert world.success
    assert world.score is None


def test_a_tick_that_the_physics_cannot_divide_is_refused():
    with pytest.raises(ValueError, match="tick_hz 60.0 must divide 200 Hz"):
        DrumWorld(60.0)


@pytest.mark.parametrize("wrong", [np.full(3, np.nan), np.zeros(2), np.full(3, np.inf)])
def test_a_command_that_is_not_three_finite_numbers_is_refused_and_nothing_moves(wrong):
    world = DrumWorld()
    before = world.positions
    with pytest.raises(ValueError, match="3 finite positions"):
        world.step(wrong)
    np.testing.assert_array_equal(world.positions, before)
    assert world.time_s == 0.0


def test_a_command_moves_no_faster_and_no_further_than_the_limits():
    world = DrumWorld()
    before = world.command_in_force
    world.step(before + np.array([1.0, 0.0, 0.0]))
    np.testing.assert_allclose(world.command_in_force - before, [6.0 * world.tick_s, 0.0, 0.0])
    for _ in range(60):
        world.step(before + np.array([9.0, 0.0, 0.0]))
    assert world.command_in_force[0] == 1.4
    assert world.positions[0] == pytest.approx(1.4, abs=0.02)


def test_sensors_are_noisy_and_the_noise_belongs_to_the_seed():
    """600 samples: the estimated deviation is within 10 % of the true one."""
    world = DrumWorld()
    rows = {}
    for seed in (1, 2):
        world.reset(seed)
        hold, measured = world.command_in_force, []
        for _ in range(200):
            world.step(hold)
            np.testing.assert_array_equal(world.positions, world.positions)
            measured.append(np.append(world.positions - hold, world.velocities))
        rows[seed] = np.array(measured)
        assert rows[seed][:, :3].std() == pytest.approx(POSITION_NOISE, rel=0.1)
        assert rows[seed][:, 3:].std() == pytest.approx(VELOCITY_NOISE, rel=0.1)
        assert np.abs(rows[seed].mean(0)).max() < 0.02
    assert np.abs(rows[1] - rows[2]).max() > POSITION_NOISE


def farthest(perturbation, seed: int) -> float:
    """Return how far the tip gets from where it is held, in 6 s, m."""
    world = DrumWorld(perturbation=perturbation)
    world.reset(seed)
    start, hold, away = world.tip, world.command_in_force, 0.0
    while world.time_s < 6.0:
        world.step(hold)
        away = max(away, float(np.linalg.norm(world.tip - start)))
    assert np.linalg.norm(world.tip - start) < 0.005
    return away


@pytest.mark.parametrize("seed", [0, 1])
def test_a_pushed_arm_is_moved_and_comes_back(seed):
    assert 0.01 < farthest(PERTURBATIONS["pushed"], seed) < 0.09
    assert farthest(PERTURBATIONS["nominal"], seed) < 0.002


def test_while_occluded_all_that_is_measured_stands_still_and_then_goes_on():
    world = DrumWorld(perturbation=Perturbation(occlusions=1, occlusion_s=0.8))
    world.reset(4)
    expert = make_expert(world, 4)
    hidden, shown = [], []
    while world.time_s < 6.5:
        world.step(expert.command())
        (hidden if world.occluded else shown).append(seen(world))
        if world.occluded:
            assert not world.render("camera_front").any()
    assert len(hidden) == 40
    assert len(np.unique(hidden, axis=0)) == 1
    assert len(np.unique(shown, axis=0)) >= len(shown) - 1
    assert world.scene._renderer is None


def test_what_an_evaluation_makes_of_a_perturbed_world_is_perturbed_too():
    make = functools.partial(WORLDS["drum"].world, perturbation=PERTURBATIONS["longer"])
    first = make(tick_hz=25.0)
    other = first.another()
    assert other.perturbation == first.perturbation
    assert other.rest_s == first.rest_s > 8.0
    assert other.tick_s == 0.04


def test_a_world_without_something_to_pull_back_says_so():
    with pytest.raises(ValueError, match="nothing can be pulled back in the world 'drum'"):
        DrumWorld(perturbation=Perturbation(pull_backs=1))


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"pull_backs": -1}, "pull_backs must not be below 0, got -1"),
        ({"pushes": -1}, "pushes must not be below 0, got -1"),
        ({"occlusion_s": -0.5}, "occlusion_s must not be below 0"),
        ({"stretch": 0.5}, "stretch must be at least 1, got 0.5"),
    ],
)
def test_a_perturbation_that_cannot_be_is_refused(wrong, text):
    with pytest.raises(ValueError, match=text):
        Perturbation(**wrong)
