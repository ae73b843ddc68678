"""Messages of the stream, into a controller by the rules of joint_trajectory_controller."""

from dataclasses import replace

import numpy as np
import pytest
from streamed_robot import RUNNING, StreamedRobot, random_limits, wandering

from ddpm_controller.control.moving.boxed_arm import BoxedArm, CartesianBox
from ddpm_controller.control.moving.interpolation import Motion
from ddpm_controller.control.moving.leading_motion import LeadingMotion
from ddpm_controller.control.moving.motion_loop import Order
from ddpm_controller.control.moving.path import Path
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.control.moving.stream_settings import (
    StreamSettings,
    limits_between,
    time_between,
)
from ddpm_controller.control.states import Reason, State, Verdict
from ddpm_controller.types import ActionChunk

DEFAULT = StreamSettings()
PEAK = 1.05  # limits_between: 1 + 0.0508 at most, of 0.999 of the limit
PEAK_LATE = 1.1
ONE = JointLimits(*(np.array([x]) for x in (-3.0, 3.0, 2.0, 10.0, 200.0)))
CASES = [
    (seed, joints, hz)
    for seed, (joints, hz) in enumerate(
        [(1, 100), (2, 50), (7, 100), (7, 500), (29, 100), (3, 250), (6, 125), (7, 1000)]
    )
]


def robot_of(seed, joints, hz, settings=DEFAULT, **more):
    random = np.random.default_rng(seed)
    limits = random_limits(random, joints)
    robot = StreamedRobot(limits, hz, settings, **more)
    return random, robot.begin(), wandering(random, limits, robot.names)


def curve_of(message):
    path = Path(len(message.joint_names))
    for i in range(message.size):
        rows = message.positions[i], message.velocities[i], message.accelerations[i]
        path.append(message.stamp_s + message.times_s[i], Motion(*rows))
    return path


@pytest.mark.parametrize(("seed", "joints", "hz"), CASES)
def test_nothing_is_refused_and_limits_hold_between_the_ticks_too(seed, joints, hz):
    _, robot, order = robot_of(seed, joints, hz)
    robot.run(2.2, order)
    found = robot.found
    assert not found.refusals
    assert len(found.messages) > 1.2 * min(hz, 80)
    assert found.peak(robot.limits) <= PEAK
    positions = np.array(found.positions)
    assert (np.abs(positions) <= robot.limits.upper + 1e-9).all()
    speeds = np.abs(np.diff(positions, axis=0)) / 0.002
    # The governor keeps velocities at its ticks; a step that ends at the limit may pass it.
    assert (speeds <= 1.005 * robot.limits.velocity).all()
    assert speeds.max() > 0.3  # it does move


@pytest.mark.parametrize(("seed", "joints", "hz"), CASES[1:5])
def test_each_message_ends_at_rest_and_begins_in_the_past(seed, joints, hz):
    _, robot, order = robot_of(seed, joints, hz)
    robot.run(1.5, order)
    first, *messages = robot.found.messages
    for sent_s, message in messages:
        assert not message.velocities[-1].any()
        assert not message.accelerations[-1].any()
        assert (np.diff(message.times_s) > 1e-6).all()
        assert message.times_s[0] == 0.0
        assert message.stamp_s <= sent_s - DEFAULT.past_s + 1e-9
        assert message.end_s >= sent_s + DEFAULT.lead_s
    assert first[1].size == 1


@pytest.mark.parametrize(("seed", "joints", "hz"), CASES[1:5])
def test_what_was_committed_is_never_changed(seed, joints, hz):
    """Later messages are the same curve until a lead after the earlier one was sent."""
    _, robot, order = robot_of(seed, joints, hz)
    robot.run(1.5, order)
    messages = robot.found.messages[1:]
    # As far as the newest tick of the earlier message, which is half a period early at most.
    lead_s = DEFAULT.lead_s - robot.period_s / 2 - 1e-6
    for i in range(0, len(messages) - 6, 5):
        (sent_s, message), (_, later) = messages[i], messages[i + 5]
        ours, theirs = curve_of(message), curve_of(later)
        for moment_s in np.linspace(later.stamp_s, sent_s + lead_s, 9):
            if moment_s < sent_s + lead_s:
                np.testing.assert_allclose(
                    ours.at(moment_s).position, theirs.at(moment_s).position, atol=1e-6
                )


@pytest.mark.parametrize(("seed", "joints", "hz"), CASES)
def test_late_and_lost_messages_do_no_harm(seed, joints, hz):
    random, robot, order = robot_of(seed, joints, hz)
    robot.run(0.7)  # the first message is not lost
    late, lost = lambda: random.uniform(0, 0.015), lambda: random.random() < 0.05
    robot.run(1.8, order, late=late, lost=lost)
    assert not robot.found.refusals
    assert robot.found.peak(robot.limits) <= PEAK_LATE


