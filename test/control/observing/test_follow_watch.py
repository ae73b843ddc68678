"""Who follows and who does not, by motions that are led in time."""

import numpy as np
import pytest

from ddpm_controller.control.observing.follow_watch import FollowRules, FollowWatch
from ddpm_controller.control.observing.track import Track
from ddpm_controller.control.states import Reason

TICK_S, STOP_S, FAULT_S = 0.02, 0.3, 3.0
TOLERANCE = np.array([0.1, np.inf])
RULES = FollowRules()


def sweep(now_s):
    """There and back at up to 1 rad/s, with rests."""
    return 0.5 * np.sin(2 * np.clip(np.mod(now_s, 4.0), 0.0, np.pi))


def move(now_s):
    """1 rad in a second, each 4 s, there and back."""
    share = np.clip(np.mod(now_s, 4.0), 0.0, 1.0)
    return share if np.mod(now_s, 8.0) < 4.0 else 1.0 - share


def lagging(by_s):
    return lambda led, now_s, at: led(now_s - by_s)


def slow(top):
    """At most so fast, rad/s."""
    return lambda led, now_s, at: at + np.clip(led(now_s) - at, -top * TICK_S, top * TICK_S)


def noisy(led, now_s, at):
    noise = np.random.default_rng(int(1e4 * now_s)).normal(0, 2e-3)
    return led(now_s - 0.15) + noise


def loose(led, now_s, at):
    """A backlash of 0.04 rad."""
    goal = led(now_s - 0.1)
    return np.clip(at, goal - 0.02, goal + 0.02)


HEALTHY = {
    "exact": lagging(0.0),
    "late by 100 ms": lagging(0.1),
    "late by 300 ms": lagging(0.3),
    "late by all that is allowed": lagging(RULES.lag_s),
    "sags": lambda led, now_s, at: led(now_s - 0.15) - 0.05,
    "noise": noisy,
    "backlash": loose,
    "half the speed": slow(0.5),
    "a first-order lag of 0.3 s": lambda led, now_s, at: at + TICK_S / 0.3 * (led(now_s) - at),
}


def stands_still(led, now_s, at):
    return led(now_s) if now_s < FAULT_S else at


def drifts(led, now_s, at):
    return led(now_s) if now_s < FAULT_S else at - 0.3 * TICK_S


def tenth(led, now_s, at):
    return led(now_s) if now_s < FAULT_S else slow(0.1)(led, now_s, at)


FAULTS = {"stands still": stands_still, "drifts away": drifts, "a tenth": tenth}


def stops_s(led, robot, seconds=20.0, ahead_s=0.0, tolerance=TOLERANCE, rules=RULES):
    """Moments at which a robot is stopped; it is led on all the same."""
    watch, at, found = FollowWatch(("pan", "gripper"), ("rad", "m"), rules), led(0.0), []
    watch.begin(0.0, np.array([led(0.0), 0.0]))
    for k in range(1, round(seconds / TICK_S)):
        now_s = k * TICK_S
        watch.lead(now_s + ahead_s, np.array([led(now_s + ahead_s), 0.0]))
        at = float(robot(led, now_s, at))
        seen = np.array([at, 0.03])  # the gripper holds something
        if watch.look(now_s, now_s - 0.01, seen, tolerance, STOP_S) == "stops":
            found.append(now_s)
            watch.start()
            watch.begin(now_s, np.array([led(now_s), 0.0]))
    return found


@pytest.mark.parametrize("robot", HEALTHY.values(), ids=HEALTHY)
@pytest.mark.parametrize("led", [sweep, move])
@pytest.mark.parametrize("ahead_s", [0.0, 0.08])
def test_a_robot_that_follows_is_not_stopped(robot, led, ahead_s):
    assert stops_s(led, robot, ahead_s=ahead_s) == []


@pytest.mark.parametrize("name", FAULTS)
def test_a_robot_that_does_not_follow_is_stopped_once_lag_and_patience_are_over(name):
    def led(now_s):
        return max(now_s - FAULT_S, 0.0)  # at 1 rad/s

    passed_s = stops_s(led, FAULTS[name], seconds=6.0)[0] - FAULT_S
    # One that goes back is outside at once; the others were led there within the lag.
    lag_s = 0.0 if name == "drifts away" else RULES.lag_s
    assert RULES.patience_s + lag_s < passed_s < RULES.patience_s + lag_s + 0.5


