"""A policy remembers what the robot has followed, and nothing else."""

import numpy as np
import pytest
from stub_loop import LIMITS, MEMORY, SPEC, TICK_S, new_loop, plan_of, see, ticks

from ddpm_controller.control.loop_settings import PolicyTerms
from ddpm_controller.control.states import Reason, State
from ddpm_controller.types import ActionChunk, Plan


def plan_of_length(request, num_rows):
    """A plan that stays where the robot is and remembers its number."""
    plan = plan_of(np.zeros((num_rows, 2)), request)
    memory = {**request.memory, "followed": np.array(request.plan_number)}
    return Plan(plan.chunk, memory)


def followed(request):
    """Number of the plan that the next one goes on from; None where it begins anew."""
    number = request.memory.get("followed")
    return None if number is None else int(number)


def advance(loop, now_s, num_ticks):
    """Tick without asking for a plan; return the time of the next tick and the last command."""
    for stamp_s in ticks(now_s, num_ticks):
        see(loop, stamp_s)
        command = loop.tick(stamp_s)
    return now_s + num_ticks * TICK_S, command


def request_at(loop, now_s):
    see(loop, now_s)
    return loop.plan_request(now_s)


def loop_that_follows(num_rows=8, **changes):
    """A loop that has just taken plan 0 over, and the time of its next tick."""
    loop = new_loop(**changes)
    loop.accept(plan_of_length(request_at(loop, 1.0), num_rows), loop.schedule._awaited)
    now_s, command = advance(loop, 1.0, 1)
    assert command.takeover is not None
    return loop, now_s


def test_a_plan_goes_on_from_the_one_that_is_followed():
    loop, now_s = loop_that_follows()
    now_s, _ = advance(loop, now_s, 20)
    assert followed(request_at(loop, now_s)) == 0


def test_a_plan_that_waits_is_remembered_only_when_it_is_taken_over():
    """Here the robot waits outside its limits, so that nothing is followed."""
    loop = new_loop()
    for now_s in (1.0, 1.5):
        loop.observe("camera", now_s, np.zeros((4, 6, 3), np.uint8))
        loop.observe("joint_state", now_s, np.array([0.0, LIMITS.upper[0] + 0.5]))
        request = loop.plan_request(now_s)
        assert followed(request) is None
        loop.accept(plan_of_length(request, 20), request)
        assert loop.tick(now_s).reason == Reason.LIMIT_POSITION
    assert followed(request_at(loop, 2.0)) is None
    _, command = advance(loop, 2.02, 1)
    assert command.takeover.request.plan_number == 1


def test_a_plan_that_comes_after_its_end_is_not_remembered():
    loop, now_s = loop_that_follows()
    now_s, _ = advance(loop, now_s, 20)
    late = request_at(loop, now_s)
    now_s, command = advance(loop, now_s, 60)
    assert loop.accept(plan_of_length(late, 8), late) == ""
    now_s, command = advance(loop, now_s, 1)
    assert command.reason == Reason.PLAN_LATE
    assert followed(request_at(loop, now_s)) == 0


def test_after_a_failed_plan_the_next_goes_on_from_the_chunk_in_force():
    loop, now_s = loop_that_follows(num_rows=20)
    now_s, _ = advance(loop, now_s, 20)
    loop.fail(request_at(loop, now_s), "no")
    now_s, _ = advance(loop, now_s, 20)
    broken = request_at(loop, now_s)
    rows = np.full((8, 2), np.nan)
    poisoned = Plan(ActionChunk(now_s, 0.1, SPEC.joint_names, rows), {"followed": np.array(7)})
    assert "not finite" in loop.accept(poisoned, broken)
    now_s, _ = advance(loop, now_s, 20)
    request = request_at(loop, now_s)
    assert followed(request) == 0
    assert request.plan_number == int(request.memory["plan_number"]) == 3


