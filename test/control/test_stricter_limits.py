"""Stricter limits that come while a robot moves: it stops, and goes on when they are gone."""

from dataclasses import replace

import numpy as np
import pytest
from stub_loop import (
    HOLDING,
    LIMITS,
    RUNNING,
    TICK_S,
    drive,
    outcome,
    running_loop,
    steps_within_limits,
)

from ddpm_controller.control.states import Reason

STRICTER = {
    "slower": (replace(LIMITS, velocity=LIMITS.velocity / 4), Reason.LIMIT_VELOCITY, "velocity"),
    "lower": (replace(LIMITS, upper=LIMITS.upper / 2), Reason.LIMIT_POSITION, "upper"),
}


def driven(loop, now_s, last, num_ticks=100):
    return drive(loop, num_ticks, lambda n: 0, start_s=now_s, begin=tuple(last))


@pytest.mark.parametrize("kind", STRICTER)
def test_a_robot_stops_smoothly_and_stays_at_rest_with_the_limits_named(kind):
    limits, reason, word = STRICTER[kind]
    loop, before, now_s = running_loop()
    loop.note_newer_limits(limits)
    commands = driven(loop, now_s, before[-1].position)
    assert outcome(commands[0]) == outcome(commands[-1]) == (HOLDING, reason)
    assert f"shoulder {word}" in commands[-1].text
    assert "deactivate and activate" in commands[-1].text
    assert steps_within_limits([*before, *commands])
    np.testing.assert_array_equal(commands[-1].position, commands[-50].position)
    assert loop.plan_request(now_s + 100 * TICK_S) is None


def test_it_goes_on_when_the_limits_in_force_come_again():
    loop, before, now_s = running_loop()
    loop.note_newer_limits(STRICTER["slower"][0])
    held = driven(loop, now_s, before[-1].position, 50)
    loop.note_newer_limits(LIMITS)
    commands = driven(loop, now_s + 50 * TICK_S, held[-1].position)
    assert commands[-1].state == RUNNING
    assert steps_within_limits([*before, *held, *commands])


def test_looser_limits_wait_for_the_next_activation():
    loop, before, now_s = running_loop()
    loop.note_newer_limits(replace(LIMITS, velocity=4 * LIMITS.velocity))
    commands = driven(loop, now_s, before[-1].position)
    assert commands[-1].state == RUNNING
    assert steps_within_limits([*before, *commands])
