"""Velocities as commands: their limits, their rest, and the position limits of their joints."""

from dataclasses import replace

import numpy as np
import pytest

from ddpm_controller.control.moving.interpolation import Motion
from ddpm_controller.control.moving.motion_loop import MotionLoop, Order
from ddpm_controller.control.moving.safety import JERK_TIME_S, JointLimits
from ddpm_controller.control.states import Reason, State, Verdict
from ddpm_controller.types import ActionChunk

PERIOD_S = 0.01
ARM = JointLimits(
    lower=np.array([-1.0, -2.0, -0.05]),
    upper=np.array([1.0, 2.0, 0.05]),
    velocity=np.array([2.0, 1.0, 0.1]),
    acceleration=np.array([8.0, 4.0, 2.0]),
    jerk=np.array([200.0, 100.0, 100.0]),
)
ALL = np.array([True, True, True])
SOME = np.array([True, False, True])
LATE_S = 0.08
RUNNING, HOLDING = Verdict(State.RUNNING), Verdict(State.HOLDING, Reason.DEACTIVATED)


def limits_of(chosen=ALL, late_s=LATE_S) -> JointLimits:
    return ARM.commanding_velocities(chosen, late_s)


def chunk_of(rows, start_s=0.0) -> ActionChunk:
    return ActionChunk(start_s, 0.1, ("a", "b", "c"), np.asarray(rows, dtype=np.float64))


def integrated(chosen, commands, begin, where=None):
    """Positions of joints that hold each command until the next, (N + 1, 3)."""
    places = [np.array(begin, dtype=np.float64)]
    for command in commands:
        moved = places[-1] + np.where(chosen, command, 0.0) * PERIOD_S
        places.append(np.where(chosen, moved, command))
    return np.array(places)


def driven(limits, orders, begin=(0.0, 0.0, 0.0), delay_ticks=0):
    """Commands (N, 3) of a motion loop, and the joints of a robot that integrates them, (N, 3).

    The robot is measured ``delay_ticks`` ticks late.
    """
    loop = MotionLoop(limits, PERIOD_S)
    chosen = np.zeros(3, bool) if limits.velocities is None else limits.velocities.chosen
    place = np.array(begin, dtype=np.float64)
    places, commands = [place], []
    for tick, order in enumerate(orders):
        seen = places[max(len(places) - 1 - delay_ticks, 0)]
        if tick == 0:
            order = replace(order, begin_at=seen)
        command = loop.follow(tick * PERIOD_S, replace(order, measured=seen))
        commands.append(np.array([command.position, command.velocity, command.acceleration]))
        held = command.position
        places.append(np.where(chosen, places[-1] + held * PERIOD_S, held))
    return np.array(commands), np.array(places)


def following(chunk, ticks, stop_from=None):
    """Orders to follow ``chunk``, and to stop from a tick on."""
    orders = [Order(RUNNING, chunk=chunk)] + [Order(RUNNING)] * (ticks - 1)
    if stop_from is not None:
        orders[stop_from:] = [Order(HOLDING)] * (ticks - stop_from)
    return orders


def random_chunks(seed, num, scale=3.0):
    """Chunks that no limit allows, one behind the other."""
    random = np.random.default_rng(seed)
    highest = np.where(ALL, ARM.velocity, ARM.upper)
    return [
        chunk_of(scale * highest * random.uniform(-1, 1, (12, 3)), 0.4 * number)
        for number in range(num)
    ]


def orders_of(chunks, ticks_each=40, stop_ticks=200):
    orders = []
    for chunk in chunks:
        orders += following(chunk, ticks_each)
    return orders + [Order(HOLDING)] * stop_ticks


def assert_within(limits, commands):
    """Value, rate and its rate are inside, and each is the sum of the next one."""
    value, rate, hard = commands[:, 0], commands[:, 1], commands[:, 2]
    assert np.isfinite(commands).all()
    assert (value >= limits.lower - 1e-12).all()
    assert (value <= limits.upper + 1e-12).all()
    assert (np.abs(rate) <= limits.velocity).all()
    assert (np.abs(hard) <= limits.acceleration).all()
    # Divided differences of a motion that keeps its limits keep them too; 1e-6 of rounding.
    assert (np.abs(np.diff(value, axis=0)) <= limits.velocity * PERIOD_S * (1 + 1e-6)).all()
    assert (np.abs(np.diff(rate, axis=0)) <= limits.acceleration * PERIOD_S * (1 + 1e-6)).all()
    assert (np.abs(np.diff(hard, axis=0)) <= limits.jerk * PERIOD_S * (1 + 1e-6)).all()