@pytest.mark.parametrize("how", ["stale", "time went back", "reset", "swap"])
def test_nothing_is_remembered_of_a_chunk_that_was_dropped(how):
    """Also where a plan made before comes later."""
    loop, now_s = loop_that_follows(num_rows=40)
    now_s, _ = advance(loop, now_s, 20)
    before = request_at(loop, now_s)
    if how == "stale":
        for stamp_s in ticks(now_s, 30):  # 0.6 s, the chunk would last longer
            command = loop.tick(stamp_s)
        assert command.state == State.HOLDING
        now_s += 0.6
    elif how == "time went back":
        now_s -= 0.2
        now_s, _ = advance(loop, now_s, 40)  # it stops first
    elif how == "reset":
        loop.start(MEMORY, keep_position=True)
    else:
        loop.use_policy(PolicyTerms(2), MEMORY)
    assert loop.accept(plan_of_length(before, 40), before) == "the plan belongs to an older run"
    now_s, _ = advance(loop, now_s, 10)
    request = request_at(loop, now_s)
    assert followed(request) is None
    assert request.plan_number == (0 if how == "reset" else 2)


def test_a_plan_of_the_policy_before_is_followed_and_not_remembered():
    """It was accepted, but not taken over, when another policy came."""
    loop, now_s = loop_that_follows()
    now_s, _ = advance(loop, now_s, 20)
    old = request_at(loop, now_s)
    loop.accept(plan_of_length(old, 8), old)
    loop.use_policy(PolicyTerms(2), {**MEMORY, "seed": np.array(7)})
    now_s, command = advance(loop, now_s, 1)
    assert command.takeover.request is old
    request = request_at(loop, now_s)
    assert (followed(request), int(request.memory["seed"])) == (None, 7)


def test_a_policy_that_keeps_the_memory_goes_on_from_the_plan_in_force():
    """With its own numbers where the one before has none; a plan being made is dropped."""
    loop, now_s = loop_that_follows(num_rows=40)
    now_s, _ = advance(loop, now_s, 20)
    old = request_at(loop, now_s)
    loop.use_policy(PolicyTerms(2), {**MEMORY, "own": np.array(4)}, keeps_memory=True)
    assert loop.accept(plan_of_length(old, 40), old) == "the plan belongs to an older run"
    request = request_at(loop, now_s)
    assert (followed(request), int(request.memory["own"]), request.plan_number) == (0, 4, 2)
    assert loop.schedule.memory.resets == 0


def test_it_also_goes_on_from_a_plan_of_the_policy_before_that_is_still_to_be_followed():
    loop, now_s = loop_that_follows()
    now_s, _ = advance(loop, now_s, 20)
    old = request_at(loop, now_s)
    loop.accept(plan_of_length(old, 8), old)
    loop.use_policy(PolicyTerms(2), {**MEMORY, "own": np.array(4)}, keeps_memory=True)
    now_s, command = advance(loop, now_s, 1)
    assert command.takeover.request is old
    request = request_at(loop, now_s)
    assert (followed(request), int(request.memory["own"])) == (1, 4)


def test_what_is_forgotten_within_a_run_is_counted_once_with_the_reason():
    loop, now_s = loop_that_follows(num_rows=60)
    memory = loop.schedule.memory
    now_s, _ = advance(loop, now_s, 2)
    for stamp_s in ticks(now_s, 40):  # nothing is seen for 0.8 s
        loop.tick(stamp_s)
    assert memory.resets == 1
    assert "joint_state is 0." in memory.reset_text
    loop.use_policy(PolicyTerms(2), MEMORY)  # nothing is remembered that could be lost
    assert memory.resets == 1
    now_s, _ = advance(loop, now_s + 0.8, 1)
    loop.accept(plan_of_length(request_at(loop, now_s), 60), loop.schedule._awaited)
    advance(loop, now_s, 1)
    loop.use_policy(PolicyTerms(2), MEMORY)
    assert memory.resets == 2
    assert "another checkpoint" in memory.reset_text
