"""Streams that are late, silent, frozen or out of order, and what the robot file says then."""

import math

import numpy as np
import pytest
from stub_loop import (
    CAMERA,
    HOLDING,
    IMAGE,
    MEMORY,
    RUNNING,
    SPEC,
    STATE,
    STREAMS,
    TICK_S,
    drive,
    new_loop,
    outcome,
    running_loop,
    see,
    steps_within_limits,
    ticks,
    waves,
)

from ddpm_controller.control.observing.observation_watch import ObservationWatch
from ddpm_controller.control.observing.stream_rules import FrozenImage, StreamRule
from ddpm_controller.control.states import Reason

STALE, FROZEN = Reason.STALE_OBSERVATION, Reason.FROZEN_IMAGE
LOOK_S = 0.3
RULES = {"camera": StreamRule(frozen_after_s=LOOK_S)}


def watch_of(**rules) -> ObservationWatch:
    watch = ObservationWatch(STREAMS, {"joint_state": 0.3, "camera": 0.5}, SPEC, 1.0, rules=rules)
    watch.start()
    return watch


def picture(number: int) -> np.ndarray:
    return np.full((4, 6, 3), number % 256, np.uint8)


# Statistics


def test_a_stream_tells_its_rate_its_ages_and_what_came_out_of_order():
    watch = watch_of()
    for k in range(40):
        watch.observe("joint_state", 1.0 + 0.02 * k, np.zeros(2), arrived_s=1.01 + 0.02 * k)
    watch.observe("joint_state", 1.5, np.zeros(2), arrived_s=1.8)
    health = watch.healths(1.9)["joint_state"]
    assert health.rate_hz == pytest.approx(50.0)
    assert health.age_s == pytest.approx(0.12)
    assert health.arrival_age_s == pytest.approx(0.11)
    assert health.out_of_order == 1
    assert health.clock_lead_s == pytest.approx(-0.01)
    assert health.reason == Reason.NONE


def test_a_clock_that_is_off_is_seen_by_the_message_that_came_soonest():
    watch = watch_of()
    assert math.isnan(watch.healths(1.0)["joint_state"].clock_lead_s)
    for k, delay_s in enumerate((0.05, 0.004, 0.09)):
        stamp_s = 1.0 + 0.02 * k
        watch.observe("joint_state", stamp_s, np.zeros(2), arrived_s=stamp_s - 0.2 + delay_s)
    assert watch.healths(1.0)["joint_state"].clock_lead_s == pytest.approx(0.196)


def test_of_several_clocks_the_one_that_is_off_most_is_reported():
    watch = watch_of()
    first, second = np.array([True, False]), np.array([False, True])
    for k in range(5):
        now_s = 1.0 + 0.02 * k
        watch.observe("joint_state", now_s, np.array([0.0, math.nan]), first, now_s + 0.01)
        watch.observe("joint_state", now_s - 0.25, np.array([math.nan, 0.0]), second, now_s)
    assert watch.healths(1.1)["joint_state"].clock_lead_s == pytest.approx(-0.25)


def test_a_message_that_comes_again_is_not_counted():
    watch = watch_of()
    for k in range(5):
        watch.observe("camera", 1.0, IMAGE, arrived_s=1.0 + 0.2 * k)
    health = watch.healths(1.8)["camera"]
    assert health.arrival_age_s == pytest.approx(0.8)
    assert math.isnan(health.rate_hz)


def test_a_run_that_takes_the_same_stamp_once_more_has_no_rate():
    watch = watch_of()
    watch.observe("camera", 1.0, IMAGE)
    watch.start()
    watch.observe("camera", 1.0, IMAGE)
    assert math.isnan(watch.healths(1.0)["camera"].rate_hz)


def test_a_stream_that_has_not_come_has_no_figures():
    health = watch_of().healths(1.0)["camera"]
    assert math.isnan(health.rate_hz)
    assert math.isnan(health.age_s)
    assert math.isnan(health.arrival_age_s)
    assert (health.out_of_order, health.reason) == (0, Reason.NO_OBSERVATION)


def test_what_was_out_of_order_is_counted_on_through_runs():
    watch = watch_of()
    watch.observe("camera", 1.0, IMAGE)
    watch.observe("camera", 0.9, IMAGE)
    watch.start()
    assert watch.healths(1.0)["camera"].out_of_order == 1


# Age by stamp and by arrival


def health_of_camera(lead_s: float, silent_s: float):
    """After 1 s of pictures whose stamps are ``lead_s`` ahead, and ``silent_s`` of none."""
    watch = watch_of()
    for now_s in ticks(1.0, 51):
        watch.advance(now_s)
        watch.observe("camera", now_s + lead_s, IMAGE, arrived_s=now_s)
    return watch.healths(2.0 + silent_s)["camera"]


