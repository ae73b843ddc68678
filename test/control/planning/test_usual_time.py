"""How long plans take is measured, told to the policy, and asked ahead of."""

import numpy as np
import pytest
from stub_loop import LIMITS, MEMORY, TICK_S, new_loop, plan_of, see, ticks

from ddpm_controller.control.planning.deadline import Deadline, UsualDelay, usual
from ddpm_controller.control.planning.plan_pace import PlanPace
from ddpm_controller.policy import EXPECTED_DELAY
from ddpm_controller.types import Plan

DELAYED = {**MEMORY, EXPECTED_DELAY: np.array(0.0)}


def test_one_slow_plan_is_an_accident_and_two_of_three_are_a_slow_machine():
    assert usual([0.1] * 10 + [3.0]) == pytest.approx(0.1)
    assert usual([0.1] * 10 + [3.0, 0.1, 3.0]) == pytest.approx(3.0)
    assert usual([0.1] * 8 + [0.2] * 2) == pytest.approx(0.2)
    assert usual([1.0, 0.1, 0.1]) == pytest.approx(0.1)  # the first one


def test_nothing_is_expected_before_the_first_plan_and_of_another_policy():
    delay = UsualDelay()
    assert delay.expected_s == 0.0
    for _ in range(30):
        delay.add(0.3)
    assert delay.expected_s == pytest.approx(0.3)
    delay.restart()
    assert delay.expected_s == 0.0
    delay.add(-1e-9)  # rounding of two moments that are the same
    assert delay.expected_s == 0.0


def expected_delays(memory, plan_ticks, num_ticks=300, **changes):
    """What each plan was told when every plan takes so many ticks."""
    loop = new_loop(**changes)
    loop.start(memory)
    told, coming = [], None
    for k, now_s in enumerate(ticks(1.0, num_ticks)):
        see(loop, now_s)
        if coming is not None and k == coming[0]:
            loop.accept(*coming[1:])
            coming = None
        loop.tick(now_s)
        request = loop.plan_request(now_s)
        if request is not None:
            told.append(request.expected_delay_s)
            chunk = plan_of(np.zeros((20, 2)), request).chunk
            coming = (k + plan_ticks, Plan(chunk, request.memory), request)
    return told


@pytest.mark.parametrize("plan_ticks", [1, 6])
def test_a_plan_is_told_how_long_those_before_it_took_until_they_were_followed(plan_ticks):
    told = expected_delays(DELAYED, plan_ticks)
    assert len(told) > 3
    assert told[0] == 0.0
    assert told[1:] == [pytest.approx(plan_ticks * TICK_S)] * (len(told) - 1)


def test_rows_that_are_sent_ahead_are_settled_so_much_earlier():
    told = expected_delays(DELAYED, 3, lead_s=0.3)
    assert told[1:] == [pytest.approx(3 * TICK_S + 0.3)] * (len(told) - 1)


def test_a_plan_that_waits_for_a_robot_that_may_not_start_is_not_late():
    """In lockstep plans take no time, and must not seem to."""
    loop = new_loop()
    loop.start(DELAYED)
    told = []
    for k, now_s in enumerate(ticks(1.0, 100)):
        outside = LIMITS.upper[0] + 0.5 if k < 30 else 0.0
        loop.observe("camera", now_s, np.zeros((4, 6, 3), np.uint8))
        loop.observe("joint_state", now_s, np.array([0.0, outside]))
        request = loop.plan_request(now_s)
        if request is not None:
            told.append(request.expected_delay_s)
            loop.accept(Plan(plan_of(np.zeros((40, 2)), request).chunk, request.memory), request)
        loop.tick(now_s)
    assert len(told) > 2
    assert set(told) == {0.0}


@pytest.mark.parametrize("keeps", [False, True])
def test_a_swap_that_keeps_the_memory_keeps_the_delay(keeps):
    schedule = new_loop().schedule
    schedule.start(DELAYED)
    schedule._delay.add(0.3)
    schedule.use_policy(2, DELAYED, keeps_memory=keeps)
    assert schedule._settled_s == (0.3 if keeps else 0.0)


def test_a_policy_whose_delay_is_a_setting_takes_over_no_measured_one():
    schedule = new_loop().schedule
    schedule.start(DELAYED)
    schedule.use_policy(2, MEMORY, keeps_memory=True)
    assert EXPECTED_DELAY not in schedule.memory.now
    schedule.memory.take(DELAYED, schedule.epoch - 1)  # of a plan of the policy before
    assert EXPECTED_DELAY not in schedule.memory.now


def test_a_policy_whose_delay_is_a_setting_is_told_nothing():
    assert set(expected_delays(MEMORY, 6)) == {None}


@pytest.mark.parametrize(("delay_s", "due_s"), [(0.0, 0.65), (0.1, 0.65), (0.3, 0.4), (0.6, 0.0)])
def test_the_next_plan_is_asked_for_twice_its_time_before_the_rows_end(delay_s, due_s):
    pace = PlanPace(5.0, 0.02)
    pace.asked(10.0)
    assert pace.came(10.0, 1.0) == ""
    pace.followed(10.0, delay_s)
    assert not pace.is_due(10.0 + due_s - 0.011)
    assert pace.is_due(10.0 + due_s)


def test_where_steps_are_chosen_they_and_not_the_pace_follow_the_machine():
    pace = PlanPace(5.0, 0.02, Deadline(1, 0.0))
    pace.asked(10.0)
    pace.came(10.0, 1.0)
    pace.followed(10.0, 0.4)
    assert not pace.is_due(10.6)
    assert pace.is_due(10.65)
