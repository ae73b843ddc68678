import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stub_loop import (
    HOLDING,
    IMAGE,
    LIMITS,
    NAN,
    RUNNING,
    SPEC,
    STREAMS,
    TICK_S,
    WAITING,
    drive,
    never,
    new_loop,
    outcome,
    plan_of,
    positions,
    running_loop,
    see,
    steps_within_limits,
    ticks,
    waves,
)

from ddpm_controller.control.states import Reason

# Before it moves


def test_the_first_command_is_the_measured_position_in_the_order_of_the_action():
    loop = new_loop()
    see(loop, 1.0, shoulder=0.4, elbow=-1.2)
    command = loop.tick(1.0)
    np.testing.assert_array_equal(command.position, [0.4, -1.2])
    assert outcome(command) == (HOLDING, Reason.NO_PLAN)


def test_nothing_is_sent_before_the_joints_have_been_measured():
    loop = new_loop()
    loop.observe("camera", 1.0, IMAGE)
    command = loop.tick(1.0)
    assert command.position is None
    assert outcome(command) == (WAITING, Reason.NO_OBSERVATION)
    assert "joint_state" in command.text


def test_nothing_is_sent_without_limits():
    loop = new_loop(limits=None)
    see(loop, 1.0)
    command = loop.tick(1.0)
    assert command.position is None
    assert "robot_description" in command.text
    assert loop.plan_request(1.0) is None
    loop.take_limits(LIMITS)
    assert loop.tick(1.02).position is not None


@pytest.mark.parametrize(
    ("stamp_s", "value", "reason"),
    [
        (0.5, [0.0, 0.0], Reason.STALE_OBSERVATION),
        (1.0, [0.0, NAN], Reason.INVALID_OBSERVATION),
        (1.0, [0.0, 1.2], Reason.LIMIT_POSITION),
        (5.0, [0.0, 0.0], Reason.NO_OBSERVATION),
    ],
)
def test_nothing_is_sent_where_the_robot_is_not_known_to_be(stamp_s, value, reason):
    loop = new_loop()
    loop.observe("joint_state", stamp_s, np.array(value))
    command = loop.tick(1.0)
    assert command.position is None
    assert outcome(command) == (WAITING, reason)
    assert command.text


def test_a_robot_a_little_outside_its_limits_is_commanded_to_the_limit():
    loop = new_loop()
    see(loop, 1.0, shoulder=1.003)
    np.testing.assert_array_equal(loop.tick(1.0).position, [1.0, 0.0])


def test_without_a_checkpoint_it_holds_and_asks_for_no_plan():
    loop = new_loop()
    loop.start(None)
    see(loop, 1.0)
    assert loop.plan_request(1.0) is None
    assert outcome(loop.tick(1.0)) == (HOLDING, Reason.NO_CHECKPOINT)


def test_a_robot_whose_joints_no_stream_measures_is_refused():
    with pytest.raises(ValueError, match="no stream measures"):
        new_loop(streams=STREAMS[1:])


# While it moves


@pytest.mark.parametrize("delay_ticks", [0, 2, 5, 10, 15])
def test_late_plans_change_neither_the_limits_nor_the_path(delay_ticks):
    """Up to 0.3 s: the chunk of 0.7 s has not ended when the next one comes at 0.4 + 0.3."""
    commands = drive(new_loop(), 150, lambda n: delay_ticks)
    assert steps_within_limits(commands)
    states = [command.state for command in commands[delay_ticks + 1 :]]
    assert set(states) == {RUNNING}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 45), min_size=12, max_size=12), st.integers(0, 2**31))
def test_with_any_delays_every_step_is_within_the_limits_and_smooth(delays, seed):
    def wild(request):
        rows = np.random.default_rng(seed + request.plan_number).uniform(-3, 3, (8, 2))
        return plan_of(rows, request)

    commands = drive(new_loop(), 150, lambda n: delays[n % len(delays)], wild)
    sent = positions(commands)
    assert len(sent) == len(commands)
    assert steps_within_limits(commands)
    assert (sent >= LIMITS.lower).all()
    assert (sent <= LIMITS.upper).all()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0.001, 0.1), min_size=40, max_size=40))
def test_however_late_its_ticks_come_no_step_is_larger_than_the_time_or_a_period_allows(waits_s):
    loop, now_s, last, last_s = new_loop(), 1.0, None, 0.0
    for wait_s in waits_s:
        see(loop, now_s)
        request = loop.plan_request(now_s)
        if request is not None:
            loop.accept(plan_of(np.tile([[1.0, -2.0], [-1.0, 2.0]], (4, 1)), request), request)
        position = loop.tick(now_s).position
        if last is not None:
            reach = LIMITS.velocity * min(now_s - last_s, TICK_S)
            assert (np.abs(position - last) <= reach * (1 + 1e-9)).all()
        last, last_s = position, now_s
        now_s += wait_s