@pytest.mark.parametrize(
    ("lead_s", "silent_s", "text"),
    [
        (0.0, 0.0, ""),
        (0.0, 0.49, ""),
        (0.0, 0.52, "0.52 s old by its stamp"),
        (0.4, 0.0, ""),
        (0.4, 0.52, "so long ago the newest came"),
        (0.6, 0.0, "0.60 s ahead of its arrival"),
        (-0.4, 0.0, ""),
        (-0.6, 0.0, "0.60 s old by its stamp, it came 0.00 s ago"),
    ],
)
def test_stamps_that_run_ahead_or_lag_do_not_hide_how_old_a_stream_is(lead_s, silent_s, text):
    health = health_of_camera(lead_s, silent_s)
    assert (health.reason == STALE) == bool(text)
    assert text in health.text


def test_after_one_stamp_from_the_future_the_older_ones_do_not_count_as_coming():
    """They are refused as out of order, so the policy would see a picture of long ago."""
    watch = watch_of()
    for now_s in ticks(1.0, 60):
        watch.advance(now_s)
        watch.observe("camera", 1.45 if now_s == 1.0 else now_s, IMAGE, arrived_s=now_s)
        if now_s < 1.45:
            assert watch.healths(now_s)["camera"].out_of_order == round((now_s - 1) / TICK_S)
        watch.observe("joint_state", now_s, np.zeros(2))
    assert watch.problem(now_s) is None


# Frozen pictures


def drive_camera(loop, number_of, num_ticks=40, start_s=1.0):
    """Drive a loop under waves; at tick k the camera sends the picture ``number_of(k)``."""
    commands, last = [], np.zeros(2)
    for k, now_s in enumerate(ticks(start_s, num_ticks)):
        loop.observe("joint_state", now_s, last[::-1])
        loop.observe("camera", now_s, picture(number_of(k)))
        commands.append(loop.tick(now_s))
        if commands[-1].position is not None:
            last = commands[-1].position
        request = loop.plan_request(now_s)
        if request is not None:
            loop.accept(waves(request), request)
    return commands


def test_a_camera_that_freezes_while_the_robot_moves_stops_it_until_it_sees_again():
    loop = new_loop(rules=RULES)
    commands = drive_camera(loop, lambda k: min(k, 30) if k < 90 else k, 110)
    frozen = [k for k, each in enumerate(commands) if outcome(each) == (HOLDING, FROZEN)]
    # Moved far enough a few ticks after the last new picture, and 0.3 s later it is told.
    assert 30 + LOOK_S / TICK_S < frozen[0] < 30 + (LOOK_S + 0.15) / TICK_S
    assert frozen == list(range(frozen[0], 90))
    assert "camera sends the same picture" in commands[frozen[0]].text
    assert commands[90].reason == Reason.NO_PLAN
    assert commands[-1].state == RUNNING
    assert commands[-1].takeover is None
    assert steps_within_limits(commands)


def test_a_camera_that_changes_is_never_frozen():
    assert FROZEN not in {c.reason for c in drive_camera(new_loop(rules=RULES), lambda k: k, 150)}


def test_a_still_picture_of_a_robot_at_rest_is_not_frozen():
    """A simulated camera has no noise. Then the robot moves, and the next picture differs."""
    loop = new_loop(rules=RULES)
    for now_s in ticks(1.0, 200):
        see(loop, now_s)
        assert loop.tick(now_s).reason == Reason.NO_PLAN
    commands = drive_camera(loop, lambda k: k + 1, 50, start_s=now_s + TICK_S)
    assert FROZEN not in {each.reason for each in commands}


@pytest.mark.parametrize(("after_s", "expected"), [(0.0, False), (0.3, True)])
def test_zero_turns_the_watch_for_frozen_pictures_off(after_s, expected):
    loop = new_loop(rules={"camera": StreamRule(frozen_after_s=after_s)})
    commands = drive_camera(loop, lambda k: 7, 60)
    assert (FROZEN in {each.reason for each in commands}) == expected


@pytest.mark.parametrize(
    ("moved", "latest_s", "expected"),
    [(0.09, 5.0, False), (0.11, 1.2, False), (0.11, 1.9, True), (-0.11, 1.9, True)],
)
def test_a_picture_is_frozen_some_time_after_a_joint_has_moved_far_enough(
    moved, latest_s, expected
):
    frozen = FrozenImage(0.5, np.array([0.1, 0.1]))
    frozen.see(1.0, IMAGE)
    frozen.move(1.0, np.array([0.5, 0.5]))
    frozen.move(1.1, np.array([0.5, 0.5 + moved]))
    frozen.see(latest_s, IMAGE.copy())
    assert frozen.is_frozen == expected
    frozen.see(latest_s + 0.1, picture(1))
    assert not frozen.is_frozen


def test_motion_that_is_reported_late_is_not_motion_since_the_picture_that_shows_it():
    """On a busy machine states come behind pictures that are newer; then the robot rests."""
    frozen = FrozenImage(0.5, np.array([0.1]))
    frozen.see(1.0, picture(0))
    frozen.see(1.4, picture(1))
    for stamp_s, position in ((1.0, 0.0), (1.2, 0.2), (1.4, 0.4), (1.6, 0.4)):
        frozen.move(stamp_s, np.array([position]))
    frozen.see(2.4, picture(1))
    assert not frozen.is_frozen
    frozen.move(2.5, np.array([0.6]))
    frozen.see(3.1, picture(1))
    assert frozen.is_frozen


