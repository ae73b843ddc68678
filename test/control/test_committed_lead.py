"""A loop whose motion is committed ahead of now, command by command."""

import numpy as np
import pytest
from stub_loop import (
    HOLDING,
    LIMITS,
    RUNNING,
    TICK_S,
    drive,
    never,
    new_loop,
    outcome,
    plan_of,
    positions,
    see,
    waves,
)

from ddpm_controller.control.moving.stream_settings import StreamSettings
from ddpm_controller.control.states import Reason

STREAM = StreamSettings()
BEGINS_S = STREAM.begin_s + STREAM.past_s + STREAM.lead_s


def stepped(num_ticks, delay_ticks, make_plan):
    """Commands of a loop that streams."""
    return drive(new_loop(stream=STREAM), num_ticks, delay_ticks, make_plan)


def accelerations(commands):
    return np.array([each.acceleration for each in commands if each.acceleration is not None])


def test_a_run_begins_at_rest_and_then_follows_its_plans_within_the_limits():
    commands = stepped(150, lambda n: 1, waves)
    sent = positions(commands)
    resting = round(BEGINS_S / TICK_S)
    np.testing.assert_array_equal(sent[: resting - 1], np.zeros((resting - 1, 2)))
    assert np.abs(sent[resting + 20 :]).max() > 0.5
    assert (np.abs(accelerations(commands)) <= LIMITS.acceleration).all()


def test_a_plan_is_taken_over_only_once_a_moment_is_free_for_it():
    """One that the robot never follows must leave nothing behind."""
    loop = new_loop(stream=STREAM)
    commands = drive(loop, 60, lambda n: 1, waves)
    taken = [each.takeover.request.plan_number for each in commands if each.takeover]
    free = next(k for k, each in enumerate(commands) if each.state == RUNNING)
    assert np.diff(taken).tolist() == [1] * (len(taken) - 1)
    assert commands[free].takeover is not None
    assert {each.reason for each in commands[:free]} == {Reason.NO_PLAN}
    assert free == round((STREAM.begin_s + STREAM.past_s) / TICK_S) + 1
    assert np.abs(positions(commands)[: free + 4]).max() == 0.0


def test_the_first_plan_is_made_of_what_is_seen_when_the_robot_is_free_to_move():
    """Rows for the rest with which a run begins would be past, and caught up with in haste."""
    commands = drive(new_loop(stream=STREAM), 60, lambda n: 3, waves)
    first = next(each.takeover for each in commands if each.takeover)
    free_s = 1.0 + STREAM.begin_s + STREAM.past_s
    assert first.request.plan_number == 0
    assert free_s - TICK_S < first.request.requested_s < free_s + TICK_S


def test_in_a_further_run_the_first_plan_is_there_when_the_robot_is_free_to_move():
    loop = new_loop(stream=STREAM)
    drive(loop, 120, lambda n: 5, waves)
    loop.start({"seed": np.array(0), "plan_number": np.array(0)}, not_before_s=-np.inf)
    commands = drive(loop, 60, lambda n: 5, waves, start_s=4.0)
    free = round((STREAM.begin_s + STREAM.past_s) / TICK_S)
    taken = next(k for k, each in enumerate(commands) if each.takeover)
    assert free <= taken <= free + 1
    assert 0.08 < 4.0 + free * TICK_S - commands[taken].takeover.request.requested_s < 0.14


def test_a_first_plan_that_comes_sooner_than_expected_is_waited_for_with_no_other():
    """Another one would continue from it, and the robot would never follow the first."""
    loop = new_loop(stream=STREAM)
    drive(loop, 120, lambda n: 15, waves)
    loop.start({"seed": np.array(0), "plan_number": np.array(0)}, not_before_s=-np.inf)
    commands = drive(loop, 60, lambda n: 1, waves, start_s=4.0)
    taken = [each.takeover.request.plan_number for each in commands if each.takeover]
    assert taken[:3] == [0, 1, 2]


