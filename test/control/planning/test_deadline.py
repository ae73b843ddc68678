"""How many denoising steps fit, and what happens where none do."""

import numpy as np
import pytest
from stub_loop import (
    HOLDING,
    MEMORY,
    RUNNING,
    new_loop,
    outcome,
    positions,
    see,
    steps_within_limits,
    ticks,
    waves,
)

from ddpm_controller.control.loop_settings import PolicyTerms
from ddpm_controller.control.planning.deadline import CostEstimate, Deadline
from ddpm_controller.control.states import Reason

STEPPED = {**MEMORY, "num_inference_steps": np.array(0)}


def true_cost(num_steps):
    return 0.05 + 0.02 * num_steps


def test_fixed_cost_and_cost_per_step_are_told_apart_despite_disturbed_plans():
    estimate, random = CostEstimate(num_warm_up=0), np.random.default_rng(0)
    for k in range(20):
        num_steps = (4, 7, 10)[k % 3]
        disturbed = 0.5 if k in (3, 11) else 0.0
        estimate.add(num_steps, true_cost(num_steps) + random.uniform(0, 0.004) + disturbed)
    assert estimate.cost.per_step_s == pytest.approx(0.02, abs=0.001)
    assert estimate.cost.fixed_s == pytest.approx(0.0525, abs=0.006)


def test_while_all_plans_had_the_same_steps_all_time_counts_as_theirs():
    estimate = CostEstimate(num_warm_up=0)
    for _ in range(5):
        estimate.add(10, 0.25)
    assert estimate.cost.predicted_s(10) == pytest.approx(0.25)
    assert estimate.cost.predicted_s(5) == pytest.approx(0.125)


def test_two_slow_plans_in_a_row_are_a_slow_machine_and_one_is_not():
    estimate = CostEstimate(num_warm_up=0)
    for time_s in [0.2] * 15 + [2.0]:
        estimate.add(10, time_s)
    assert estimate.cost.predicted_s(10) == pytest.approx(0.2)
    estimate.add(10, 2.0)
    assert estimate.cost.predicted_s(10) == pytest.approx(2.0)


def test_warm_up_and_nonsense_do_not_count_and_the_old_is_forgotten():
    estimate = CostEstimate(num_warm_up=2)
    for time_s in (9.0, 9.0, float("nan"), 0.0):
        estimate.add(10, time_s)
    assert estimate.cost is None
    for _ in range(20):
        estimate.add(10, 2.0)
    for _ in range(20):
        estimate.add(10, 0.3)
    assert estimate.cost.predicted_s(10) == pytest.approx(0.3)
    estimate.restart(warm_up=True)
    estimate.add(10, 7.0)
    assert estimate.cost is None


def informed(lowest=2, margin_s=0.04):
    """Knows the true cost."""
    deadline = Deadline(lowest, margin_s)
    deadline.use(10)
    for num_steps in (10, 10, 6, 10):
        deadline.note(num_steps, true_cost(num_steps))
    return deadline


@pytest.mark.parametrize(
    ("available_s", "num_steps"), [(9.0, 10), (0.2901, 10), (0.2899, 9), (0.2, 5), (0.1301, 2)]
)
def test_as_many_steps_are_taken_as_fit_before_the_deadline_less_the_margin(
    available_s, num_steps
):
    assert informed().choose(available_s).num_steps == num_steps


def test_below_the_lowest_number_nothing_is_planned_and_the_figures_are_told():
    choice = informed().choose(0.1299)
    assert choice.num_steps is None
    assert "2 denoising steps (policy.min_inference_steps) takes 90 ms" in choice.text
    assert "(50 ms and 20.0 ms per step)" in choice.text
    assert "130 ms less 40 ms of margin" in choice.text


def test_without_a_deadline_or_a_measurement_all_steps_are_taken():
    assert informed().choose(None).num_steps == 10
    deadline = Deadline(2, 0.0)
    deadline.use(10)
    assert deadline.choose(1e-3).num_steps == 10


def test_numbers_out_of_range_are_refused():
    with pytest.raises(ValueError, match=r"lowest must be at least 1 .* got 0 and 0.1"):
        Deadline(0, 0.1)
    with pytest.raises(ValueError, match=r"not below 0, got 1 and -0.1"):
        Deadline(1, -0.1)