def test_a_chunk_that_comes_late_skips_what_is_past():
    def ramp(request):
        moments_s = request.requested_s - 1.0 + SPEC.period_s * np.arange(8)
        return plan_of(np.outer(moments_s, [0.2, 0.2]), request)

    commands = drive(new_loop(replan_period_s=10.0), 36, lambda n: 10, ramp)
    # From the fade's end at 0.2 + 0.2 s on, the ramp is followed at its own time.
    for command in commands[21:35]:
        np.testing.assert_allclose(command.position, 0.2 * (command.stamp_s - 1.0))
        np.testing.assert_allclose(command.velocity, 0.2)


def test_when_no_newer_chunk_comes_it_stops_behind_the_last_row_and_says_so():
    loop = new_loop()
    commands = drive(loop, 80, lambda n: 0 if n == 0 else never(n))
    ended = [c for c in commands if c.stamp_s > 1.7 + 1e-9]
    assert {outcome(c) for c in ended} == {(HOLDING, Reason.PLAN_LATE)}
    assert "ended" in ended[0].text
    assert steps_within_limits(commands)
    np.testing.assert_array_equal(ended[-1].position, ended[-2].position)


def test_a_plan_that_is_past_when_it_comes_is_not_followed():
    loop = new_loop()
    commands = drive(loop, 60, lambda n: 40)
    assert all(command.takeover is None for command in commands)
    assert outcome(commands[-1]) == (HOLDING, Reason.PLAN_LATE)
    assert "after the end of its chunk" in commands[-1].text
    assert np.ptp(positions(commands), axis=0).max() == 0


def test_a_failed_plan_is_told_and_planned_again_after_the_usual_time():
    loop = new_loop()
    asked_s = []
    for now_s in ticks(1.0, 45):
        see(loop, now_s)
        request = loop.plan_request(now_s)
        if request is not None:
            asked_s.append(now_s)
            loop.fail(request, "ValueError: the policy is ill")
        command = loop.tick(now_s)
    assert outcome(command) == (HOLDING, Reason.PLAN_FAILED)
    assert "the policy is ill" in command.text
    assert asked_s == pytest.approx([1.0, 1.4, 1.8])


def test_a_failed_plan_leaves_the_chunk_in_force_until_its_end():
    loop, _, now_s = running_loop()
    see(loop, now_s)
    loop.fail(loop.plan_request(now_s), "ill")
    for later_s in ticks(now_s, 30):
        see(loop, later_s)
        command = loop.tick(later_s)
        expected = RUNNING if later_s <= 1.7 else HOLDING
        assert command.state == expected
    assert command.reason == Reason.PLAN_FAILED


BAD_PLANS = {
    "not finite": (lambda r: plan_of(np.full((8, 2), NAN), r), "not finite"),
    "one number not finite": (
        lambda r: plan_of(np.where(np.eye(8, 2) > 0, np.inf, 0.0), r),
        "row 0, joint shoulder",
    ),
    "huge": (lambda r: plan_of(np.full((8, 2), 1e300), r), "no position"),
    "no rows": (lambda r: plan_of(np.zeros((0, 2)), r), "0 rows"),
}


@pytest.mark.parametrize(("make_plan", "text"), BAD_PLANS.values(), ids=BAD_PLANS)
def test_a_plan_that_cannot_be_followed_moves_nothing(make_plan, text):
    commands = drive(new_loop(), 20, lambda n: 0, make_plan)
    assert outcome(commands[-1]) == (HOLDING, Reason.PLAN_FAILED)
    assert text in commands[-1].text
    assert np.ptp(positions(commands), axis=0).max() == 0


def test_a_plan_for_other_joints_is_refused():
    loop = new_loop()
    see(loop, 1.0)
    request = loop.plan_request(1.0)
    plan = waves(request)
    object.__setattr__(plan.chunk, "joint_names", ("elbow", "shoulder"))
    assert "elbow" in loop.accept(plan, request)
    assert loop.tick(1.0).reason == Reason.PLAN_FAILED


def test_a_limit_is_named_while_it_runs():
    def far(request):
        return plan_of(np.full((8, 2), 1.9), request)

    commands = drive(new_loop(), 60, lambda n: 0, far)
    assert Reason.LIMIT_VELOCITY in {c.reason for c in commands[:20]}
    assert outcome(commands[-1]) == (RUNNING, Reason.LIMIT_POSITION)
    np.testing.assert_allclose(commands[-1].position, [1.0, 1.9])
    assert steps_within_limits(commands)


