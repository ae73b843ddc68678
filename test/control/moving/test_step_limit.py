"""What is sent stays within a step of the measured position, in every state, brakes included."""

from dataclasses import replace

import numpy as np
import pytest
from stub_loop import (
    HOLDING,
    LIMITS,
    RUNNING,
    TICK_S,
    new_loop,
    plan_of,
    see,
    steps_within_limits,
    ticks,
    waves,
)

from ddpm_controller.control.moving.braking import stoppable_speed, stopping_distance
from ddpm_controller.control.moving.interpolation import Motion
from ddpm_controller.control.moving.leading_motion import LeadingMotion
from ddpm_controller.control.moving.motion_loop import MotionLoop, Order
from ddpm_controller.control.moving.step_limit import StepLimit, needed_step, small_steps
from ddpm_controller.control.moving.stream_settings import StreamSettings, limits_between
from ddpm_controller.control.states import LIMIT_REASONS, LimitCounts, Reason, Verdict
from ddpm_controller.types import ActionChunk

STEP = np.array([0.1, np.inf])
STEPPED = replace(LIMITS, step=STEP)
STREAM = StreamSettings()
JOINTS = ("shoulder", "elbow")
# Bounds are kept to a millionth of what a jerk does in a period, see the governor.
ROUNDING = 1e-7

AROUND = {
    "the measured position alone": (0.0, [], 0.2, (0.1, 0.3)),
    "a lead above it": (0.08, [0.21, 0.26], 0.2, (0.16, 0.3)),
    "a lead on both sides": (0.08, [0.15, 0.26], 0.2, (0.16, 0.25)),
    "a robot that was thrown down": (0.08, [0.6, 0.7], 0.2, (0.2, 0.3)),
    "near the end of the joint": (0.0, [], 0.95, (0.85, 1.0)),
    "outside the joint's limits": (0.0, [], 1.05, (0.95, 1.0)),
}


@pytest.mark.parametrize(("ahead_s", "led", "at", "expected"), AROUND.values(), ids=AROUND)
def test_bounds_are_around_the_robot_and_where_it_is_led(ahead_s, led, at, expected):
    step = StepLimit(STEPPED, ahead_s)
    for i, position in enumerate(led):
        step.note(1.0 + 0.02 * i, np.array([position, 0.0]))
    bounds = step.around(np.array([at, 0.3]))
    assert (bounds.lower[0], bounds.upper[0]) == pytest.approx(expected)
    assert (bounds.lower[1], bounds.upper[1]) == (LIMITS.lower[1], LIMITS.upper[1])


def test_what_was_led_longer_ago_than_the_lead_or_before_a_beginning_does_not_count():
    step = StepLimit(STEPPED, 0.08)
    step.note(1.0, np.array([-0.5, 0.0]))
    step.note(1.1, np.array([0.2, 0.0]))
    assert step.around(np.array([0.2, 0.0])).upper[0] == pytest.approx(0.3)
    step.note(1.1, np.array([0.15, 0.0]))
    step.forget()
    assert step.around(np.array([0.2, 0.0])).upper[0] == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("limits", "measured"), [(LIMITS, np.zeros(2)), (STEPPED, None)], ids=["no step", "not seen"]
)
def test_without_a_step_or_a_measurement_there_are_no_bounds(limits, measured):
    assert StepLimit(limits).around(measured) is None


def driven(loop, robot, num_ticks=150, plans_until_s=2.0, stops_s=np.inf, start_s=1.0):
    """Commands of a loop and where the robot was then; ``robot(command, now_s)`` is its next."""
    commands, places, at = [], [], np.zeros(2)
    for now_s in ticks(start_s, num_ticks):
        see(loop, now_s, *at)
        request = loop.plan_request(now_s)
        if request is not None and now_s < plans_until_s:
            loop.accept(plan_of(np.tile([0.8, 0.0], (8, 1)), request), request)
        if now_s >= stops_s:
            loop.stop()
        commands.append(loop.tick(now_s))
        places.append(at)
        if commands[-1].position is not None:
            at = robot(commands[-1].position, now_s, at)
    return commands, np.array(places)


def farthest(commands, places):
    rows = np.array([each.position for each in commands])
    return np.abs(rows - places)[:, 0].max()


STOPS_STILL_S = 1.3


def protective_stop(command, now_s, at):
    return command if now_s < STOPS_STILL_S else at


@pytest.mark.parametrize("stream", [None, STREAM], ids=["single_point", "rest_ended"])
@pytest.mark.parametrize(
    ("until_s", "stops_s", "reason"),
    [
        (9.0, np.inf, Reason.LIMIT_STEP),
        (1.35, np.inf, Reason.PLAN_LATE),
        (9.0, 1.32, Reason.DEACTIVATED),
    ],
    ids=["running", "plan late", "stopping"],
)
def test_a_robot_in_a_protective_stop_is_led_no_further_than_the_step(
    stream, until_s, stops_s, reason
):
    loop = new_loop(limits=STEPPED, stream=stream)
    moved_s = 0.0 if stream is None else STREAM.begin_s + STREAM.past_s + STREAM.lead_s + 0.1
    commands, places = driven(
        loop,
        lambda command, now_s, at: protective_stop(command, now_s - moved_s, at),
        plans_until_s=until_s + moved_s,
        stops_s=stops_s + moved_s,
    )
    assert np.ptp(places[:, 0]) > 0.15
    assert commands[-1].reason == reason
    assert farthest(commands, places) <= 0.1 + ROUNDING
    assert steps_within_limits(commands)