def stops_with_slow_gripper_s(gripper, *, own_stamps=True, seconds=20.0):
    """As ``stops_s``, of a gripper that reports each 0.64 s and is led like the arm."""
    watch, found, held_s = FollowWatch(("pan", "gripper"), ("rad", "m"), RULES), [], 0.0
    watch.begin(0.0, np.full(2, sweep(0.0)))
    for k in range(1, round(seconds / TICK_S)):
        now_s = k * TICK_S
        watch.lead(now_s, np.full(2, sweep(now_s)))
        held_s = now_s if k % 32 == 0 else held_s
        seen = np.array([sweep(now_s - 0.3), gripper(held_s)])
        stamps_s = np.array([now_s, held_s]) if own_stamps else now_s
        if watch.look(now_s, stamps_s, seen, np.full(2, 0.1), STOP_S) == "stops":
            found.append((now_s, watch.text))
            watch.start()
            watch.begin(now_s, np.full(2, sweep(now_s)))
    return found


def test_each_joint_is_compared_with_where_it_was_led_before_its_own_stamp():
    assert stops_with_slow_gripper_s(lambda now_s: sweep(now_s - 0.3)) == []
    assert stops_with_slow_gripper_s(lambda now_s: sweep(now_s - 0.3), own_stamps=False)
    now_s, text = stops_with_slow_gripper_s(lambda now_s: 0.0)[0]
    assert text.startswith("gripper is at 0.000 m")
    assert now_s < 2.0


def test_a_robot_that_is_not_led_anywhere_and_stays_is_not_stopped():
    assert stops_s(lambda now_s: 0.3, lambda led, now_s, at: 0.3) == []


def test_a_joint_of_infinite_tolerance_need_not_follow():
    loose = np.full(2, np.inf)
    assert stops_s(move, lambda led, now_s, at: 0.0, tolerance=loose) == []
    assert stops_s(move, lambda led, now_s, at: 0.0) != []


def test_without_rules_nothing_is_compared():
    assert stops_s(move, lambda led, now_s, at: 0.0, rules=None) == []


def test_after_the_last_command_it_is_not_known_where_the_robot_is_led():
    watch = FollowWatch(("pan",), ("rad",), RULES)
    watch.begin(0.0, np.zeros(1))
    for k in range(1, 200):
        at = np.array([0.01 * max(k - 5, 0)])  # a stop that its own controller makes
        assert watch.look(k * TICK_S, k * TICK_S, at, np.array([0.1]), STOP_S) == ""


def stopped(rules=RULES):
    """A watch whose robot has just been stopped at 0, led to 1; and the moment."""
    watch = FollowWatch(("pan",), ("rad",), rules)
    watch.begin(0.0, np.zeros(1))
    return watch, lead_away(watch, 0.0)


def lead_away(watch, now_s, at=0.0):
    for _ in range(200):
        now_s += TICK_S
        watch.lead(now_s, np.array([at + 1.0]))
        if watch.look(now_s, now_s, np.array([at]), np.array([0.1]), STOP_S) == "stops":
            return now_s
    raise AssertionError("not stopped")


def stand(watch, now_s, at, until_s):
    """Return the first event but none while the robot is at ``at(now_s)``, and when it came."""
    while now_s < until_s:
        now_s += TICK_S
        event = watch.look(now_s, now_s, np.array([at(now_s)]), np.array([0.1]), STOP_S)
        if event:
            return event, now_s
        watch.lead(now_s, watch._led.last)  # it rests
    return "", now_s


def test_the_text_names_joint_place_and_distance():
    watch, now_s = stopped()
    verdict = watch.verdict(now_s)
    assert verdict.reason == Reason.NOT_FOLLOWED
    assert "pan is at 0.000 rad, 1.000 from anywhere that it was led in the last 0.40 s" in (
        verdict.text
    )


def test_it_begins_again_where_the_robot_stands_once_the_stop_is_over():
    watch, stopped_s = stopped()
    event, now_s = stand(watch, stopped_s, lambda now_s: 0.0, 9.0)
    assert event == "begins"
    assert now_s == pytest.approx(stopped_s + STOP_S, abs=TICK_S)
    watch.begin(now_s, np.zeros(1))
    assert watch.verdict(now_s).reason == Reason.NO_PLAN  # a beginning has its own reason
    assert watch.verdict(now_s + 0.2).reason == Reason.NOT_FOLLOWED


def test_it_does_not_begin_again_while_the_robot_moves():
    watch, stopped_s = stopped()
    event, now_s = stand(watch, stopped_s, lambda now_s: 0.2 * now_s, stopped_s + 3.0)
    assert event == ""
    still = 0.2 * now_s
    assert stand(watch, now_s, lambda now_s: still, 9.0)[0] == "begins"


