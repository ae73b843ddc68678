"""Stricter limits that come while a robot moves: it slows down to them, or stops."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from stub_loop import (
    HOLDING,
    LIMITS,
    RUNNING,
    TICK_S,
    drive,
    never,
    outcome,
    running_loop,
    steps_within_limits,
)

from ddpm_controller.control.moving.stopping import longest_stop_s
from ddpm_controller.control.moving.stream_settings import StreamSettings, limits_between
from ddpm_controller.control.states import Reason

SLOWER = replace(LIMITS, velocity=LIMITS.velocity / 4)
GENTLER = replace(
    LIMITS,
    velocity=LIMITS.velocity / 2,
    acceleration=LIMITS.acceleration / 8,
    jerk=LIMITS.jerk / 8,
)
STREAM = StreamSettings()


def driven(loop, now_s, last, num_ticks=100):
    return drive(loop, num_ticks, lambda n: 0, start_s=now_s, begin=tuple(last))


def rates(commands):
    """Velocity, acceleration and jerk (N, Da) between the commands."""
    rows = np.array([each.position for each in commands])
    found = []
    for _ in range(3):
        rows = np.diff(rows, axis=0) / TICK_S
        found.append(np.abs(rows))
    return found


def keeps(commands, limits, share=1 + 1e-9):
    velocity, acceleration, jerk = rates(commands)
    return (
        (velocity <= share * limits.velocity).all()
        and (acceleration <= share * limits.acceleration).all()
        and (jerk <= share * limits.jerk).all()
    )


@pytest.mark.parametrize("limits", [SLOWER, GENTLER], ids=["slower", "gentler"])
@pytest.mark.parametrize("stream", [None, STREAM], ids=["points", "ahead"])
def test_a_robot_slows_down_without_a_jump_and_follows_within_them(limits, stream):
    loop, before, now_s = running_loop(num_ticks=60, stream=stream)
    loop.note_newer_limits(limits)
    commands = driven(loop, now_s, before[-1].position)
    assert {each.state for each in commands} == {RUNNING}
    assert Reason.LIMIT_STRICTER in {each.reason for each in commands}
    assert keeps([*before[20:], *commands], LIMITS)
    ahead = round((STREAM.lead_s if stream else 0.0) / TICK_S)
    slowing = ahead + round(longest_stop_s(0.0, LIMITS) / TICK_S) + 2
    assert keeps(commands[slowing:], limits)
    speeds = np.array([each.velocity for each in commands[slowing:]])
    used = limits_between(limits, TICK_S) if stream else limits
    assert np.abs(speeds).max(axis=0) == pytest.approx(used.velocity, rel=0.02)  # it follows
    assert all("stricter" not in each.limited for each in commands[slowing:])


def test_without_stricter_limits_nothing_is_slower():
    loop, before, now_s = running_loop(num_ticks=60)
    commands = driven(loop, now_s, before[-1].position)
    assert np.abs(rates(commands)[0]).max() > 2 * SLOWER.velocity.max() / 1.5


def test_the_change_is_reported_at_its_tick_even_where_the_motion_is_slow_already():
    loop, before, now_s = running_loop(num_ticks=60)
    loop.note_newer_limits(replace(LIMITS, velocity=0.9 * LIMITS.velocity))
    commands = driven(loop, now_s, before[-1].position, 5)
    assert outcome(commands[0]) == (RUNNING, Reason.LIMIT_STRICTER)


def test_limits_that_come_while_it_rests_count_from_the_beginning_of_the_motion():
    loop, before, now_s = running_loop(num_ticks=60)
    held = drive(loop, 60, never, start_s=now_s, begin=tuple(before[-1].position))
    assert held[-1].state == HOLDING
    loop.note_newer_limits(SLOWER)
    loop.schedule.abandon("it never comes")
    now_s += 60 * TICK_S
    commands = driven(loop, now_s, held[-1].position)
    assert commands[-1].state == RUNNING
    assert keeps([*held[-20:], *commands], SLOWER)


def test_looser_limits_wait_for_the_next_activation():
    loop, before, now_s = running_loop()
    loop.note_newer_limits(replace(LIMITS, velocity=4 * LIMITS.velocity))
    commands = driven(loop, now_s, before[-1].position)
    assert commands[-1].state == RUNNING
    assert steps_within_limits([*before, *commands])
    loop.note_newer_limits(SLOWER)
    loop.note_newer_limits(LIMITS)
    later = driven(loop, now_s + 100 * TICK_S, commands[-1].position)
    assert keeps(later[20:], SLOWER)


def test_position_limits_that_exclude_where_it_is_stop_it_with_the_limits_named():
    loop, before, now_s = running_loop()
    place = before[-1].position
    excluding = replace(LIMITS, upper=np.array([place[0] - 0.05, 2.0]))
    loop.note_newer_limits(excluding)
    commands = driven(loop, now_s, place)
    assert outcome(commands[0]) == outcome(commands[-1]) == (HOLDING, Reason.LIMIT_POSITION)
    assert "shoulder upper" in commands[-1].text
    assert "deactivate and activate" in commands[-1].text
    assert steps_within_limits([*before, *commands])
    np.testing.assert_array_equal(commands[-1].position, commands[-50].position)
    assert loop.plan_request(now_s + 100 * TICK_S) is None
    loop.note_newer_limits(LIMITS)
    later = driven(loop, now_s + 100 * TICK_S, commands[-1].position)
    assert later[-1].state == RUNNING
    assert steps_within_limits([*commands, *later])


def test_limits_within_which_nothing_can_be_streamed_stop_it():
    loop, before, now_s = running_loop(num_ticks=60, stream=STREAM)
    loop.note_newer_limits(replace(LIMITS, velocity=0.05 * LIMITS.velocity))
    commands = driven(loop, now_s, before[-1].position)
    assert outcome(commands[-1]) == (HOLDING, Reason.LIMIT_VELOCITY)
    assert keeps([*before[20:], *commands], LIMITS)


def test_position_limits_that_it_cannot_stop_before_hold_it_where_it_has_stopped():
    loop, before, now_s = running_loop(num_ticks=60)
    fast = np.abs(before[-1].velocity).argmax()
    ahead = 0.001 * np.sign(before[-1].velocity[fast])
    lower, upper = LIMITS.lower.copy(), LIMITS.upper.copy()
    (upper if ahead > 0 else lower)[fast] = before[-1].position[fast] + ahead
    loop.note_newer_limits(replace(LIMITS, lower=lower, upper=upper))
    commands = driven(loop, now_s, before[-1].position)
    assert outcome(commands[-1]) == (HOLDING, Reason.LIMIT_POSITION)
    assert "come to rest outside" in commands[-1].text
    assert keeps([*before[20:], *commands], LIMITS)


@settings(max_examples=6, phases=[Phase.explicit, Phase.generate])
@given(
    num_ticks=st.integers(30, 60),
    shares=st.lists(st.floats(0.05, 1.0), min_size=6, max_size=6),
    stream=st.sampled_from([None, STREAM]),
)
def test_whatever_stricter_limits_come_the_way_into_them_keeps_the_ones_before(
    num_ticks, shares, stream
):
    loop, before, now_s = running_loop(num_ticks=num_ticks, stream=stream)
    factors = np.array(shares).reshape(3, 2)
    factors[0] = np.maximum(factors[0], 0.3)  # else nothing is left of it between the points
    stricter = replace(
        LIMITS,
        velocity=factors[0] * LIMITS.velocity,
        acceleration=factors[1] * LIMITS.acceleration,
        jerk=factors[2] * LIMITS.jerk,
    )
    loop.note_newer_limits(stricter)
    commands = driven(loop, now_s, before[-1].position, 80)
    assert keeps([*before[20:], *commands], LIMITS)
    slowing = [i for i, each in enumerate(commands) if "stricter" in each.limited]
    ahead = STREAM.lead_s if stream else 0.0
    over = round((ahead + longest_stop_s(0.0, LIMITS)) / TICK_S) + 2
    assert max(slowing) < over
    assert keeps(commands[over:], stricter)
