"""A loop whose robot does not go where it is led: stopped, begun again where it stands."""

from dataclasses import replace

import numpy as np
import pytest
from stub_loop import HOLDING, LIMITS, MEMORY, RUNNING, TICK_S, new_loop, plan_of, see, ticks

from ddpm_controller.control.moving.stream_settings import StreamSettings
from ddpm_controller.control.observing.follow_watch import FollowRules
from ddpm_controller.control.states import Reason

RULES = FollowRules()
FOLLOW = replace(LIMITS, follow=np.array([0.1, 0.1]))
STREAM = StreamSettings()
FAULT_S = 2.0


def goal_rows(request):
    """Rows towards 0.9 rad and on from where the robot is seen, as a policy plans."""
    at = request.window[-1].values["joint_state"][1]
    way = np.clip(at + 0.06 * np.arange(1, 17), None, 0.9)
    return np.stack([way, np.zeros(16)], axis=1)


def driven(loop, robot, seconds, start_s=1.0, at=None):
    """(stamp, command, measured) of each tick."""
    at, found = np.zeros(2) if at is None else at, []
    for now_s in ticks(start_s, round(seconds / TICK_S)):
        see(loop, now_s, *at)
        request = loop.plan_request(now_s)
        if request is not None:
            loop.accept(plan_of(goal_rows(request), request), request)
        command = loop.tick(now_s)
        found.append((now_s, command, at))
        if command.position is not None:
            at = robot(command.position, now_s, at)
    return found


def stands_still(command, now_s, at):
    return command if now_s < FAULT_S else at


def never_moves(command, now_s, at):
    return at


def reasons(found):
    """State and reason at each change."""
    told = [(command.state, command.reason) for _, command, _ in found]
    return [each for each, last in zip(told, [None, *told], strict=False) if each != last]


@pytest.mark.parametrize("stream", [None, STREAM], ids=["single_point", "rest_ended"])
def test_a_robot_that_stands_still_is_noticed_and_its_command_comes_back_to_it(stream):
    loop = new_loop(limits=FOLLOW, follow=RULES, stream=stream)
    found = driven(loop, never_moves, 4.5)
    reason = (HOLDING, Reason.NOT_FOLLOWED)
    told = reasons(found)
    first = told.index(reason)
    assert told[first - 1][0] == RUNNING
    # It stops, begins again where the robot is, rests there, and is led again.
    assert told[first + 1 : first + 4] == [(HOLDING, Reason.NO_PLAN), reason, told[first + 1]]
    k = next(k for k, each in enumerate(found) if each[1].reason == Reason.NOT_FOLLOWED) + 60
    assert found[k][1].reason == Reason.NOT_FOLLOWED
    np.testing.assert_allclose(found[k][1].position, found[k][2], atol=1e-9)
    assert not found[k][1].velocity.any()


@pytest.mark.parametrize("stream", [None, STREAM], ids=["single_point", "rest_ended"])
def test_it_is_led_no_further_each_time_and_after_the_last_time_it_waits_for_a_reset(stream):
    loop = new_loop(limits=FOLLOW, follow=replace(RULES, repeats=2), stream=stream)
    found = driven(loop, never_moves, 12.0)
    away = np.array([np.abs(command.position - at).max() for _, command, at in found])
    stops = [
        k
        for k in range(1, len(found))
        if found[k][1].reason == Reason.NOT_FOLLOWED and found[k - 1][1].state == RUNNING
    ]
    assert len(stops) == 3
    firsts = away[: stops[1]].max()
    assert away[stops[1] :].max() <= firsts + 1e-9
    assert firsts < 0.65  # 0.6 rad/s for the lag, the patience and the tolerance
    assert away[-100:].max() < 1e-9
    assert "3 times in a row: reset to resume" in found[-1][1].text
    loop.start(MEMORY)
    again = driven(loop, lambda command, *_: command, 2.0, start_s=found[-1][0] + TICK_S)
    assert again[-1][1].state == RUNNING


