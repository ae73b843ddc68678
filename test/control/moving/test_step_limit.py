from dataclasses import replace

import numpy as np
import pytest
from stub_loop import LIMITS, RUNNING, new_loop, plan_of, see, steps_within_limits, ticks

from ddpm_controller.control.moving.interpolation import Motion
from ddpm_controller.control.moving.motion_loop import within_step
from ddpm_controller.control.states import LIMIT_REASONS, LimitCounts, Reason

STEP = np.array([0.1, np.inf])


def test_a_far_wish_is_drawn_to_the_step_and_rests_there():
    wish = Motion(np.array([0.5, 0.9]), np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    drawn, changed = within_step(wish, np.array([0.2, 0.0]), STEP)
    assert changed
    np.testing.assert_allclose(drawn.position, [0.3, 0.9])
    np.testing.assert_array_equal(drawn.velocity, [0.0, 2.0])
    np.testing.assert_array_equal(drawn.acceleration, [0.0, 4.0])


@pytest.mark.parametrize("measured", [np.array([0.45, 0.0]), None])
def test_a_near_wish_and_one_without_a_measurement_stay_as_they_are(measured):
    wish = Motion.rest(np.array([0.5, 0.9]))
    assert within_step(wish, measured, STEP) == (wish, False)


def test_a_wish_that_is_no_number_is_left_to_the_governor():
    wish = Motion.rest(np.array([np.nan, 0.0]))
    assert within_step(wish, np.zeros(2), STEP)[1] is False


def commands_of(measured_share, num_ticks=100):
    """Commands towards 0.8 rad of a robot that goes only a share of the way."""
    loop = new_loop(limits=replace(LIMITS, step=STEP))
    commands, at = [], np.zeros(2)
    for now_s in ticks(1.0, num_ticks):
        see(loop, now_s, *at)
        request = loop.plan_request(now_s)
        if request is not None:
            loop.accept(plan_of(np.tile([0.8, 0.0], (8, 1)), request), request)
        commands.append(loop.tick(now_s))
        at = measured_share * commands[-1].position
    return commands, at


def test_a_blocked_joint_is_led_no_further_than_the_step():
    commands, _ = commands_of(0.0)
    rows = np.array([each.position for each in commands])
    assert rows[:, 0].max() <= 0.1 + 1e-9
    assert rows[-1, 0] == pytest.approx(0.1)
    assert commands[-1].reason == Reason.LIMIT_STEP
    assert commands[-1].state == RUNNING
    assert "step" in commands[-1].limited
    assert steps_within_limits(commands)


def test_a_stop_goes_to_its_rest_wherever_the_robot_is_thrown():
    loop = new_loop(limits=replace(LIMITS, step=STEP))
    for now_s in ticks(1.0, 20):
        see(loop, now_s)
        request = loop.plan_request(now_s)
        if request is not None:
            loop.accept(plan_of(np.tile([0.1, 0.0], (8, 1)), request), request)
        loop.tick(now_s)
    loop.stop()
    for now_s in ticks(1.4, 40):
        see(loop, now_s, np.sin(50 * now_s))
        command = loop.tick(now_s)
    np.testing.assert_array_equal(command.velocity, 0.0)
    assert command.limited == ()


def test_a_joint_that_follows_gets_there():
    _, at = commands_of(1.0)
    np.testing.assert_allclose(at, [0.8, 0.0], atol=1e-6)


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
