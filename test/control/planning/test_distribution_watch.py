from dataclasses import replace

import numpy as np
from stub_loop import HOLDING, RUNNING, new_loop, outcome, plan_of, see, steps_within_limits, ticks

from ddpm_controller.control.states import Reason

OUT = Reason.OUT_OF_DISTRIBUTION


def commands_of(loop, scores, num_plans):
    """Commands while plan n has ``scores(n)`` and the limit is 2; a plan comes every 0.4 s."""
    commands = []
    for now_s in ticks(1.0, 20 * num_plans):
        see(loop, now_s, *(commands[-1].position if commands else np.zeros(2)))
        request = loop.plan_request(now_s)
        if request is not None:
            stamps_s = request.requested_s + 0.1 * np.arange(8)
            rows = np.stack([0.5 * np.sin(stamps_s), 0 * stamps_s], axis=1)
            score = scores(request.plan_number)
            traces = {"out_of_distribution": score, "out_of_distribution_limit": 2.0}
            loop.accept(replace(plan_of(rows, request), traces=traces), request)
        commands.append(loop.tick(now_s))
    return commands


def test_three_strange_plans_in_a_row_stop_the_robot_and_a_good_one_lets_it_go_on():
    loop = new_loop(out_of_distribution_plans=3)
    strange = {1, 2, 4, 5, 6, 7}
    commands = commands_of(loop, lambda n: 2.5 if n in strange else 1.0, 12)
    stopped = [k for k, each in enumerate(commands) if outcome(each) == (HOLDING, OUT)]
    # Plan 6 is the third in a row, plan 8 is good; 20 ticks from plan to plan.
    assert stopped == list(range(120, 160))
    assert "distance 2.50, limit 2.00" in commands[130].text
    np.testing.assert_array_equal(commands[155].velocity, 0.0)
    assert commands[165].state == RUNNING
    assert steps_within_limits(commands)


def test_it_is_only_told_unless_asked_to_stop():
    loop = new_loop()
    commands = commands_of(loop, lambda n: 9.0, 8)
    assert OUT not in {each.reason for each in commands}
    assert (loop.distribution.score, loop.distribution.limit) == (9.0, 2.0)


def test_a_policy_without_such_a_measure_is_never_stopped():
    loop = new_loop(out_of_distribution_plans=1)
    commands = commands_of(loop, lambda n: np.nan, 4)
    assert OUT not in {each.reason for each in commands}


def test_a_run_begins_without_the_count_of_the_one_before():
    loop = new_loop(out_of_distribution_plans=3)
    commands_of(loop, lambda n: 9.0, 2)
    loop.start({"plan_number": np.array(0)})
    assert np.isnan(loop.distribution.score)
    commands = commands_of(loop, lambda n: 9.0, 2)
    assert OUT not in {each.reason for each in commands}
