"""The experts of the worlds with the stick, and what their demonstrations do not give away."""

import itertools

import numpy as np
import pytest

from ddpm_controller.simulation.joints import JointRange
from ddpm_controller.simulation.stick.drum_world import SURFACE_M, TOP_M, DrumWorld
from ddpm_controller.simulation.stick.stick_arm import STICK_JOINTS, place_of
from ddpm_controller.simulation.stick.stick_hand import OCCASIONS
from ddpm_controller.simulation.worlds import WORLDS, make_expert

NAMES = ["drum", "sticky_lid", "cue_reach"]


def run(world, seed: int) -> dict:
    """Let the expert solve one episode."""
    world.reset(seed)
    expert = make_expert(world, seed)
    commands, measured = [world.command_in_force], [world.positions]
    while not world.success and world.time_s < world.timeout_s:
        commands.append(expert.command())
        world.step(commands[-1])
        measured.append(world.positions)
    return {
        "occasion": expert.occasion,
        "success": world.success,
        "commands": np.array(commands),
        "positions": np.array(measured),
        "tally": dict(world.tally),
    }


@pytest.fixture(scope="module", params=NAMES)
def runs(request):
    world = WORLDS[request.param].world()
    return request.param, world.tick_s, [run(world, seed) for seed in range(16)]


def test_experts_solve_every_world_whatever_happens(runs):
    _, _, episodes = runs
    assert [seed for seed, each in enumerate(episodes) if not each["success"]] == []
    assert {each["occasion"] for each in episodes} == set(OCCASIONS)


def test_no_command_of_an_expert_is_cut_by_the_limits(runs):
    _, tick_s, episodes = runs
    limits = JointRange.of(STICK_JOINTS)
    for each in episodes:
        velocity = np.diff(each["commands"], axis=0) / tick_s
        assert (np.abs(velocity) < limits.velocity).all()
        assert (each["commands"] >= limits.lower).all()
        assert (each["commands"] <= limits.upper).all()


def test_the_arm_follows_its_commands(runs):
    """Two ticks at the highest speed and a push: more would be another arm."""
    _, _, episodes = runs
    for each in episodes:
        lag = np.abs(each["commands"] - each["positions"])
        assert np.median(lag) < 0.03


def test_a_clock_does_not_tell_what_to_do(runs):
    """Episodes differ in onset and in length by more than a period of the policy."""
    _, tick_s, episodes = runs
    moving = [
        int(np.argmax(np.abs(np.diff(each["commands"], axis=0)).max(1) > 1e-3)) * tick_s
        for each in episodes
    ]
    assert np.ptp(moving) > 0.4
    assert np.ptp([len(each["commands"]) * tick_s for each in episodes]) > 1.0


def test_the_same_seed_gives_the_same_demonstration(runs):
    name, _, episodes = runs
    again = run(WORLDS[name].world(), 5)
    np.testing.assert_array_equal(again["positions"], episodes[5]["positions"])
    np.testing.assert_array_equal(again["commands"], episodes[5]["commands"])


def test_start_top_and_rest_of_a_drummer_look_alike():
    """The drummer pauses in all three, at heights of one range.

    Only undisturbed episodes: what a push does can be seen.
    """
    world = DrumWorld()
    starts, tops, rests = [], [], []
    for seed in range(12):
        each = run(world, seed)
        if each["occasion"] == "none":
            start, *between, rest = pauses(each["commands"])
            top = [height for height in between if height > SURFACE_M]  # below it lies on the drum
            assert len(top) == each["tally"]["wanted"] - 1
            starts.append(start)
            tops += top
            rests.append(rest)
    for heights in (starts, tops, rests):
        assert len(heights) >= 4
        assert min(heights) > TOP_M - 0.015
        assert max(heights) < TOP_M + 0.015
        assert np.ptp(heights) > 0.008


def pauses(commands: np.ndarray) -> list[float]:
    """Return the heights at which the tip is held for 0.1 s and longer."""
    heights = [round(float(place_of(row)[2]), 9) for row in commands]
    held = [(height, len(list(rows))) for height, rows in itertools.groupby(heights)]
    return [height for height, ticks in held if ticks >= 5]
