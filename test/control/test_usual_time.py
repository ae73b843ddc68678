"""How long plans take is measured, told to the policy, and asked ahead of."""

import numpy as np
import pytest
from stub_loop import MEMORY, TICK_S, new_loop, plan_of, see, ticks

from ddpm_controller.control.deadline import Deadline
from ddpm_controller.control.plan_pace import PlanPace
from ddpm_controller.control.usual_time import UsualDelay, usual
from ddpm_controller.policy import EXPECTED_DELAY
from ddpm_controller.types import Plan

DELAYED = {**MEMORY, EXPECTED_DELAY: np.array(0.0)}


def test_one_slow_plan_is_an_accident_and_two_of_three_are_a_slow_machine():
    assert usual([0.1] * 10 + [3.0]) == pytest.approx(0.1)
    assert usual([0.1] * 10 + [3.0, 0.1, 3.0]) == pytest.approx(3.0)
    assert usual([0.1, 0.2]) == pytest.approx(0.18)


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


def expected_delays(memory, plan_ticks, num_ticks=300):
    """What each plan was told when every plan takes so many ticks."""
    loop = new_loop()
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


def test_a_policy_whose_delay_is_a_setting_is_told_nothing():
    assert set(expected_delays(MEMORY, 6)) == {None}


@pytest.mark.parametrize(("delay_s", "due_s"), [(0.0, 0.65), (0.1, 0.65), (0.3, 0.4), (0.6, 0.0)])
def test_the_next_plan_is_asked_for_twice_its_time_before_the_rows_end(delay_s, due_s):
    pace = PlanPace(5.0, 0.02)
    pace.asked(10.0)
    assert pace.came(10.0, 1.0, delay_s) == ""
    assert not pace.is_due(10.0 + due_s - 0.011)
    assert pace.is_due(10.0 + due_s)


def test_where_steps_are_chosen_they_and_not_the_pace_follow_the_machine():
    pace = PlanPace(5.0, 0.02, Deadline(1, 0.0))
    pace.asked(10.0)
    pace.came(10.0, 1.0, 0.4)
    assert not pace.is_due(10.6)
    assert pace.is_due(10.65)