def test_motion_after_a_clock_that_went_back_counts():
    frozen = FrozenImage(0.5, np.array([0.1]))
    frozen.see(9.0, picture(1))
    frozen.forget_motion()
    frozen.move(1.0, np.array([0.0]))
    frozen.move(1.1, np.array([0.2]))
    frozen.see(1.7, picture(1))
    assert frozen.is_frozen


def test_pictures_that_differ_only_between_the_pixels_looked_at_first_are_not_the_same():
    frozen = FrozenImage(0.1, np.array([0.1]))
    first = np.zeros((32, 32, 3), np.uint8)
    for k in range(10):
        other = first.copy()
        other[3, 5, 1] = k % 2
        frozen.see(0.1 * k, other)
        frozen.move(0.1 * k, np.array([1.0 * k]))
    assert not frozen.is_frozen


def test_a_frozen_camera_is_still_frozen_in_the_next_run():
    loop = new_loop(rules=RULES)
    drive_camera(loop, lambda k: 7, 60)
    loop.start(MEMORY)
    assert outcome(drive_camera(loop, lambda k: 7, 2, start_s=2.2)[-1]) == (HOLDING, FROZEN)


# What the robot file says


def silent(loop, name, start_s, num_ticks):
    """Ticks at which all streams but ``name`` deliver, with every plan answered."""
    commands = []
    for now_s in ticks(start_s, num_ticks):
        for stream, value in ((STATE, np.zeros(2)), (CAMERA, IMAGE)):
            if stream.name != name:
                loop.observe(stream.name, now_s, value)
        commands.append(loop.tick(now_s))
        request = loop.plan_request(now_s)
        if request is not None:
            loop.accept(waves(request), request)
    return commands


@pytest.mark.parametrize("rule", ["hold", "stop"])
def test_a_robot_goes_on_by_itself_after_hold_and_not_after_stop(rule):
    loop, commands, now_s = running_loop(rules={"camera": StreamRule(when_stale=rule)})
    gone = silent(loop, "camera", now_s, 40)
    assert outcome(gone[-1]) == (HOLDING, STALE)
    assert (gone[-1].position == gone[-2].position).all()
    back_s = now_s + 40 * TICK_S
    again = drive(loop, 100, lambda n: 0, start_s=back_s, begin=gone[-1].position)
    assert steps_within_limits([*commands, *gone, *again])
    if rule == "hold":
        # Nothing of the old chunk: the first that is followed was planned from now on.
        first = next(k for k, each in enumerate(again) if each.state == RUNNING)
        assert again[first].takeover.request.requested_s >= back_s
        assert {outcome(each) for each in again[:first]} == {(HOLDING, Reason.NO_PLAN)}
    else:
        assert {outcome(each) for each in again} == {(HOLDING, STALE)}
        assert "reset to resume" in again[-1].text
        assert (again[-1].position == gone[-1].position).all()
        loop.start(MEMORY, keep_position=True)
        last_s = again[-1].stamp_s + TICK_S
        assert drive(loop, 10, lambda n: 0, start_s=last_s)[-1].state == RUNNING


def test_a_stream_that_has_not_come_yet_does_not_stop_for_good():
    loop = new_loop(rules={"camera": StreamRule(when_stale="stop")})
    assert silent(loop, "camera", 1.0, 5)[-1].reason == Reason.NO_OBSERVATION
    assert drive(loop, 5, lambda n: 0, start_s=1.1)[-1].state == RUNNING


def test_stop_of_one_stream_is_not_caused_by_another():
    loop, _, now_s = running_loop(rules={"joint_state": StreamRule(when_stale="stop")})
    silent(loop, "camera", now_s, 40)
    assert drive(loop, 5, lambda n: 0, start_s=now_s + 40 * TICK_S)[-1].state == RUNNING


def test_a_masked_stream_is_planned_without():
    loop, _, now_s = running_loop(rules={"camera": StreamRule(when_stale="mask")})
    windows = []
    for k, later_s in enumerate(ticks(now_s, 60)):
        loop.observe("joint_state", later_s, np.zeros(2))
        if k > 55:
            loop.observe("camera", later_s, picture(k))
        assert loop.tick(later_s).state == RUNNING
        request = loop.plan_request(later_s)
        if request is not None:
            windows.append(request.window)
            loop.accept(waves(request), request)
    assert [o.masked for o in windows[0]] == [(), ()]
    assert [o.masked for o in windows[-1]] == [("camera",), ("camera",)]
    assert loop.watch.healths(later_s)["camera"].masked is False


def test_masked_values_mean_nothing():
    loop, _, now_s = running_loop()
    see(loop, now_s, 0.3, 0.4)
    observation = loop.watch.buffer.sample(now_s).without(("joint_state",))
    assert np.isnan(observation.values["joint_state"]).all()
    assert observation.values["camera"] is not None
    assert observation.without(("camera",)).values["camera"].max() == 0
    assert observation.masked == ("joint_state",)


def test_the_measured_joints_cannot_be_masked():
    with pytest.raises(ValueError, match="joint_state measures the commanded joints"):
        new_loop(rules={"joint_state": StreamRule(when_stale="mask")})