@pytest.mark.parametrize(("seed", "joints", "hz"), CASES[1:4])
def test_ticks_that_come_when_they_like_do_no_harm(seed, joints, hz):
    """Up to three periods late, and so in bursts."""
    random, robot, order = robot_of(seed, joints, hz)
    period_s = min(robot.period_s, 0.01)
    robot.run(2.0, order, jitter=lambda: random.choice([0.0, 0.1, 0.7, 3.0]) * period_s)
    assert not robot.found.refusals
    assert robot.found.peak(robot.limits) <= PEAK


@pytest.mark.parametrize("clock_s", [-0.05, 0.05])
@pytest.mark.parametrize(("seed", "joints", "hz"), CASES[2:4])
def test_a_clock_that_is_off_by_less_than_the_past_does_no_harm(seed, joints, hz, clock_s):
    _, robot, order = robot_of(seed, joints, hz, clock_s=clock_s)
    robot.run(2.5, order)
    assert not robot.found.refusals
    assert robot.found.peak(robot.limits) <= PEAK


@pytest.mark.parametrize("hole_s", [0.03, 0.06, 0.12, 0.25, 1.0, 3.0])
@pytest.mark.parametrize(("seed", "joints", "hz"), CASES[2:4])
def test_after_a_hole_the_motion_continues_from_the_stop_that_the_robot_is_in(
    seed, joints, hz, hole_s
):
    _, robot, order = robot_of(seed, joints, hz)
    robot.run(1.3, order).run(hole_s, silent=True).run(1.0, order)
    assert not robot.found.refusals
    assert robot.found.peak(robot.limits) <= PEAK_LATE
    moves = np.abs(np.diff(np.array(robot.found.positions)[-400:], axis=0)).max()
    assert moves > 1e-4


@pytest.mark.parametrize(("seed", "joints", "hz"), CASES)
def test_a_robot_whose_sender_has_died_comes_to_rest_within_its_limits(seed, joints, hz):
    _, robot, order = robot_of(seed, joints, hz)
    robot.run(1.3, order).run(1.0 + 3 * robot.sender.motion.longest_stop_s, silent=True)
    assert robot.found.peak(robot.limits) <= PEAK
    assert np.ptp(robot.found.positions[-50:], axis=0).max() == 0.0


def test_the_set_point_is_the_motion_of_the_loop_at_its_true_time():
    """At the ticks it is what the loop has decided for them, up to rounding."""
    random = np.random.default_rng(5)
    limits = random_limits(random, 7)
    robot = StreamedRobot(limits, 100, DEFAULT, update_hz=100).begin()
    told = {}
    follow = robot.sender.motion.follow

    def noting(now_s, order):
        command = follow(now_s, order)
        told[round(now_s, 4)] = command.position
        return command

    robot.sender.motion.follow = noting
    robot.run(3.0, wandering(random, limits, robot.names))
    compared = 0
    for moment_s, position in zip(robot.found.moments_s, robot.found.positions, strict=True):
        if (expected := told.get(round(moment_s, 4))) is not None:
            np.testing.assert_allclose(position, expected, atol=1e-9)
            compared += 1
    assert compared > 200


def test_the_stream_knows_where_the_robot_is_led_now():
    robot, _ = moving()
    for ago_s in (0.0, 0.02, 0.06):
        led = robot.sender.stream.at(robot.now_s - ago_s)
        i = -1 - round(ago_s / 0.002)
        np.testing.assert_allclose(led.position, robot.found.positions[i], atol=1e-9)


def test_the_figures_hold_at_the_clock_of_today_too():
    """A double has steps of 0.24 us there."""
    _, robot, order = robot_of(3, 7, 500, begin_s=1.8e9)
    robot.run(2.0, order)
    assert not robot.found.refusals
    accelerations = np.abs(robot.found.accelerations) / robot.limits.acceleration
    assert accelerations.max() <= PEAK


