"""Where a run begins, ends and begins again."""

import numpy as np
from stub_loop import (
    HOLDING,
    LIMITS,
    MEMORY,
    RUNNING,
    TICK_S,
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

from ddpm_controller.control.loop_settings import PolicyTerms
from ddpm_controller.control.moving.motion_loop import MotionLoop, Order
from ddpm_controller.control.states import Reason, Verdict


def test_the_same_seed_and_delays_give_the_same_commands_bit_for_bit():
    first, second = (positions(drive(new_loop(), 100, lambda n: n % 7)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    other = new_loop()
    other.start({**MEMORY, "seed": np.array(1)})
    assert (positions(drive(other, 100, lambda n: n % 7)) != first).any()


def test_plans_are_counted_from_zero_and_the_policy_remembers_the_number():
    loop = new_loop()
    numbers = []

    def spy(request):
        numbers.append((request.plan_number, int(request.memory["plan_number"])))
        return waves(request)

    drive(loop, 60, lambda n: 1, spy)
    assert numbers == [(0, 0), (1, 1), (2, 2)]
    loop.start(MEMORY)
    drive(loop, 1, lambda n: 1, spy, start_s=9.0)
    assert numbers[-1] == (0, 0)


def test_a_plan_asked_for_before_a_reset_is_dropped():
    loop, _, now_s = running_loop()
    see(loop, now_s)
    old = loop.plan_request(now_s)
    loop.start(MEMORY)
    assert loop.accept(waves(old), old)
    see(loop, now_s + TICK_S)
    assert outcome(loop.tick(now_s + TICK_S)) == (HOLDING, Reason.NO_PLAN)


def test_a_reset_goes_on_from_the_last_command_where_the_robot_is_still_near():
    loop, commands, now_s = running_loop()
    loop.start(MEMORY, keep_position=True)
    last = commands[-1].position
    see(loop, now_s, *(last + 0.1))
    np.testing.assert_array_equal(loop.tick(now_s).position, last)


def test_a_reset_begins_where_the_robot_is_when_it_was_put_elsewhere():
    loop, _, now_s = running_loop()
    loop.start(MEMORY, keep_position=True)
    see(loop, now_s, -0.9, -0.9)
    np.testing.assert_array_equal(loop.tick(now_s).position, [-0.9, -0.9])


def test_a_run_waits_for_observations_of_its_own():
    loop, _, now_s = running_loop()
    loop.start(MEMORY, not_before_s=now_s + 0.1)
    see(loop, now_s)
    assert loop.tick(now_s).position is None
    see(loop, now_s + 0.1)
    assert loop.tick(now_s + 0.1).position is not None


def test_another_policy_plans_next_while_the_chunk_in_force_goes_on():
    loop, commands, now_s = running_loop()
    see(loop, now_s)
    old = loop.plan_request(now_s)
    loop.use_policy(PolicyTerms(3), {**MEMORY, "seed": np.array(7)})
    assert loop.accept(waves(old), old)
    commands.append(loop.tick(now_s))
    assert commands[-1].state == RUNNING
    new = loop.plan_request(now_s)
    assert (len(new.window), new.plan_number, int(new.memory["seed"])) == (3, 2, 7)
    loop.accept(waves(new), new)
    for later_s in ticks(now_s + TICK_S, 20):
        see(loop, later_s)
        commands.append(loop.tick(later_s))
    assert commands[-20].takeover.request is new
    assert steps_within_limits(commands)


def test_a_stop_comes_to_rest_and_stays_until_the_next_start():
    loop, commands, now_s = running_loop()
    loop.stop()
    for later_s in ticks(now_s, 20):
        see(loop, later_s)
        commands.append(loop.tick(later_s))
        assert loop.plan_request(later_s) is None
        assert outcome(commands[-1]) == (HOLDING, Reason.DEACTIVATED)
    assert steps_within_limits(commands)
    np.testing.assert_array_equal(commands[-1].position, commands[-9].position)


def test_in_lockstep_a_tick_waits_for_what_each_rate_promises():
    loop = new_loop()
    assert loop.late_streams(1.0) == ["joint_state", "camera"]
    see(loop, 1.0)
    assert loop.late_streams(1.0) == []
    assert loop.late_streams(1.02) == ["joint_state"]
    loop.observe("joint_state", 1.02, np.zeros(2))
    assert loop.late_streams(1.02) == []
    loop.observe("joint_state", 1.04, np.zeros(2))
    assert loop.late_streams(1.04) == ["camera"]
    loop.refuse("camera", "unreadable")
    assert loop.late_streams(1.04) == []


def test_recorded_states_and_plans_give_the_recorded_commands_again():
    """What a replay does: no observations, only what was decided and taken over."""
    commands = drive(new_loop(), 120, lambda n: n % 9)
    replay = MotionLoop(LIMITS, TICK_S)
    replay.hold_at(commands[0].position, commands[0].stamp_s)
    for command in commands:
        chunk = command.takeover.plan.chunk if command.takeover else None
        order = Order(Verdict(command.state, command.reason), chunk)
        again = replay.follow(command.stamp_s, order)
        np.testing.assert_array_equal(again.position, command.position)
