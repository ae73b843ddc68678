import numpy as np
import pytest
from walking_robot import WalkingRobot

from ddpm_controller.simulation.legged.conditions import CONDITIONS, LeggedConditions
from ddpm_controller.simulation.legged.go1_model import go1_model, home
from ddpm_controller.simulation.legged.go1_world import EPISODE_S, Go1World


def run(world: Go1World, seconds: float, command=None) -> Go1World:
    for _ in range(round(seconds / world.tick_s)):
        world.step(home(world.model) if command is None else command)
    return world


def test_a_robot_that_is_led_at_its_home_pose_stands():
    world = run(Go1World(), 1.0)
    assert not world.fallen
    assert world.height_m == pytest.approx(0.27, abs=0.03)
    assert np.abs(world.feet_m).max() < 0.01
    assert np.abs(world.base_velocity).max() < 0.02


def test_a_robot_that_lets_its_legs_go_has_fallen_and_does_not_succeed():
    low = np.tile([0.0, 2.5, -2.7], 4)
    world = run(run(Go1World(), 1.0, low), EPISODE_S)
    assert world.fallen
    assert world.tally["falls"] == 1
    assert not world.success
    assert world.terminal_cost() == pytest.approx(1.0)


def test_standing_is_no_success_where_the_robot_is_requested_to_walk():
    world = run(Go1World(), EPISODE_S)
    assert not world.fallen
    assert world.tally["velocity_error"] == pytest.approx(0.8, abs=0.05)
    assert not world.success


def test_standing_is_a_success_where_nothing_else_is_requested():
    world = Go1World(perturbation=LeggedConditions(request=(0.0, 0.0, 0.0)))
    assert run(world, EPISODE_S).success


def test_the_same_seed_and_commands_give_the_same_episode():
    worlds = [Go1World(perturbation=CONDITIONS["noisy"]) for _ in range(2)]
    for world in worlds:
        world.reset(7)
        run(world, 0.5)
    for name, vector in worlds[0].vectors.items():
        np.testing.assert_array_equal(vector.values, worlds[1].vectors[name].values)
    np.testing.assert_array_equal(worlds[0].positions, worlds[1].positions)
    worlds[1].reset(8)
    assert (worlds[0].positions != worlds[1].positions).all()


def test_orientation_and_velocity_are_those_of_the_base():
    """Turned by 90 degrees to the left and driven along x of the world, it goes to its right."""
    world = Go1World()
    world._state.qpos[3:7] = np.sqrt([0.5, 0.0, 0.0, 0.5])
    world._state.qvel[:] = 0.0
    world._state.qvel[0] = 1.0
    world.step(world.positions)
    six = world.vectors["orientation"].values
    np.testing.assert_allclose(six, [0, 1, 0, -1, 0, 0], atol=0.05)
    assert world.vectors["base_velocity"].values[1] < -0.8


def test_extra_mass_is_in_the_trunk_and_friction_in_the_ground():
    plain, heavy = go1_model(), go1_model(extra_mass_kg=2.0, friction=0.3)
    assert heavy.body_subtreemass[1] - plain.body_subtreemass[1] == pytest.approx(2.0)
    share = heavy.body("trunk").mass[0] / plain.body("trunk").mass[0]
    np.testing.assert_allclose(heavy.body("trunk").inertia, share * plain.body("trunk").inertia)
    assert heavy.geom("floor").friction[0] == 0.3


def test_what_is_measured_is_late_by_the_delay():
    late = Go1World(perturbation=LeggedConditions(delay_ticks=2))
    plain = Go1World()
    seen = []
    for _ in range(6):
        command = home(plain.model) + 0.1 * np.sin(len(seen))
        for world in (plain, late):
            world.step(command)
        seen.append((plain.positions, late.positions))
    for (before, _), (_, now) in zip(seen[:-2], seen[2:], strict=True):
        np.testing.assert_array_equal(now, before)


def test_a_push_adds_its_velocity_once():
    world = run(Go1World(perturbation=LeggedConditions(push_m_s=0.5)), 1.48)
    before = world.state[1][:2]
    world.step(home(world.model))
    assert np.linalg.norm(world.state[1][:2] - before) == pytest.approx(0.5, abs=0.05)
    before = world.state[1][:2]
    world.step(home(world.model))
    assert np.linalg.norm(world.state[1][:2] - before) < 0.3


def test_a_varied_request_ends_with_standing():
    world = Go1World(perturbation=CONDITIONS["varied"])
    world.reset(3)
    first = world.request
    run(world, EPISODE_S - 0.1)
    assert np.abs(first).max() > 0
    np.testing.assert_array_equal(world.request, np.zeros(3))


def test_who_leads_the_robot_changes_the_request_and_what_it_is_judged_by():
    world = run(Go1World(), 2.0)
    assert world.tally["velocity_error"] > 0.5
    world.lead(np.zeros(3))
    np.testing.assert_array_equal(world.vectors["cmd_vel"].values, np.zeros(3))
    assert run(world, EPISODE_S - 2.0).success
    world.lead(None)
    np.testing.assert_array_equal(world.request, [0.8, 0.0, 0.0])


def test_the_walking_policy_walks_as_it_is_requested():
    """The signs of all three, and of the observation, are those of its training."""
    for request, axis in (((0.8, 0.0, 0.0), 0), ((0.0, 0.4, 0.0), 1), ((0.0, 0.0, 1.0), 2)):
        robot = WalkingRobot(request=request).run(2.0)
        means = np.mean([robot.run(0.02).world.base_velocity for _ in range(25)], axis=0)
        # Over half a second: the base sways with its gait, and turns 0.17 rad/s too slowly.
        assert means[axis] == pytest.approx(request[axis], abs=0.25)
        assert not robot.world.fallen


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"dropouts": 1.0}, "dropouts must be from 0 to below 1"),
        ({"extra_mass_kg": -4.0}, "extra_mass_kg must be from -3 to 20"),
        ({"friction": -0.1}, "friction must be 0 or above"),
        ({"request": (np.nan, 0.0, 0.0)}, "request must be finite"),
        ({"delay_ticks": -1}, "delay_ticks must be 0 or above and finite"),
    ],
)
def test_a_wrong_condition_is_refused_with_value_and_rule(given, message):
    with pytest.raises(ValueError, match=message):
        LeggedConditions(**given)


@pytest.mark.parametrize("command", [np.zeros(3), np.full(12, np.nan)])
def test_a_wrong_command_moves_nothing(command):
    world = Go1World()
    before = world.state
    with pytest.raises(ValueError, match="a command needs 12 finite positions"):
        world.step(command)
    for old, new in zip(before, world.state, strict=True):
        np.testing.assert_array_equal(old, new)