def driven(cost, num_ticks, memory=STEPPED, lowest=2):
    """Drive a loop whose plans take the time that ``cost(now_s, steps)`` says."""
    loop = new_loop(min_inference_steps=lowest)
    loop.start(memory)
    commands, requests, coming, last = [], [], None, np.zeros(2)
    for now_s in ticks(1.0, num_ticks):
        see(loop, now_s, *last)
        if coming is not None and now_s >= coming[0]:
            _, plan, request, time_s = coming
            loop.schedule.note_time(request, time_s)
            loop.accept(plan, request)
            coming = None
        command = loop.tick(now_s)
        commands.append(command)
        last = last if command.position is None else command.position
        request = loop.plan_request(now_s)
        if request is not None:
            requests.append(request)
            time_s = cost(now_s, request.num_inference_steps or 10)
            coming = (now_s + time_s, waves(request), request, time_s)
    return commands, requests


def test_on_a_slow_machine_fewer_steps_keep_the_robot_moving():
    """10 steps take 0.5 s; a request leaves 0.3 s of a chunk of 0.7 s."""
    slow = driven(lambda now_s, steps: 0.02 + 0.048 * steps, 500)
    plain = driven(lambda now_s, steps: 0.02 + 0.048 * steps, 500, memory=MEMORY)
    numbers = [request.num_inference_steps for request in slow[1]]
    assert numbers[:2] == [10, 10]
    assert 2 <= min(numbers[3:]) <= max(numbers[3:]) <= 5
    assert all(int(r.memory["num_inference_steps"]) == r.num_inference_steps for r in slow[1])
    stops = [sum(c.state == HOLDING for c in commands[150:]) for commands, _ in (slow, plain)]
    assert stops[0] == 0
    assert stops[1] > 50
    assert {request.num_inference_steps for request in plain[1]} == {None}


def test_a_machine_that_is_too_slow_stops_the_robot_and_says_so_until_it_is_fast_again():
    def cost(now_s, steps):
        return 0.02 + (0.2 if 4.0 < now_s < 14.0 else 0.001) * steps

    commands, requests = driven(cost, 850)
    held = [c for c in commands if outcome(c) == (HOLDING, Reason.TOO_SLOW)]
    # Two plans of 2 s each have shown it.
    assert 8.0 < held[0].stamp_s < 9.0
    assert "2 denoising steps (policy.min_inference_steps) takes" in held[-1].text
    # Once a second it is tried, with the fewest steps.
    trials = [r for r in requests if held[0].stamp_s < r.requested_s < 14.0]
    assert 4 <= len(trials) <= 6
    assert {r.num_inference_steps for r in trials} == {2}
    assert commands[-1].state == RUNNING
    assert requests[-1].num_inference_steps > 2
    assert steps_within_limits(commands)
    still = positions([c for c in held if c.stamp_s > held[0].stamp_s + 0.5])
    assert np.ptp(still, axis=0).max() == 0


def test_a_plan_that_begins_anew_counts_as_one_that_goes_on():
    """Else a trial that is fast enough, of a robot at rest, would be followed by a stop."""
    loop = new_loop(min_inference_steps=2)
    loop.start(STEPPED)
    costs = []
    for now_s, relative in ((1.0, 1.0), (2.0, 0.25), (3.0, 1.0)):
        see(loop, now_s)
        loop.schedule.abandon()
        request = loop.plan_request(now_s)
        loop.schedule.note_time(request, 0.1, relative)
        cost = loop.schedule.plan_cost
        costs.append(cost and pytest.approx(cost.predicted_s(10)))
    assert costs[:2] == [None, 0.4]  # the first plan of a policy does not count


def test_of_a_trial_only_the_steps_count_for_more():
    deadline = informed()
    deadline.try_again()
    deadline.note(2, 0.05 + 2 * 0.02 / 4, 0.25)
    assert deadline.cost.predicted_s(2) == pytest.approx(true_cost(2), rel=0.02)


def test_another_policy_begins_with_all_of_its_steps():
    loop = new_loop(min_inference_steps=2)
    loop.use_policy(PolicyTerms(2, 12), STEPPED)
    see(loop, 1.0)
    assert loop.plan_request(1.0).num_inference_steps == 12


def test_a_policy_that_keeps_no_steps_is_left_alone():
    loop = new_loop(min_inference_steps=2)
    see(loop, 1.0)
    request = loop.plan_request(1.0)
    assert request.num_inference_steps is None
    assert "num_inference_steps" not in request.memory
