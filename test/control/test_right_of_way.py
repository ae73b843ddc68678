"""What others do may forbid to command: the robot stops smoothly, then nothing is sent."""

import numpy as np
import pytest
from stub_loop import (
    LIMITS,
    MEMORY,
    RUNNING,
    TICK_S,
    WAITING,
    drive,
    new_loop,
    outcome,
    positions,
    running_loop,
    see,
    ticks,
)

from ddpm_controller.control.moving.stream_settings import StreamSettings
from ddpm_controller.control.states import Reason, Verdict

OTHER = Verdict(WAITING, Reason.OTHER_COMMANDER, "/teleop commands")
DEAF = Verdict(WAITING, Reason.NO_LISTENER, "nothing is subscribed")


def follow_on(loop, now_s, number, position=(0.0, 0.0)):
    """Ticks with fresh observations of a robot that is where it was led."""
    commands = []
    for each_s in ticks(now_s, number):
        see(loop, each_s, *position)
        commands.append(loop.tick(each_s))
        if commands[-1].position is not None:
            position = commands[-1].position
    return commands


@pytest.mark.parametrize("stream", [None, StreamSettings()], ids=["points", "streamed"])
@pytest.mark.parametrize("found", [OTHER, DEAF], ids=["other commander", "no listener"])
def test_a_motion_stops_within_the_limits_and_then_nothing_is_sent(found, stream):
    loop, before, now_s = running_loop(start_s=50.0, num_ticks=80, stream=stream)
    loop.right_of_way.note(found)
    commands = follow_on(loop, now_s, 120, before[-1].position)
    stopping = [each for each in commands if each.position is not None]
    assert found.reason in {each.reason for each in stopping}
    assert {outcome(each) for each in commands[len(stopping) :]} == {(WAITING, found.reason)}
    assert stopping[-1].text == found.text
    way = positions(before[-3:] + stopping)
    assert np.abs(np.diff(way, axis=0))[0].max() > 0.005
    accelerations = np.array([each.acceleration for each in stopping])
    assert (np.abs(accelerations) <= LIMITS.acceleration * (1 + 1e-9)).all()
    steps = np.abs(np.diff(way, axis=0))
    assert (steps <= LIMITS.velocity * TICK_S * (1 + 1e-9)).all()
    assert not steps[-1].any()


def test_another_commander_that_falls_silent_is_kept_until_the_next_beginning():
    loop, _, now_s = running_loop(start_s=50.0)
    loop.right_of_way.note(OTHER)
    follow_on(loop, now_s, 100)
    loop.right_of_way.note(None)
    commands = follow_on(loop, now_s + 100 * TICK_S, 10)
    assert {outcome(each) for each in commands} == {(WAITING, Reason.OTHER_COMMANDER)}
    assert loop.plan_request(now_s + 110 * TICK_S) is None
    loop.start(MEMORY)
    # What was found last is from before: it is looked again.
    assert {outcome(each) for each in follow_on(loop, 55.0, 10)} == {(WAITING, Reason.NONE)}
    loop.right_of_way.note(None)
    assert RUNNING in {each.state for each in drive(loop, 50, lambda n: 0, start_s=60.0)}


def test_a_beginning_forgets_nothing_while_the_other_one_still_commands():
    loop = new_loop()
    loop.right_of_way.note(OTHER)
    loop.start(MEMORY)
    assert loop.right_of_way.other_commander == OTHER.text
    assert {outcome(each) for each in follow_on(loop, 50.0, 20)} == {(WAITING, OTHER.reason)}


def test_a_run_begins_as_soon_as_something_takes_its_commands():
    loop = new_loop()
    loop.right_of_way.note(DEAF)
    assert {outcome(each) for each in follow_on(loop, 50.0, 20)} == {(WAITING, DEAF.reason)}
    loop.right_of_way.note(None)
    assert RUNNING in {each.state for each in drive(loop, 50, lambda n: 0, start_s=51.0)}


def test_a_robot_whose_controller_comes_back_begins_where_it_is_measured():
    loop, before, now_s = running_loop(start_s=50.0)
    loop.right_of_way.note(DEAF)
    follow_on(loop, now_s, 100)
    loop.right_of_way.note(None)
    place = 0.5, -0.7
    later_s = now_s + 100 * TICK_S
    for moment_s in (later_s, later_s + TICK_S):  # what was measured once is no place yet
        see(loop, moment_s, *place)
    assert np.abs(before[-1].position - place).max() > 0.1
    np.testing.assert_allclose(loop.tick(later_s + TICK_S).position, place, atol=1e-9)