def test_short_chunks_are_renewed_before_they_end():
    """Eight rows last 0.7 s: with a plan each 10 s the arm would stop most of the time."""

    def ramp(request):
        moments_s = request.requested_s - 1.0 + SPEC.period_s * np.arange(8)
        return plan_of(np.outer(moments_s, [0.5, 0.5]), request)

    commands = drive(new_loop(replan_period_s=10.0), 150, lambda n: 5, ramp)
    assert {outcome(command)[0] for command in commands[10:]} == {RUNNING}


# When observations go wrong


def tick_without(loop, missing, now_s, bad=None):
    """One tick for which ``missing`` delivers nothing, or the bad value."""
    if missing != "joint_state":
        loop.observe("joint_state", now_s, np.zeros(2))
    elif bad is not None:
        loop.observe("joint_state", now_s, bad)
    if missing != "camera":
        loop.observe("camera", now_s, IMAGE)
    return loop.tick(now_s)


@pytest.mark.parametrize(("stream", "age_s"), [("joint_state", 0.3), ("camera", 0.5)])
def test_a_stream_that_falls_silent_stops_the_robot_smoothly_after_its_age(stream, age_s):
    loop = new_loop()
    commands = drive(loop, 20, lambda n: 0)
    silent_s = commands[-1].stamp_s
    for now_s in ticks(silent_s + TICK_S, 60):
        command = tick_without(loop, stream, now_s)
        commands.append(command)
        request = loop.plan_request(now_s)
        if request is not None:
            loop.accept(waves(request), request)
        stale = now_s - silent_s > age_s
        assert (outcome(command) == (HOLDING, Reason.STALE_OBSERVATION)) == stale
    assert stream in command.text
    assert steps_within_limits(commands)
    speeds = np.abs(np.diff(positions(commands), axis=0)).max(axis=1) / TICK_S
    # The stop takes 0.2 s: the speed falls by 1 / 10 of that before in each tick.
    assert np.abs(np.diff(speeds[20:])).max() < 0.35
    assert speeds[-1] == 0


def test_one_bad_value_stops_the_robot_and_the_next_good_one_lets_it_go_on():
    loop, commands, now_s = running_loop()
    bad = tick_without(loop, "joint_state", now_s, bad=np.array([0.0, NAN]))
    assert outcome(bad) == (HOLDING, Reason.INVALID_OBSERVATION)
    assert "shoulder" in bad.text
    assert loop.plan_request(now_s) is None
    see(loop, now_s + TICK_S, *bad.position)
    good = loop.tick(now_s + TICK_S)
    assert outcome(good) == (HOLDING, Reason.NO_PLAN)
    assert steps_within_limits([*commands, bad, good])


def test_after_a_stop_no_old_target_is_used_again():
    """The chunk, the plan that waits and the one that is being made are all dropped."""
    loop, _, now_s = running_loop()
    see(loop, now_s)
    old = loop.plan_request(now_s)
    tick_without(loop, "joint_state", now_s + TICK_S, bad=np.array([NAN, 0.0]))
    assert loop.accept(waves(old), old) == "the plan belongs to an older run"
    for later_s in ticks(now_s + 2 * TICK_S, 5):
        see(loop, later_s)
        command = loop.tick(later_s)
        assert outcome(command) == (HOLDING, Reason.NO_PLAN)
    assert loop.plan_request(later_s).plan_number == old.plan_number + 1


def test_a_message_that_could_not_be_read_counts_as_a_bad_value():
    loop, _, now_s = running_loop()
    see(loop, now_s)
    loop.refuse("camera", "camera: image of 480 x 640 came")
    command = loop.tick(now_s)
    assert outcome(command) == (HOLDING, Reason.INVALID_OBSERVATION)
    assert "480 x 640" in command.text


def test_a_value_out_of_order_does_not_stop_the_robot():
    loop, commands, now_s = running_loop()
    place = commands[-1].position
    see(loop, now_s, *place)
    assert "out of order" in loop.observe("joint_state", now_s - 0.01, place[::-1])
    assert loop.tick(now_s).state == RUNNING


def test_a_stamp_far_ahead_of_the_clock_is_refused_where_that_is_asked():
    loop, commands, now_s = running_loop(max_lead_s=1.0)
    assert "99.0 s ahead" in loop.observe("joint_state", now_s - TICK_S + 99.0, np.zeros(2))
    see(loop, now_s, *commands[-1].position)
    assert loop.tick(now_s).state == RUNNING
