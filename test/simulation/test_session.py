import numpy as np
import pytest

from ddpm_controller.simulation.session import START_NS, Session
from ddpm_controller.simulation.worlds import WORLDS

TICK_NS = 20_000_000


@pytest.fixture
def world():
    world = WORLDS["reach"].world()
    yield world
    world.close()


def test_lockstep_time_starts_at_one_second_and_never_goes_back(world):
    session = Session(world, 25.0, expert=False)
    stamps = [session.reset(0).stamp_ns]
    stamps += [session.step(world.command_in_force).stamp_ns for _ in range(3)]
    stamps += [session.reset(1).stamp_ns, session.step(world.command_in_force).stamp_ns]
    assert stamps == [START_NS + k * TICK_NS for k in range(6)]


def test_cameras_take_pictures_at_their_own_rate_counted_from_the_reset(world):
    session = Session(world, 10.0, expert=False)
    ticks = [session.reset(0), *(session.step(world.command_in_force) for _ in range(6))]
    assert [bool(tick.images) for tick in ticks] == [True, *[False] * 4, True, False]
    tick = session.reset(0)
    assert set(tick.images) == {"camera_fixed", "camera_wrist"}


def test_an_episode_begins_once_and_ends_once(world):
    session = Session(world, 25.0, expert=True)
    ticks = [session.reset(3)]
    while (command := session.expert_command()) is not None:
        ticks.append(session.step(command))
    world.move_ball(np.array([0.1, 0.1]))  # what has been reached stays so until the next reset
    ticks += [session.step(world.command_in_force) for _ in range(3)]
    assert [tick.begins for tick in ticks] == [True, *[False] * (len(ticks) - 1)]
    assert sum(tick.ends for tick in ticks) == 1
    success = [tick.success for tick in ticks]
    assert success == sorted(success)
    assert ticks[0].episode == 0
    assert session.reset(4).episode == 1
    assert not session.reset(4).success


def test_a_stamp_from_outside_is_taken_as_it_is(world):
    session = Session(world, 25.0, expert=False)
    assert session.reset(0, 123).stamp_ns == 123
    assert session.step(world.command_in_force, 456).stamp_ns == 456


def test_a_tick_tells_what_the_world_is(world):
    session = Session(world, 25.0, expert=False)
    session.reset(7)
    tick = session.step(world.command_in_force)
    np.testing.assert_array_equal(tick.positions, world.positions)
    np.testing.assert_array_equal(tick.velocities, world.velocities)
    assert tick.seed == 7
    assert session.expert_command() is None


def test_a_camera_rate_that_does_not_divide_the_tick_rate_is_refused(world):
    with pytest.raises(ValueError, match="camera_hz 30"):
        Session(world, 30.0, expert=False)