# A slide along x and one along y: the end effector is at (joint0, joint1, 0).
TABLE = """<robot name="table"><link name="base"/><link name="rail"/><link name="hand"/>
<joint name="joint0" type="prismatic"><parent link="base"/><child link="rail"/>
<axis xyz="1 0 0"/><limit lower="-1" upper="1" velocity="1.5" effort="1"/></joint>
<joint name="joint1" type="prismatic"><parent link="rail"/><child link="hand"/>
<axis xyz="0 1 0"/><limit lower="-2" upper="2" velocity="3" effort="1"/></joint></robot>"""


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_end_effector_stays_in_its_box_when_the_sender_dies_at_any_moment(seed):
    random = np.random.default_rng(seed)
    box = CartesianBox((-0.5, -0.4, -np.inf), (0.5, 0.4, np.inf))
    rows = ([-1.0, -2.0], [1.0, 2.0], [1.5, 3.0], [40.0, 60.0], [2e3, 3e3])
    arm = BoxedArm(box, TABLE, ("joint0", "joint1"))
    limits = JointLimits(*(np.array(each) for each in rows), arm=arm)
    robot = StreamedRobot(limits, 100, DEFAULT).begin()
    order = wandering(random, limits, robot.names)
    for _ in range(4):
        robot.run(1.0 + 0.3 * random.random(), order).run(1.0, silent=True)
    farthest = np.abs(robot.found.positions).max(axis=0)
    assert (farthest <= [0.5 + 1e-4, 0.4 + 1e-4]).all()  # between the moments looked at
    assert (farthest / [0.5, 0.4]).max() > 0.95  # it was there
    assert robot.found.peak(limits) <= PEAK
    assert not robot.found.refusals


# Beginning


def test_it_begins_with_one_rest_point_ahead_and_waits_until_that_is_past():
    robot = StreamedRobot(ONE, 100, DEFAULT).begin(np.array([0.2]))
    robot.run(0.6)
    (first_s, first), (second_s, second), *_ = robot.found.messages
    assert first.size == 1
    assert first.positions.tolist() == [[0.2]]
    assert first.end_s == pytest.approx(first_s + DEFAULT.begin_s)
    assert second_s >= first.end_s + DEFAULT.past_s
    assert second.stamp_s == first.end_s


def test_a_start_off_the_measured_position_is_reached_within_the_limits():
    limits = random_limits(np.random.default_rng(2), 7)
    for off in (0.02, 0.5):
        robot, start = StreamedRobot(limits, 100, DEFAULT), off * limits.upper
        robot.send(robot.sender.stream.begin(robot.now_s, start, robot.measured))
        robot.run(3.0, silent=True)
        assert robot.found.peak(limits) <= PEAK
        assert robot.found.positions[-1].tolist() == start.tolist()


def test_a_far_start_takes_as_long_as_the_limits_need():
    assert time_between(np.zeros(1), np.array([1.6]), ONE) == pytest.approx(1.5)  # 15/8 d / v
    slow = replace(ONE, velocity=np.array([1e3]), jerk=np.array([1e6]))
    # Highest acceleration of a quintic between rests: 10 / sqrt(3) d / T^2.
    assert time_between(np.zeros(1), np.array([1.0]), slow) == pytest.approx(0.75984, rel=1e-4)


def test_a_chunk_that_comes_before_the_robot_is_free_is_followed_then():
    robot = StreamedRobot(ONE, 100, DEFAULT).begin()
    chunk = ActionChunk(robot.now_s, 1.0, robot.names, np.array([[0.0], [0.0], [0.5]]))
    orders = iter([Order(RUNNING, chunk)])
    robot.run(3.0, lambda now_s: next(orders, Order(RUNNING)))
    np.testing.assert_allclose(robot.found.positions[-1], [0.5], atol=0.1)
    assert robot.found.peak(ONE) <= PEAK


def test_to_begin_while_the_robot_still_stops_waits_for_its_rest():
    _, robot, order = robot_of(3, 7, 100)
    robot.run(1.3, order).run(0.1, silent=True).begin()
    robot.run(2.0, order)
    assert not robot.found.refusals
    assert robot.found.peak(robot.limits) <= PEAK


def test_nothing_is_sent_before_it_has_begun_or_while_it_waits():
    sender = LeadingMotion(("joint0",), ONE, 0.01, DEFAULT)
    assert sender.tick(1000.0, Order(RUNNING)).message is None
    sender.tick(1000.01, Order(RUNNING, begin_at=np.zeros(1)))
    for i in range(100):
        ahead = sender.tick(1000.02 + 0.01 * i, Order(Verdict(State.WAITING)))
        assert ahead.message is None
        assert ahead.commands[0].position is None


# Continuing


def moving(seed=3, joints=7, hz=100, settings=DEFAULT):
    _, robot, order = robot_of(seed, joints, hz, settings)
    return robot.run(1.3, order), order


def test_a_late_tick_makes_up_for_the_moments_that_are_missing():
    robot, order = moving()
    robot.run(0.03, silent=True)
    ahead = robot.sender.tick(robot.now_s, order(robot.now_s))
    stamps_s = [each.stamp_s for each in ahead.commands]
    assert len(stamps_s) == 4
    np.testing.assert_allclose(np.diff(stamps_s), 0.01)