def test_a_velocity_has_the_limits_of_a_joint_one_derivative_lower():
    limits = limits_of(SOME)
    assert limits.upper.tolist() == [2.0, 2.0, 0.1]
    assert limits.lower.tolist() == [-2.0, -2.0, -0.1]
    assert limits.velocity.tolist() == [8.0, 1.0, 2.0]
    assert limits.acceleration.tolist() == [200.0, 4.0, 100.0]
    assert limits.jerk.tolist() == [200.0 / JERK_TIME_S, 100.0, 100.0 / JERK_TIME_S]
    for name in ("lower", "upper", "velocity", "acceleration", "jerk"):
        assert getattr(limits.of_joints, name).tolist() == getattr(ARM, name).tolist()


def test_an_arm_without_velocities_is_governed_by_the_very_same_limits():
    assert ARM.commanding_velocities(np.zeros(3, bool)) is ARM
    assert ARM.of_joints is ARM
    position = np.array([0.1, 0.2, 0.0])
    assert ARM.resting(position) is position


@pytest.mark.parametrize("chosen", [ALL, SOME])
@pytest.mark.parametrize("seed", range(6))
def test_random_chunks_become_commands_within_limits_that_end_at_rest(chosen, seed):
    limits = limits_of(chosen)
    commands, places = driven(limits, orders_of(random_chunks(seed, 6)))
    assert_within(limits, commands)
    assert (places >= ARM.lower).all()
    assert (places <= ARM.upper).all()
    assert (commands[-1, 0][chosen] == 0.0).all()
    assert (commands[-1, 1:] == 0.0).all()


@pytest.mark.parametrize("delay_ticks", [0, 3, 8])
@pytest.mark.parametrize("direction", [-1.0, 1.0])
def test_a_joint_that_is_sent_into_its_limit_comes_to_rest_before_it(direction, delay_ticks):
    limits = limits_of()
    wish = direction * 10.0 * ARM.velocity
    chunks = [chunk_of(np.tile(wish, (12, 1)), 0.4 * number) for number in range(12)]
    commands, places = driven(limits, orders_of(chunks, stop_ticks=1), delay_ticks=delay_ticks)
    assert_within(limits, commands)
    end = ARM.upper if direction > 0 else ARM.lower
    assert (places >= ARM.lower).all()
    assert (places <= ARM.upper).all()
    assert np.abs(places[-1] - end).max() < 0.03  # it gets there all the same
    assert np.abs(commands[-1, 0]).max() < 0.05


def test_the_joints_would_leave_their_limits_if_nothing_was_measured():
    limits = replace(limits_of(), velocities=None)
    wish = np.tile(10.0 * ARM.velocity, (12, 1))
    chunks = [chunk_of(wish, 0.4 * number) for number in range(12)]
    loop_commands, _ = driven(limits, orders_of(chunks, stop_ticks=1))
    places = integrated(ALL, loop_commands[:, 0], (0.0, 0.0, 0.0))
    assert (places.max(axis=0) > ARM.upper).all()


def test_a_joint_beyond_its_limit_may_come_back_and_go_no_further():
    limits = limits_of()
    outside = (1.01, 0.0, 0.0)
    out, places = driven(limits, following(chunk_of(np.full((12, 3), 0.09)), 60), outside)
    assert (out[:, 0, 0] <= 0.0).all()
    assert places[:, 0].max() <= 1.01
    back, places = driven(limits, following(chunk_of(np.full((12, 3), -0.09)), 60), outside)
    assert back[30, 0, 0] == pytest.approx(-0.09)
    assert places[-1, 0] < 1.0