def test_each_rest_is_twice_as_long_and_after_the_last_one_only_a_reset_helps():
    watch, now_s = stopped()
    rests_s = []
    for _ in range(RULES.repeats):
        event, now_s = stand(watch, now_s, lambda now_s: 0.0, now_s + 9.0)
        assert event == "begins"
        watch.begin(now_s, np.zeros(1))
        begun_s = now_s
        while now_s < begun_s + 60.0 and (watch.verdict(now_s) or now_s < begun_s + 0.5):
            now_s += TICK_S
            watch.lead(now_s, np.zeros(1))
            watch.look(now_s, now_s, np.zeros(1), np.array([0.1]), STOP_S)
        rests_s.append(now_s - begun_s)
        now_s = lead_away(watch, now_s)
    np.testing.assert_allclose(rests_s, [1.0, 2.0, 4.0], atol=2 * TICK_S)
    event, now_s = stand(watch, now_s, lambda now_s: 0.0, now_s + 9.0)
    assert event == "begins"
    watch.begin(now_s, np.zeros(1))
    stand(watch, now_s, lambda now_s: 0.0, now_s + 100.0)
    assert "4 times in a row: reset to resume" in watch.verdict(now_s + 100.0).text
    watch.start()
    assert watch.verdict(now_s + 100.0) is None


def test_a_robot_that_is_moved_while_it_rests_rests_where_it_is_then():
    watch, now_s = stopped()
    _, now_s = stand(watch, now_s, lambda now_s: 0.0, now_s + 9.0)
    watch.begin(now_s, np.zeros(1))
    event, moved_s = stand(watch, now_s, lambda now_s: 0.4, now_s + 0.9)
    assert event == "begins"
    assert moved_s == pytest.approx(now_s + RULES.patience_s, abs=2 * TICK_S)


def test_a_joint_that_need_not_follow_keeps_its_command_when_it_begins_again():
    watch = FollowWatch(("pan", "gripper"), ("rad", "m"), RULES)
    watch.begin(0.0, np.zeros(2))
    watch.lead(0.02, np.array([0.5, 0.01]))
    np.testing.assert_array_equal(watch.kept(TOLERANCE), [np.nan, 0.01])


@pytest.mark.parametrize("values", [{"lag_s": 0.0}, {"patience_s": np.inf}, {"repeats": -1}])
def test_rules_that_make_no_sense_are_refused(values):
    with pytest.raises(ValueError, match=next(iter(values))):
        FollowRules(**values)


def test_a_track_gives_back_places_between_its_points_and_forgets_the_past():
    track = Track(1)
    for k in range(1000):
        track.note(0.1 * k, np.array([float(k % 10)]))
        track.forget(0.1 * k - 2.0)
    assert track.at(99.85)[0] == pytest.approx(8.5)
    assert track.band(99.25, 99.65) == (pytest.approx(2.5), pytest.approx(6.5))
    assert track.begin_s == pytest.approx(97.9)
    track.note(99.5, np.array([0.0]))
    assert track.last_s == 99.5
    assert track.band(0.0, 200.0)[1] == 9.0


# Joints that are led by velocities


def swing(now_s):
    """Velocity of ``sweep``, rad/s."""
    inside = 0.0 < np.mod(now_s, 4.0) < np.pi
    return np.cos(2 * np.mod(now_s, 4.0)) if inside else 0.0


def crawl(now_s):
    """0.2 rad/s for three seconds, then a rest of one."""
    return 0.2 if np.mod(now_s, 4.0) < 3.0 else 0.0


def led_by(velocity, body, end_s):
    """When a watch stops a robot whose joint is led by ``velocity``; inf: never."""
    watch = FollowWatch(("lift",), ("rad/s",), RULES, np.array([True]))
    at, sent = 0.3, []
    watch.begin(0.0, np.zeros(1))
    for tick in range(1, round(end_s / TICK_S)):
        now_s = tick * TICK_S
        sent.append(velocity(now_s))
        watch.lead(now_s, np.array([sent[-1]]))
        at += body(sent, now_s) * TICK_S
        if watch.look(now_s, now_s, np.array([at]), np.array([0.1]), STOP_S) == "stops":
            return now_s
    return np.inf


def late(by_s):
    ticks = round(by_s / TICK_S)
    return lambda sent, now_s: sent[-1 - ticks] if len(sent) > ticks else 0.0


@pytest.mark.parametrize("velocity", [swing, crawl])
@pytest.mark.parametrize(
    "body",
    [late(0.0), late(0.3), late(0.38), lambda sent, now_s: 0.95 * sent[-1]],
    ids=["exact", "late by 300 ms", "late by 380 ms", "drifts by 5 %"],
)
def test_a_joint_that_moves_as_its_velocities_lead_it_follows(velocity, body):
    assert led_by(velocity, body, 12.0) == np.inf


@pytest.mark.parametrize("velocity", [swing, crawl])
def test_a_joint_that_stands_still_under_velocities_does_not_follow(velocity):
    def stuck(sent, now_s):
        return sent[-1] if now_s < FAULT_S + 1.0 else 0.0

    assert FAULT_S + 1.0 < led_by(velocity, stuck, 20.0) < FAULT_S + 4.0