def test_a_run_that_begins_where_another_one_has_just_stopped_follows_its_first_plan():
    """What was committed is followed first: a plan before that would never be followed."""
    loop = new_loop(stream=STREAM)
    drive(loop, 120, lambda n: 1, waves)
    begin_s = 1.0 + 120 * TICK_S
    loop.stop()
    num_ticks = round(loop.longest_stop_s / TICK_S) + 1
    drive(loop, num_ticks, lambda n: 1, waves, start_s=begin_s)
    loop.start({"seed": np.array(0), "plan_number": np.array(0)}, not_before_s=-np.inf)
    begin_s += num_ticks * TICK_S
    commands = drive(loop, 90, lambda n: 1, waves, start_s=begin_s)
    taken = [each.takeover.request.plan_number for each in commands if each.takeover]
    assert taken[:2] == [0, 1]


@pytest.mark.parametrize("stream", [None, STREAM])
def test_a_plan_changes_nothing_before_the_lead_has_passed(stream):
    """What the lead costs in reaction time."""
    loop = new_loop(stream=stream)
    first_move_s = {}
    for k in range(100):
        now_s = 1.0 + k * TICK_S
        see(loop, now_s)
        command = loop.tick(now_s)
        request = loop.plan_request(now_s)
        if request is not None:
            row = np.array([0.0, 0.0]) if now_s < 2.0 else np.array([0.3, 0.4])
            loop.accept(plan_of(np.tile(row, (8, 1)), request), request)
            if now_s >= 2.0:
                first_move_s.setdefault("asked", now_s)
        if command.position is not None and np.abs(command.position).max() > 1e-9:
            first_move_s.setdefault("moved", now_s)
    reaction_s = first_move_s["moved"] - first_move_s["asked"]
    lead_s = stream.lead_s if stream else 0.0
    assert reaction_s == pytest.approx(lead_s + TICK_S, abs=1e-6)


def test_the_robot_stops_where_the_chunk_ends_when_no_newer_one_comes():
    """The reason is there a lead before the last row, the command goes to it all the same."""
    stops = {}
    for name, stream in (("lead", STREAM), ("none", None)):
        loop = new_loop(stream=stream)
        commands = drive(loop, 120, lambda n: 1 if n == 0 else never(n), waves)
        late = next(k for k, each in enumerate(commands) if each.reason == Reason.PLAN_LATE)
        assert outcome(commands[late])[0] == HOLDING
        assert any(each.state == RUNNING for each in commands)
        request = next(each.takeover.request for each in commands if each.takeover)
        stops[name] = commands[late].stamp_s - request.requested_s, commands[-1].position
        assert not commands[-1].velocity.any()
    assert stops["none"][0] - stops["lead"][0] == pytest.approx(STREAM.lead_s)


def test_a_plan_that_is_past_when_the_lead_has_passed_is_not_followed():
    """Its last row would be sent after its moment."""
    loop = new_loop(stream=STREAM)
    begin_s = 1.0 - STREAM.begin_s - STREAM.past_s
    see(loop, begin_s)
    loop.tick(begin_s)
    assert loop.plan_request(begin_s) is None
    see(loop, 1.0)
    loop.tick(1.0)
    request = loop.plan_request(1.0)
    end_s = 1.0 + 0.1 * 7
    loop.accept(waves(request), request)
    see(loop, end_s - 0.07)
    assert loop.tick(end_s - 0.07).state == HOLDING
    other = new_loop()
    see(other, 1.0)
    other.tick(1.0)
    request = other.plan_request(1.0)
    other.accept(waves(request), request)
    see(other, end_s - 0.07)
    assert other.tick(end_s - 0.07).state == RUNNING


def test_a_second_run_begins_where_the_robot_is_measured_whatever_was_committed():
    loop = new_loop(stream=STREAM)
    drive(loop, 60, lambda n: 1, waves)
    loop.start({"seed": np.array(0), "plan_number": np.array(0)})
    see(loop, 2.3, 0.25, -0.5)
    np.testing.assert_array_equal(loop.tick(2.3).position, [0.25, -0.5])
