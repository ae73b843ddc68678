"""What a policy remembers begins anew when the robot is not where the plan in force said."""

import math

import numpy as np
import pytest
from stub_loop import JOINTS, MEMORY, RUNNING, SPEC, TICK_S, new_loop, see

from ddpm_controller.control.plan_request import PlanRequest, Takeover
from ddpm_controller.control.planning.departure_watch import DepartureWatch
from ddpm_controller.policy import DepartureLimit
from ddpm_controller.types import ActionChunk, Plan

LIMIT = DepartureLimit(np.array([0.01, 0.1]), 4.0)
FADE_S = 0.2


def chunk_of(start_s, *rows):
    return ActionChunk(start_s, 0.1, JOINTS, np.array(rows, float))


def takeover_of(chunk, taken_s, before=None, **more):
    request = PlanRequest((), {}, 7, 0, chunk.start_s)
    return Takeover(Plan(chunk, {}), request, taken_s=taken_s, before=before, **more)


def watch(limit=LIMIT):
    return DepartureWatch(SPEC, FADE_S, limit)


RAMP = chunk_of(5.0, (0.0, 0.0), (0.2, 2.0), (0.4, 4.0), (0.6, 6.0), (0.8, 8.0), (1.0, 10.0))
"""Both joints at constant speed: 2 and 20 a second."""


def test_a_joint_that_departs_by_more_than_the_limit_is_named_with_both_values():
    each = watch()
    taken = takeover_of(RAMP, 5.0, before=RAMP)
    assert each.problem(taken, np.array([0.93, 9.3]), 5.45) == ""
    assert each.departure == pytest.approx(3.0)
    text = each.problem(taken, np.array([0.91, 9.41]), 5.45)
    assert each.departure == pytest.approx(4.1)  # the elbow: 0.41 of its 0.1
    assert "elbow is at 9.410 rad where plan 7 has 9.000: 4.1 usual departures, limit 4.0" in text


def test_while_chunks_fade_the_robot_is_expected_between_them():
    """A fade may last twice as long as asked for: up to 5.4 here."""
    before = chunk_of(4.9, *np.zeros((8, 2)))
    taken = takeover_of(RAMP, 5.0, before)
    for position, is_departure in (((0.0, 0.0), False), ((0.3, 3.0), False), ((-0.1, 0.0), True)):
        assert bool(watch().problem(taken, np.array(position), 5.3)) == is_departure
    assert watch().problem(taken, np.zeros(2), 5.41)


@pytest.mark.parametrize(
    ("taken", "stamp_s", "limit"),
    [
        (takeover_of(RAMP, 5.0), 5.2, LIMIT),  # it comes from rest, wherever that was
        (takeover_of(RAMP, 4.0), 5.6, LIMIT),  # behind its end
        (takeover_of(RAMP, 4.0, is_approach=True), 5.2, LIMIT),
        (None, 5.2, LIMIT),
        (takeover_of(RAMP, 4.0), 5.2, None),
    ],
)
def test_where_nothing_is_expected_nothing_departs(taken, stamp_s, limit):
    each = watch(limit)
    assert each.problem(taken, np.array([9.0, 9.0]), stamp_s) == ""
    assert math.isnan(each.departure)


def driven(limit, push_at, joints_follow=True, num_ticks=100):
    """Drive a loop whose plans remember their number; return it, requests and commands."""
    loop = new_loop(departure=limit)
    requests, commands, last = [], [], np.zeros(2)
    for tick in range(num_ticks):
        now_s = 1.0 + tick * TICK_S
        push = 0.3 if tick in push_at else 0.0
        see(loop, now_s, *(last + push))
        request = loop.plan_request(now_s)
        if request is not None:
            requests.append(request)
            stamps_s = now_s + 0.1 * np.arange(8)
            rows = 0.1 * np.stack([np.sin(stamps_s), np.cos(stamps_s)], axis=1)
            memory = {**request.memory, "state": np.array(request.plan_number)}
            loop.accept(Plan(ActionChunk(now_s, 0.1, JOINTS, rows), memory), request)
        commands.append(loop.tick(now_s))
        last = commands[-1].position
    return loop, requests, commands


def test_a_push_lets_the_next_plan_remember_nothing_and_does_not_move_the_robot():
    limit = DepartureLimit(np.full(2, 0.02), 5.0)
    calm, _, expected = driven(limit, ())
    loop, requests, commands = driven(limit, range(58, 64))
    states = [request.memory.get("state") for request in requests]
    assert [state is None for state in states] == [True, False, False, True, False]
    assert [request.plan_number for request in requests] == [0, 1, 2, 3, 4]
    assert loop.schedule.memory.resets == 1
    assert "where plan 2 has" in loop.schedule.memory.reset_text
    assert {command.state for command in commands[2:]} == {RUNNING}
    np.testing.assert_array_equal(
        [command.position for command in commands], [command.position for command in expected]
    )
    assert calm.schedule.memory.resets == 0
    assert 0 < calm.departure.departure < 5


def test_a_plan_that_failed_after_a_push_is_not_counted_again():
    loop = new_loop(departure=DepartureLimit(np.full(2, 0.02), 5.0))
    see(loop, 1.0)
    request = loop.plan_request(1.0)
    memory = {**MEMORY, "state": np.array(1)}
    loop.accept(Plan(ActionChunk(1.0, 0.1, JOINTS, np.zeros((30, 2))), memory), request)
    for tick in range(90):
        now_s = 1.0 + tick * TICK_S
        see(loop, now_s, shoulder=0.5 if tick > 40 else 0.0)
        loop.tick(now_s)
        request = loop.plan_request(now_s)
        if request is not None:
            loop.fail(request, "on purpose")
    assert loop.schedule.memory.resets == 1
    assert request is None or "state" not in request.memory


def test_each_joint_is_compared_with_the_plan_of_its_own_moment():
    """A gripper that is measured more rarely than the arm has not departed for that."""
    taken = takeover_of(RAMP, 5.0, before=RAMP)
    stamps_s = np.array([5.48, 5.45])
    assert watch().problem(taken, np.array([0.96, 9.0]), stamps_s) == ""
    assert "elbow" in watch().problem(taken, np.array([0.96, 9.6]), stamps_s)
