"""What must hold for each entry of the table of worlds; a new world is tested without a line."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from ddpm_controller.evaluation.stream_values import vector_value
from ddpm_controller.robots.robot import load_robot
from ddpm_controller.share import share_path
from ddpm_controller.simulation.session import Session
from ddpm_controller.simulation.worlds import (
    WORLDS,
    WorldEntry,
    make_expert,
    refuse_without_expert,
    world_entry,
)
from ddpm_controller.training.config import read_training_config

EVERY_WORLD = pytest.mark.parametrize("name", WORLDS)
EXPERT_SEEDS = range(3)
NEARLY_NOTHING = 0.1
"""Of the cost at reset, that may be left at success: a place is reached when it is near."""


@cache
def world_of(name: str):
    """The world, or a skip where its extra is not installed."""
    try:
        return WORLDS[name].world()
    except RuntimeError as error:
        if not WORLDS[name].extra:
            raise
        pytest.skip(str(error))


def needs_expert(name: str) -> None:
    if not WORLDS[name].expert_module_and_class:
        pytest.skip(f"no expert solves {name}; its costs at the goal are tested with it")


@dataclass(frozen=True)
class Solved:
    """Costs of one episode of an expert: (running, terminal), and whether it succeeded."""

    at_reset: tuple[float, float]
    at_end: tuple[float, float]
    along: np.ndarray
    success: bool


@cache
def solved(name: str, seed: int) -> Solved:
    world = world_of(name)
    world.reset(seed)
    expert = make_expert(world, seed)
    along = [(world.running_cost(), world.terminal_cost())]
    while not world.success and world.time_s < world.timeout_s:
        world.step(expert.command())
        along.append((world.running_cost(), world.terminal_cost()))
    return Solved(along[0], along[-1], np.array(along), world.success)


def solved_once(name: str) -> Solved:
    """The first episode that the expert solves."""
    needs_expert(name)
    for seed in EXPERT_SEEDS:
        if (episode := solved(name, seed)).success:
            return episode
    pytest.fail(f"the expert of {name} solved none of the seeds {list(EXPERT_SEEDS)}")


def seen(world) -> list[np.ndarray]:
    """Everything that a policy may see but pictures, and what is in force."""
    vectors = [world.vectors[name].values for name in sorted(world.vectors)]
    return [world.positions, world.velocities, world.command_in_force, *vectors]


@EVERY_WORLD
def test_a_world_has_the_name_of_its_entry(name):
    assert WORLDS[name].world.name == name


@EVERY_WORLD
def test_the_robot_file_fits_the_world(name):
    world, robot = world_of(name), load_robot(share_path(WORLDS[name].robot))
    assert set(robot.action_spec.joint_names) == set(world.joint_names)
    assert set(world.published_joint_names) == set(world.joint_names)
    limits = robot.limits(world.robot_description())
    assert limits.lower.shape == (len(world.joint_names),)


@EVERY_WORLD
def test_a_world_tells_every_stream_of_its_robot_file(name):
    world, robot = world_of(name), load_robot(share_path(WORLDS[name].robot))
    tick = Session(world, camera_hz=10.0, expert=False, pictures=False).reset(0)
    cameras = {camera.name: camera for camera in world.cameras}
    for stream in robot.stream_specs:
        if stream.kind == "image":
            assert cameras[stream.name].height >= stream.shape[0]
        else:
            assert vector_value(stream, tick, world).shape == stream.shape


@EVERY_WORLD
def test_the_recipe_is_for_streams_of_the_robot_file(name):
    if not WORLDS[name].recipe:
        pytest.skip(f"nothing is trained for {name} by a recipe")
    recipe = read_training_config(Path(share_path(WORLDS[name].recipe)))
    robot = load_robot(share_path(WORLDS[name].robot))
    assert set(recipe.streams) <= {stream.name for stream in robot.stream_specs}


@EVERY_WORLD
def test_the_expert_of_a_world_succeeds(name):
    assert solved_once(name).success


@EVERY_WORLD
def test_costs_are_finite_and_not_negative(name):
    world = world_of(name)
    for seed in range(3):
        world.reset(seed)
        for cost in (world.running_cost(), world.terminal_cost()):
            assert isinstance(cost, float)
            assert np.isfinite(cost)
            assert cost > 0.0
    if WORLDS[name].expert_module_and_class:
        along = solved_once(name).along
        assert np.isfinite(along).all()
        assert (along >= 0.0).all()


@EVERY_WORLD
def test_success_costs_nearly_nothing(name):
    episode = solved_once(name)
    for at_reset, at_end in zip(episode.at_reset, episode.at_end, strict=True):
        assert at_end < NEARLY_NOTHING * at_reset


@EVERY_WORLD
def test_a_running_cost_contains_the_terminal_cost(name):
    along = solved_once(name).along
    assert (along[:, 0] >= along[:, 1]).all()


@EVERY_WORLD
def test_a_way_to_success_costs_less_than_standing_still(name):
    """Over the same time, what a planner would sum up."""
    episode, world = solved_once(name), world_of(name)
    seed = next(seed for seed in EXPERT_SEEDS if solved(name, seed) is episode)
    world.reset(seed)
    still = []
    for _ in episode.along:
        still.append(world.running_cost())
        world.step(world.command_in_force)
    assert episode.along[:, 0].sum() < sum(still)


@EVERY_WORLD
def test_reading_a_cost_changes_nothing(name):
    plain, read = world_of(name), world_of(name).another()
    commands = plain.command_in_force + np.linspace(0.0, 0.02, 10)[:, None]
    for world in (plain, read):
        world.reset(4)
    for command in commands:
        before = (read.running_cost(), read.terminal_cost())
        assert (read.running_cost(), read.terminal_cost()) == before
        for world in (plain, read):
            world.step(command)
        for expected, found in zip(seen(plain), seen(read), strict=True):
            np.testing.assert_array_equal(found, expected)
        assert plain.success == read.success
    assert (plain.running_cost(), plain.terminal_cost()) == (
        read.running_cost(),
        read.terminal_cost(),
    )
    read.close()


@EVERY_WORLD
def test_a_tally_has_the_same_names_at_all_times(name):
    world = world_of(name)
    world.reset(0)
    names = list(world.tally)
    world.step(world.command_in_force)
    assert list(world.tally) == names


@EVERY_WORLD
def test_every_perturbation_of_an_entry_makes_a_world(name):
    world_of(name)
    for perturbation in WORLDS[name].perturbations:
        world = WORLDS[name].perturbed(perturbation)(tick_hz=10.0)
        world.step(world.command_in_force)
        assert world.tick_s == 0.1
        world.close()


def test_a_perturbation_that_a_world_does_not_have_is_refused_with_those_it_has():
    with pytest.raises(ValueError, match="no perturbation 'pulled_back'; there is nominal, pus"):
        WORLDS["drum"].perturbed("pulled_back")


def test_a_world_that_is_not_in_the_table_is_refused_with_those_that_are():
    with pytest.raises(ValueError, match="no world 'nowhere'; there are .*'reach'"):
        world_entry("nowhere")


def test_a_world_without_an_expert_is_refused_with_the_command_to_use():
    with pytest.raises(ValueError, match="no expert for world 'pusht'.*ddpm pusht-demonstrat"):
        refuse_without_expert("pusht")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"module_and_class": "arm.reach_world"}, "'arm.reach_world' must be <module in sim"),
        ({"expert_module_and_class": "a:b:c"}, "'a:b:c' must be <module in simulation>"),
        ({"perturbations": {}}, r"must contain 'nominal', got \[\]"),
    ],
)
def test_a_wrong_entry_is_refused_with_value_and_rule(given, message):
    right = {"module_and_class": "a:A", "expert_module_and_class": "", "robot": "", "recipe": ""}
    with pytest.raises(ValueError, match=message):
        WorldEntry(**{**right, **given})