def test_a_blocked_joint_rests_at_the_step_and_the_limit_is_named():
    commands, places = driven(new_loop(limits=STEPPED), lambda *_: np.zeros(2), plans_until_s=9.0)
    assert commands[-1].position[0] == pytest.approx(0.1)
    assert not commands[-1].velocity.any()
    assert commands[-1].reason == Reason.LIMIT_STEP
    assert commands[-1].state == RUNNING
    assert "step" in commands[-1].limited
    assert farthest(commands, places) <= 0.1 + ROUNDING


def test_after_a_late_plan_a_robot_that_is_released_is_not_led_to_the_end_of_the_chunk():
    """What was missed must not be caught up with."""

    def released(command, now_s, at):
        return at if STOPS_STILL_S <= now_s < 3.0 else command

    commands, places = driven(
        new_loop(limits=STEPPED), released, num_ticks=150, plans_until_s=1.35
    )
    assert commands[-1].reason == Reason.PLAN_LATE
    assert np.abs(np.diff(places[-50:, 0])).sum() <= 0.1 + ROUNDING
    assert commands[-1].position[0] < 0.75


def test_a_robot_that_is_pushed_while_it_is_held_takes_the_command_along():
    pushed_m = 0.3

    def push(command, now_s, at):
        return np.array([max(at[0], pushed_m * min(now_s - 2.5, 1.0)), 0.0])

    loop = new_loop(limits=STEPPED)
    commands, places = driven(loop, push, num_ticks=200, plans_until_s=0.0)
    assert commands[-1].state == HOLDING
    # The push is slower than the limits: the command is late by the ticks of a speeding up.
    assert farthest(commands, places) <= 0.1 + 0.3 * 3 * TICK_S
    assert commands[-1].position[0] == pytest.approx(pushed_m - 0.1, abs=1e-4)
    assert not commands[-1].velocity.any()


def test_a_robot_that_is_thrown_is_followed_without_a_jump_and_the_stop_ends():
    loop = new_loop(limits=STEPPED)
    commands, _ = driven(loop, lambda command, now_s, at: command, num_ticks=20)
    loop.stop()
    for now_s in ticks(1.4, 100):
        see(loop, now_s, 0.8 * np.sin(3 * now_s) if now_s < 2.4 else 0.5)
        commands.append(loop.tick(now_s))
    assert steps_within_limits(commands)
    assert not commands[-1].velocity.any()
    assert abs(commands[-1].position[0] - 0.5) <= 0.1 + ROUNDING


def test_a_joint_that_follows_gets_there():
    commands, places = driven(
        new_loop(limits=STEPPED), lambda command, *_: command, plans_until_s=9.0
    )
    np.testing.assert_allclose(places[-1], [0.8, 0.0], atol=1e-6)
    assert farthest(commands, places) <= 0.1 + ROUNDING


def test_without_a_step_every_command_is_the_same_bit_for_bit():
    wide = replace(LIMITS, step=np.array([100.0, 100.0]))
    runs = [
        driven(new_loop(limits=limits), lambda command, *_: command, plans_until_s=9.0)[0]
        for limits in (LIMITS, wide)
    ]
    np.testing.assert_array_equal(*([each.position for each in run] for run in runs))


def messages_of(step, robot, num_ticks=300, stop_s=0.2, back_s=np.inf):
    """Messages of a stream towards far places, and where the robot was measured then."""
    limits = replace(LIMITS, step=np.array([step, np.inf]))
    motion = LeadingMotion(JOINTS, limits, 0.01, STREAM, stop_s=stop_s)
    found, at = [], np.zeros(2)
    for k in range(num_ticks):
        now_s = 1.0 + 0.01 * k
        goal = 0.9 if now_s < back_s else -0.9
        chunk = None
        if k % 20 == 0:
            chunk = ActionChunk(now_s, 0.1, JOINTS, np.tile([goal, 0.2], (8, 1)))
        begin_at = at if k == 0 else None
        verdict = Verdict(RUNNING) if k < 0.8 * num_ticks else Verdict(HOLDING, Reason.NO_PLAN)
        order = Order(verdict, chunk, begin_at, measured=at)
        message = motion.tick(now_s, order).message
        if message is not None:
            found.append((now_s, message, at))
        at = robot(motion.stream.at(now_s).position, now_s, at)
    return found


