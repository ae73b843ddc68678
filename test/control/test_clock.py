"""The clock of the ticks jumps: the robot stops smoothly and begins again from where it is."""

import numpy as np
import pytest
from stub_loop import (
    HOLDING,
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
    steps_within_limits,
    ticks,
    waves,
)

from ddpm_controller.control.observing.stream_rules import StreamRule
from ddpm_controller.control.states import Reason

BACK, FORWARD = 2.0, 500.0
JUMPS = pytest.mark.parametrize(
    ("later_s", "text"), [(BACK, "went back by 48.38 s"), (FORWARD, "leapt forward by 449.62 s")]
)


def accelerations(commands):
    """(N, 2) of the commands, by divided differences."""
    return np.diff(positions(commands), 2, axis=0) / TICK_S**2


@JUMPS
def test_after_a_jump_of_time_it_stops_smoothly_and_says_so(later_s, text):
    loop, commands, _ = running_loop(start_s=50.0)
    commands = commands[-3:]
    for now_s in ticks(later_s, 30):
        commands.append(loop.tick(now_s))
    stopped = [each for each in commands if each.reason == Reason.CLOCK_JUMP]
    assert {each.state for each in stopped} == {HOLDING}
    assert text in stopped[0].text
    speed = np.abs(np.diff(positions(commands), axis=0)).max(axis=1) / TICK_S
    assert speed[0] > 0.3
    assert speed[-1] == 0
    assert (np.abs(accelerations(commands)) <= LIMITS.acceleration * (1 + 1e-9)).all()
    # Nothing was seen since.
    assert outcome(commands[-1])[0] == WAITING


@JUMPS
def test_after_a_jump_of_time_it_goes_on_with_a_new_plan(later_s, text):
    loop, commands, now_s = running_loop(start_s=50.0)
    see(loop, now_s)
    old = loop.plan_request(now_s)
    again = drive(loop, 50, lambda n: 0, start_s=later_s, begin=commands[-1].position)
    assert loop.accept(waves(old), old) == "the plan belongs to an older run"
    first = next(each for each in again if each.takeover is not None)
    assert first.takeover.request.requested_s >= later_s + 0.2
    assert first.takeover.request.window[0].stamp_s >= later_s
    assert again[-1].state == RUNNING
    assert steps_within_limits([commands[-1], *again])


def test_while_it_stops_for_a_jump_it_asks_for_no_plan():
    loop, _, _ = running_loop(start_s=50.0)
    for now_s in ticks(BACK, 5):
        see(loop, now_s)
        loop.tick(now_s)
        assert loop.plan_request(now_s) is None


def test_a_robot_put_elsewhere_by_a_jump_of_time_is_commanded_where_it_is():
    loop, _, _ = running_loop(start_s=50.0)
    for now_s in ticks(BACK, 30):
        see(loop, now_s, -0.9, -0.9)
        command = loop.tick(now_s)
    np.testing.assert_array_equal(command.position, [-0.9, -0.9])


def test_a_jump_before_the_first_command_only_forgets():
    loop = new_loop()
    loop.tick(50.0)
    see(loop, 50.0)
    assert outcome(loop.tick(BACK)) == (WAITING, Reason.NO_OBSERVATION)


def test_a_second_without_ticks_is_no_leap():
    loop, _, now_s = running_loop()
    see(loop, now_s + 0.9)
    assert loop.tick(now_s + 0.9).reason != Reason.CLOCK_JUMP


def test_what_came_at_the_new_time_is_kept_after_a_leap():
    """In lockstep it does not come again."""
    loop, _, _ = running_loop()
    see(loop, FORWARD)
    loop.advance(FORWARD)
    assert loop.late_streams(FORWARD) == []


def test_a_new_run_ends_the_stop_for_a_jump():
    loop, _, _ = running_loop(start_s=50.0)
    loop.tick(BACK)
    loop.start(MEMORY)
    see(loop, BACK + TICK_S)
    assert outcome(loop.tick(BACK + TICK_S)) == (HOLDING, Reason.NO_PLAN)


def test_what_was_seen_before_a_leap_is_in_no_window_after_it():
    loop = new_loop(limits=None)
    see(loop, 1.0)
    loop.tick(1.0)
    loop.take_limits(LIMITS)
    see(loop, FORWARD)
    loop.tick(FORWARD)
    window = loop.plan_request(FORWARD).window
    assert {s for o in window for s in o.source_stamps_s.values()} == {FORWARD}


def test_a_stop_with_a_late_tick_still_ends_in_its_time_after_a_jump_back():
    """It begins anew with what is left of its time, which is not that of a stop before."""
    loop, commands, now_s = running_loop(start_s=50.0)
    commands += [loop.tick(later_s) for later_s in ticks(now_s, 40)]  # stale: a stop
    begin = commands[-1].position
    drive(loop, 20, lambda n: 0, start_s=now_s + 40 * TICK_S, begin=begin)
    commands = [loop.tick(later_s) for later_s in (BACK, *ticks(BACK + 3 * TICK_S, 10))]
    assert {outcome(each) for each in commands[:9]} == {(HOLDING, Reason.CLOCK_JUMP)}
    speed = np.abs(np.diff(positions(commands), axis=0)).max(axis=1)
    assert speed[0] > 0
    assert speed[-1] == 0


@JUMPS
def test_rates_and_the_motion_under_a_still_picture_count_from_a_jump_on(later_s, text):
    loop = new_loop(rules={"camera": StreamRule(frozen_after_s=0.3)})
    for k, now_s in enumerate(ticks(50.0, 12)):
        see(loop, now_s, shoulder=0.05 * k)
        loop.tick(now_s)
    loop.tick(later_s)
    assert np.isnan(loop.watch.healths(later_s)["camera"].rate_hz)
    for now_s in ticks(later_s + TICK_S, 3):
        see(loop, now_s, shoulder=0.5)
        loop.tick(now_s)
    health = loop.watch.healths(now_s)["camera"]
    assert health.rate_hz == pytest.approx(50.0)
    assert health.reason == Reason.NONE