@pytest.mark.parametrize("hole_s", [0.06, 0.3])
def test_after_a_hole_the_chunk_in_force_is_followed_further(hole_s):
    robot = StreamedRobot(ONE, 100, DEFAULT).begin().run(0.7)
    rows = np.array([[0.0], [0.4], [0.8], [1.2]])
    orders = iter([Order(RUNNING, ActionChunk(robot.now_s, 0.4, robot.names, rows))])
    robot.run(0.4, lambda now_s: next(orders, Order(RUNNING)))
    robot.run(hole_s, silent=True).run(1.5)
    assert robot.found.positions[-1][0] == pytest.approx(1.2, abs=0.12)
    assert robot.found.peak(ONE) <= PEAK


def test_a_hold_stops_a_lead_later():
    robot, order = moving()
    text = "the camera is frozen"
    hold = Order(Verdict(State.HOLDING, Reason.FROZEN_IMAGE, text))
    robot.run(2.0, lambda now_s: hold)
    assert robot.found.peak(robot.limits) <= PEAK
    assert np.ptp(robot.found.positions[-50:], axis=0).max() == 0.0
    robot.run(1.5, order)
    assert robot.found.peak(robot.limits) <= PEAK


@pytest.mark.parametrize("hole_s", [0.02, 0.07, 0.3])
def test_another_process_continues_from_the_end_of_the_lead_that_was_sent(hole_s):
    """What it gets is one motion: the stop behind follows from the limits."""
    robot, order = moving()
    sent = robot.sender.stream.sent
    robot.run(hole_s, silent=True)
    robot.sender = LeadingMotion(robot.names, robot.limits, 0.01, DEFAULT)
    orders = iter([Order(RUNNING, sent=sent)])
    robot.run(1.5, lambda now_s: next(orders, None) or order(now_s))
    assert not robot.found.refusals
    assert robot.found.peak(robot.limits) <= PEAK_LATE
    assert np.ptp(robot.found.positions[-200:], axis=0).max() > 0.0


@pytest.mark.parametrize("hz", [50, 100, 500])
def test_another_process_that_knows_what_was_sent_has_a_message_at_its_first_tick(hz):
    robot, order = moving(hz=hz)
    _, points = robot.sender.stream.sent_since(-np.inf)
    sent = replace(points[-1], before=points[:-1])
    robot.sender = LeadingMotion(robot.names, robot.limits, 1 / hz, DEFAULT)
    robot.run(1 / hz, silent=True)
    hold = Order(Verdict(State.HOLDING, Reason.NO_PLAN), sent=sent)
    ahead = robot.sender.tick(robot.now_s, hold)
    assert ahead.message.stamp_s <= robot.now_s - DEFAULT.past_s + 1e-9
    assert ahead.commands[0].stamp_s == pytest.approx(sent.stamp_s + 1 / hz)
    robot.send(ahead.message)
    robot.run(1.5, order)
    assert not robot.found.refusals
    assert robot.found.peak(robot.limits) <= PEAK


def test_the_points_behind_one_that_was_sent_are_those_that_are_new():
    robot, order = moving(hz=500)
    stream = robot.sender.stream
    before_s = stream.sent.stamp_s
    robot.run(0.03, order)
    follows, points = stream.sent_since(before_s)
    assert follows
    spacing_s = np.diff([before_s, *(each.stamp_s for each in points)])
    assert ((spacing_s > 0.001) & (spacing_s < 0.005)).all()
    assert points[-1].stamp_s == stream.sent.stamp_s
    follows, every = stream.sent_since(before_s + 0.001)  # no point of the motion
    assert not follows
    assert every[0].stamp_s <= robot.now_s - DEFAULT.past_s


@pytest.mark.parametrize("hole_s", [0.07, 0.3, 2.0])
@pytest.mark.parametrize("more", [0, 1])
def test_a_message_that_would_come_behind_the_stop_is_withheld(hole_s, more):
    """A process that was stopped between its decision and the message, once and again."""
    robot, order = moving()
    stream = robot.sender.stream
    for _ in range(1 + more):
        robot.sender.tick(robot.now_s, order(robot.now_s))
        robot.run(hole_s, silent=True)
        assert stream.withhold(robot.now_s)
        assert not stream.withhold(robot.now_s)
    robot.run(1.5, order)
    assert not robot.found.refusals
    assert robot.found.peak(robot.limits) <= PEAK_LATE
    assert np.ptp(robot.found.positions[-200:], axis=0).max() > 0.0