@pytest.mark.parametrize("step", [0.05, 0.1, 0.3])
@pytest.mark.parametrize("stop_s", [0.02, 0.2, 0.8])
def test_a_whole_message_with_its_stop_stays_within_the_step_of_a_robot_that_stands(step, stop_s):
    found = messages_of(step, lambda led, now_s, at: led if now_s < 1.8 else at, stop_s=stop_s)
    assert len(found) > 100
    standing = [(message, at) for now_s, message, at in found if now_s > 1.83]
    # Points before the message's own moment are the past of the robot that moved.
    far = max(np.abs(each.positions[-1] - at)[0] for each, at in standing)
    assert far <= step + ROUNDING
    assert far > 0.3 * step
    ahead = max(
        np.abs(message.positions[message.times_s + message.stamp_s > now_s] - at)[:, 0].max()
        for now_s, message, at in found
    )
    assert ahead <= step + ROUNDING


def test_a_turn_within_the_lead_stays_within_the_step_of_a_robot_that_is_late():
    """It may still go where the command was led before the turn."""
    late = []

    def lagging(led, now_s, at):
        late.append(led)
        return late[-4] if len(late) > 3 else at

    found = messages_of(0.12, lagging, back_s=2.0)
    ahead = max(
        np.abs(message.positions[message.times_s + message.stamp_s > now_s] - at)[:, 0].max()
        for now_s, message, at in found
    )
    assert ahead <= 0.12 + ROUNDING


def test_a_kept_position_that_is_further_than_the_step_is_not_kept():
    for at, expected in ((0.05, 0.0), (0.15, 0.15)):
        motion = MotionLoop(STEPPED, TICK_S)
        motion.hold_at(np.zeros(2), 1.0)
        order = Order(Verdict(HOLDING), None, np.array([at, 0.0]), True, np.array([at, 0.0]))
        assert motion.follow(1.02, order).position[0] == expected


def test_a_motion_that_is_taken_up_keeps_the_step():
    motion = MotionLoop(STEPPED, TICK_S, stop_s=0.6)
    at, now_s = np.array([0.02, 0.0]), 1.02
    sent = Motion(np.array([0.06, 0.0]), np.array([0.5, 0.0]), np.zeros(2))
    motion.hold_at(np.zeros(2), 1.0)
    motion._sent = sent  # what another process has sent
    rows = []
    for k in range(60):
        order = Order(Verdict(HOLDING, Reason.CONTROLLER_LOST), measured=at)
        rows.append(motion.follow(now_s + k * TICK_S, order).position[0])
    assert max(rows) <= 0.12 + ROUNDING


def test_the_way_of_a_stop_is_the_reverse_of_the_speed_that_can_be_stopped():
    speed = np.array([0.01, 0.3, 1.5, 3.0])
    acceleration, jerk = np.full(4, 20.0), np.full(4, 800.0)
    way = stopping_distance(speed, acceleration, jerk)
    np.testing.assert_allclose(stoppable_speed(way, acceleration, jerk), speed)


def test_a_step_that_hardly_allows_a_motion_is_named_with_the_figure_that_it_needs():
    # A tenth of 1.5 rad/s for 0.1 s, and the stop: v / 2 * 2 sqrt(v / J), A = 60, J = 3000.
    needed = 0.015 + 0.15 * np.sqrt(0.15 / 3000)
    assert needed_step(LIMITS, 0.1)[0] == pytest.approx(needed)
    assert small_steps(replace(LIMITS, step=STEP), JOINTS, 0.1) == ""
    text = small_steps(replace(LIMITS, step=np.array([0.01, np.inf])), JOINTS, 0.1)
    assert "shoulder has 0.01 and needs 0.01606" in text
    assert "elbow" not in text


def test_points_of_a_stream_leave_room_for_what_is_between_them():
    assert limits_between(STEPPED, 0.02).step[0] < 0.1
    with pytest.raises(ValueError, match="max_step_from_measured"):
        limits_between(replace(LIMITS, step=np.array([1e-5, 1.0])), 0.02)


def test_limits_are_counted_by_tick_and_all_names_are_told_from_the_beginning():
    counts = LimitCounts()
    assert counts.names == list(LIMIT_REASONS)
    assert set(counts.counts) == {0}
    for limited in (("jerk", "velocity"), (), ("jerk",)):
        counts.add(limited)
    found = dict(zip(counts.names, counts.counts, strict=True))
    assert found["jerk"] == 2
    assert found["velocity"] == 1
    assert sum(found.values()) == 3


def test_a_step_limit_must_be_above_zero():
    with pytest.raises(ValueError, match="max_step_from_measured"):
        replace(LIMITS, step=np.array([0.0, 1.0]))


def test_waves_are_followed_within_the_step_by_a_robot_that_lags():
    loop = new_loop(limits=STEPPED)
    at, gap = np.zeros(2), 0.0
    for now_s in ticks(1.0, 300):
        see(loop, now_s, *at)
        request = loop.plan_request(now_s)
        if request is not None:
            loop.accept(waves(request), request)
        command = loop.tick(now_s)
        gap = max(gap, abs(command.position[0] - at[0]))
        at = at + 0.3 * (command.position - at)
    assert gap <= 0.1 + ROUNDING
