import numpy as np
import pytest

from ddpm_controller.simulation.arm import pick_place_expert, reach_expert
from ddpm_controller.simulation.arm.arm import joint_range
from ddpm_controller.simulation.worlds import WORLDS, make_expert

OCCASIONS = {"reach": reach_expert.OCCASIONS, "pick_place": pick_place_expert.OCCASIONS}


def run(world, seed: int) -> tuple[str, bool, np.ndarray]:
    """Let the expert solve one episode; returns occasion, success and commands (N, 7)."""
    world.reset(seed)
    expert = make_expert(world, seed)
    commands = [world.command_in_force]
    while not world.success and world.time_s < world.timeout_s:
        commands.append(expert.command())
        world.step(commands[-1])
    return expert.occasion, world.success, np.array(commands)


@pytest.fixture(scope="module", params=OCCASIONS)
def runs(request):
    """Two dozen episodes per world, chosen so that every occasion comes up."""
    world = WORLDS[request.param].world()
    return request.param, world.tick_s, [run(world, seed) for seed in range(32, 56)]


def test_experts_solve_every_world_whatever_happens(runs):
    name, _, episodes = runs
    failed = [
        (seed, occasion) for seed, (occasion, success, _) in enumerate(episodes, 32) if not success
    ]
    assert not failed
    assert {occasion for occasion, _, _ in episodes} == set(OCCASIONS[name])


def test_no_command_of_an_expert_is_cut_by_the_limits(runs):
    _, tick_s, episodes = runs
    limits = joint_range()
    for _, _, commands in episodes:
        velocity = np.diff(commands, axis=0) / tick_s
        assert (np.abs(velocity) < limits.velocity).all()
        assert (commands >= limits.lower).all()
        assert (commands <= limits.upper).all()


def test_experts_move_smoothly(runs):
    """A step of 1 cm in the reference would be an acceleration above 30 rad/s^2."""
    _, tick_s, episodes = runs
    for _, _, commands in episodes:
        acceleration = np.diff(commands[:, :6], 2, axis=0) / tick_s**2
        assert np.abs(acceleration).max() < 12.0


def test_experts_do_not_pause(runs):
    """A policy that learns to wait for longer than its window waits for ever."""
    _, tick_s, episodes = runs
    for _, _, commands in episodes:
        still = (np.abs(np.diff(commands, axis=0)) / tick_s < [0.03] * 6 + [0.005]).all(axis=1)
        moves = np.flatnonzero(np.concatenate([[True], ~still, [True]]))
        assert (np.diff(moves).max() - 1) * tick_s < 0.3


def test_people_differ_in_speed_and_side(runs):
    _, _, episodes = runs
    undisturbed = [commands for occasion, _, commands in episodes if occasion == "none"]
    lengths = [len(commands) for commands in undisturbed]
    assert max(lengths) > 1.2 * min(lengths)


def test_the_same_seed_gives_the_same_demonstration():
    world = WORLDS["pick_place"].world()
    _, _, first = run(world, 5)
    _, _, second = run(world, 5)
    np.testing.assert_array_equal(first, second)


def test_an_expert_takes_over_from_wherever_the_arm_is_without_a_jump():
    world = WORLDS["reach"].world()
    world.reset(2)
    target = world.command_in_force + np.array([0.5, 0.2, 0.1, 0.3, 0.2, 0.4, 0.01])
    for _ in range(30):
        world.step(target)
    expert = make_expert(world, 2)
    before = world.command_in_force
    command = expert.command()
    assert np.abs(command - before).max() < 0.02
    while not world.success and world.time_s < 10.0:
        world.step(expert.command())
    assert world.success