def test_a_message_on_time_is_not_withheld():
    robot, order = moving()
    robot.sender.tick(robot.now_s, order(robot.now_s))
    assert not robot.sender.stream.withhold(robot.now_s + 0.02)
    robot.run(0.3, silent=True)
    robot.sender.tick(robot.now_s, order(robot.now_s))  # resumes
    assert not robot.sender.stream.withhold(robot.now_s + 0.02)


def test_a_clock_that_goes_back_takes_the_motion_with_it():
    robot, order = moving()
    robot.sender.tick(robot.now_s, order(robot.now_s))
    before = robot.sender.stream.end_s
    ahead = robot.sender.tick(robot.now_s - 5.0, Order(RUNNING))
    assert ahead.commands[-1].reason == Reason.CLOCK_JUMP
    assert robot.sender.stream.end_s == pytest.approx(before - 5.0)
    curve = curve_of(ahead.message)
    assert curve.begin_s == pytest.approx(robot.now_s - 5.0 - DEFAULT.past_s, abs=0.011)


@pytest.mark.parametrize("hz", [100, 500, 1000])
def test_messages_and_points_come_no_closer_than_the_settings_say(hz):
    settings = replace(DEFAULT, knot_s=0.004, message_period_s=0.01)
    _, robot, order = robot_of(4, 7, hz, settings)
    robot.run(1.5, order)
    sent_s, messages = zip(*robot.found.messages[1:], strict=True)
    assert np.diff(sent_s).min() >= 0.01 - 1.01 / hz
    assert max(each.size for each in messages) <= (0.06 + 0.08) / 0.003 + 30


# Forms


def test_stamp_zero_begins_with_the_point_of_now():
    robot, _ = moving(settings=replace(DEFAULT, stamp="zero"))
    for _, message in robot.found.messages[1:]:
        assert message.stamp_s == 0.0
        assert message.times_s[0] == 0.0
    assert not robot.found.refusals
    # From the first update after each arrival: an exact clock and no delay is exact.
    assert robot.found.peak(robot.limits) <= 1.2


@pytest.mark.parametrize("carries", ["positions", "velocities"])
def test_points_carry_no_more_than_was_asked_for(carries):
    robot, _ = moving(settings=replace(DEFAULT, carries=carries))
    _, message = robot.found.messages[-1]
    assert (message.velocities is None) == (carries == "positions")
    assert message.accelerations is None
    assert not robot.found.refusals
    assert np.diff(message.times_s).max() < 0.0151  # the stop too is sampled


REFUSED = {
    "past_s": (0.01, "past_s must be from 0.02 to 2 s, got 0.01"),
    "lead_s": (-0.01, "lead_s must be from 0.0 to 2 s, got -0.01"),
    "knot_s": (0.0, "knot_s"),
    "message_period_s": (0.0, "message_period_s"),
    "begin_s": (float("nan"), "begin_s .* got nan"),
    "stamp": ("now", "stamp must be 'absolute' or 'zero', got 'now'"),
    "carries": ("jerk", "carries must be"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_settings_that_cannot_work_are_refused_with_the_rule(name):
    value, words = REFUSED[name]
    with pytest.raises(ValueError, match=words):
        StreamSettings(**{name: value})


def test_a_lead_as_long_as_a_chunk_is_refused_with_the_figures():
    assert DEFAULT.problem(0.1) == ""
    assert "lead_s 0.08 s is not shorter than a chunk, 0.080 s" in DEFAULT.problem(0.08)


def test_a_lead_that_does_not_bridge_a_late_message_is_refused_with_both_remedies():
    DEFAULT.refuse_period(1 / 25)
    with pytest.raises(ValueError, match=r"at 20 Hz: set command.stream_lead_s to 0.100 or more"):
        DEFAULT.refuse_period(1 / 20)
    StreamSettings(lead_s=0.1).refuse_period(1 / 20)
    StreamSettings(lead_s=0.02).refuse_period(1 / 500)
    with pytest.raises(ValueError, match=r"lead_s to 0.020 or more, or raise control_rate_hz"):
        StreamSettings(lead_s=0.015).refuse_period(1 / 500)


def test_the_jerk_is_bounded_by_the_distance_of_the_points():
    used = limits_between(ONE, 0.1)
    assert used.jerk.tolist() == [100.0]
    assert limits_between(ONE, 0.01).jerk.tolist() == [200.0]
    assert used.acceleration.tolist() == ONE.acceleration.tolist()


def test_points_too_far_apart_for_the_limits_are_refused():
    with pytest.raises(ValueError, match="points 5.0 s apart leave a velocity"):
        limits_between(ONE, 5.0)