@pytest.mark.parametrize("stream", [None, STREAM], ids=["single_point", "rest_ended"])
def test_between_two_beginnings_no_command_jumps(stream):
    loop = new_loop(limits=FOLLOW, follow=RULES, stream=stream)
    found = driven(loop, stands_still, 8.0)
    rows = np.array([command.position for _, command, _ in found])
    begins = [
        k
        for k in range(1, len(found))
        if found[k][1].reason == Reason.NO_PLAN and found[k - 1][1].reason != Reason.NO_PLAN
    ]
    assert begins
    steps = np.abs(np.diff(rows, axis=0))
    for k in begins:
        np.testing.assert_allclose(rows[k], found[k][2], atol=1e-9)  # where the robot stands
        steps[k - 1] = 0.0
    assert (steps <= LIMITS.velocity * TICK_S * (1 + 1e-9)).all()


def test_a_robot_that_is_released_while_it_rests_goes_on_from_where_it_stands():
    loop = new_loop(limits=FOLLOW, follow=RULES)

    def released(command, now_s, at):
        return at if 1.2 <= now_s < 3.0 else command

    found = driven(loop, released, 6.0)
    assert Reason.NOT_FOLLOWED in {command.reason for _, command, _ in found}
    assert found[-1][1].state == RUNNING
    places = np.array([at for _, _, at in found])
    assert places[-1, 0] == pytest.approx(0.9, abs=1e-3)
    assert (np.abs(np.diff(places, axis=0)) <= LIMITS.velocity * TICK_S * (1 + 1e-9)).all()


def test_with_a_step_the_robot_is_led_away_no_further_and_noticed_all_the_same():
    limits = replace(FOLLOW, step=np.array([0.15, 0.15]))
    for stream in (None, STREAM):
        loop = new_loop(limits=limits, follow=RULES, stream=stream)
        found = driven(loop, never_moves, 5.0)
        assert max(np.abs(c.position - at).max() for _, c, at in found) <= 0.15 + 1e-7
        assert Reason.NOT_FOLLOWED in {command.reason for _, command, _ in found}


@pytest.mark.parametrize("step", [np.inf, 0.05])
@pytest.mark.parametrize("stream", [None, STREAM], ids=["single_point", "rest_ended"])
def test_a_gripper_that_holds_something_does_not_let_it_go_at_a_new_beginning(stream, step):
    follow, steps = np.array([0.1, np.inf]), np.array([np.inf, step])
    loop = new_loop(limits=replace(LIMITS, follow=follow, step=steps), follow=RULES, stream=stream)
    holds = -0.2

    def robot(command, now_s, at):
        return np.array([0.0, max(command[1], holds)])

    commands, at = [], np.zeros(2)
    for now_s in ticks(1.0, 250):
        see(loop, now_s, *at)
        request = loop.plan_request(now_s)
        if request is not None:
            rows = goal_rows(request) * [1.0, 0.0] + [0.0, -0.5]
            loop.accept(plan_of(rows, request), request)
        commands.append(loop.tick(now_s))
        at = robot(commands[-1].position, now_s, at)
    assert Reason.NOT_FOLLOWED in {each.reason for each in commands}
    closed = next(k for k, each in enumerate(commands) if each.position[1] < holds - 0.04)
    assert all(each.position[1] < holds - 0.04 for each in commands[closed:])


def test_a_loop_that_stops_by_request_is_not_begun_again():
    loop = new_loop(limits=FOLLOW, follow=RULES)
    driven(loop, never_moves, 1.5)
    loop.stop()
    found = driven(loop, never_moves, 3.0, start_s=2.5)
    assert {command.reason for _, command, _ in found} == {Reason.DEACTIVATED}


def test_a_plan_from_before_the_stop_is_not_followed_afterwards():
    loop = new_loop(limits=FOLLOW, follow=RULES)
    epoch = loop.schedule.epoch
    driven(loop, never_moves, 3.0)
    assert loop.schedule.epoch > epoch
    assert loop.schedule.in_force is None