def test_behind_the_last_row_a_velocity_fades_to_zero_and_a_position_stays():
    limits = limits_of(SOME)
    rows = np.tile([0.5, 0.3, 0.02], (8, 1))
    commands, _ = driven(limits, following(chunk_of(rows), 160))
    assert commands[60, 0, 0] == pytest.approx(0.5)
    assert commands[-1, 0].tolist() == pytest.approx([0.0, 0.3, 0.0])


def test_a_run_begins_with_velocities_of_zero_wherever_the_robot_is():
    loop = MotionLoop(limits_of(SOME), PERIOD_S)
    order = Order(HOLDING, begin_at=np.array([0.7, 0.4, 0.01]))
    assert loop.follow(0.0, order).position.tolist() == [0.0, 0.4, 0.0]
    order = Order(HOLDING, begin_at=np.array([np.nan, 0.4, np.nan]), measured=np.full(3, np.nan))
    assert loop.follow(0.01, order).position.tolist() == [0.0, 0.4, 0.0]
    assert loop.is_at_rest


def test_a_wish_that_is_not_finite_lets_velocities_fade():
    limits = limits_of()
    loop = MotionLoop(limits, PERIOD_S)
    governor = loop._velocities
    last = Motion(np.array([1.0, 0.5, 0.05]), np.zeros(3), np.zeros(3))
    wish = Motion(np.full(3, np.nan), np.zeros(3), np.zeros(3))
    for _ in range(100):
        found = governor.step(last, wish, PERIOD_S)
        assert found.reasons == ("not_finite",)
        last = found.motion
    assert last.position.tolist() == [0.0, 0.0, 0.0]


def test_the_limit_that_changed_a_velocity_is_named_as_that_of_the_joint():
    limits = limits_of()
    far = Motion.rest(np.array([1.9, 0.0, 0.0]))
    loop = MotionLoop(limits, PERIOD_S)
    found = loop._velocities.step(Motion.rest(np.zeros(3)), far, PERIOD_S)
    assert found.reasons == ("acceleration",)
    beyond = Motion.rest(np.array([2.01, 0.0, 0.0]))
    assert loop._velocities.step(
        Motion.rest(np.array([1.999, 0.0, 0.0])), beyond, PERIOD_S
    ).reasons == ("velocity",)
    measured = np.array([1.0, 0.0, 0.0])
    found = loop._velocities.step(Motion.rest(np.zeros(3)), far, PERIOD_S, measured=measured)
    assert found.reasons == ("position",)
    assert found.motion.position.tolist() == [0.0, 0.0, 0.0]


def test_what_was_sent_since_the_measurement_counts():
    limits = limits_of(late_s=0.1)
    loop = MotionLoop(limits, PERIOD_S)
    still = loop._velocities.copied()
    for tick in range(10):
        loop._velocities.note(tick * PERIOD_S, np.array([1.0, 0.0, 0.0]))
    moving = Motion.rest(np.array([1.0, 0.0, 0.0]))
    measured = np.array([0.75, 0.0, 0.0])  # 0.1 s ago: it may be at 0.85 by now
    late = loop._velocities.step(moving, moving, PERIOD_S, measured=measured)
    at_once = still.step(moving, moving, PERIOD_S, measured=measured)
    assert "position" in late.reasons
    assert late.motion.position[0] < 1.0
    assert at_once.reasons == ()


def test_without_position_limits_a_velocity_needs_no_measurement():
    base = JointLimits(
        np.full(2, -np.inf), np.full(2, np.inf), np.array([0.5, 1.0])
    ).commanding_velocities(np.array([True, True]))
    assert not base.need_measured
    assert limits_of().need_measured
    assert not ARM.need_measured


def test_a_stop_takes_the_time_that_is_given_where_the_limits_allow_it():
    limits = limits_of()
    rows = np.tile([0.5, 0.2, 0.02], (12, 1))
    commands, _ = driven(limits, following(chunk_of(rows), 100, stop_from=60))
    speed = commands[60:, 0, 0]
    assert speed[0] == pytest.approx(0.5, abs=0.05)
    at_rest = int(np.argmax(speed == 0.0))
    assert at_rest * PERIOD_S == pytest.approx(0.2, abs=0.03)
