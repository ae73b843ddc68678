"""A control loop whose joint turns without end and is reported between -pi and pi."""

import math
from dataclasses import replace

import numpy as np
import pytest
from stub_loop import JOINTS, MEMORY, RUNNING, STATE, TICK_S, new_loop, plan_of, ticks

from ddpm_controller.control.moving.safety import JointLimits

FREE = JointLimits(np.array([-np.inf, -2.0]), np.array([np.inf, 2.0]), np.array([1.5, 3.0]))
TURNING = replace(STATE, wraps=("shoulder",))
SPEED = 1.0
"""rad/s that the policy asks for, from where it sees the joint."""


def wrapped(value):
    return (value + math.pi) % (2 * math.pi) - math.pi


def ahead(request):
    """A plan that turns on from the observed position, as a policy that has learned to."""
    newest = request.window[-1].values["joint_state"][1]
    times_s = 0.1 * np.arange(12)
    return plan_of(np.stack([newest + SPEED * times_s, 0 * times_s], axis=1), request)


def driven(loop, num_ticks, shoulder, start_s=1.0):
    """Drive a loop with a robot that is where it is commanded; plans come at once."""
    commands, seen = [], []
    for now_s in ticks(start_s, num_ticks):
        loop.observe("joint_state", now_s, np.array([0.0, wrapped(shoulder)]))
        request = loop.plan_request(now_s)
        if request is not None:
            seen.append(request.window[-1].values["joint_state"][1])
            assert not loop.accept(ahead(request), request)
        command = loop.tick(now_s)
        if command.position is not None:
            shoulder = command.position[0]
            commands.append(command)
    return commands, seen


def test_commands_lead_on_through_the_seam_and_never_the_other_way():
    loop = new_loop(streams=(TURNING,), max_ages_s={"joint_state": 0.3}, limits=FREE)
    commands, seen = driven(loop, 500, shoulder=2.5)
    positions = np.array([each.position[0] for each in commands])
    assert commands[-1].state == RUNNING
    steps = np.diff(positions)
    assert steps.min() > -1e-9
    assert steps.max() <= 1.5 * TICK_S
    assert positions[-1] > 2.5 + 9 * SPEED  # more than a turn in 10 s
    np.testing.assert_array_less(np.abs(np.diff(seen)), 0.5)


def test_a_joint_that_is_not_named_in_wraps_holds_at_the_seam_with_the_remedy():
    loop = new_loop(streams=(STATE,), max_ages_s={"joint_state": 0.3}, limits=FREE)
    commands, _ = driven(loop, 200, shoulder=2.5)
    positions = np.array([each.position[0] for each in commands])
    assert "name it in wraps" in commands[-1].text
    assert positions[-1] == positions[-2]
    assert 3.1 < positions[-1] < 3.3
    assert np.diff(positions).min() > -1e-9


def test_the_next_run_begins_where_the_joint_is_reported():
    loop = new_loop(streams=(TURNING,), max_ages_s={"joint_state": 0.3}, limits=FREE)
    commands, _ = driven(loop, 500, shoulder=2.5)
    shoulder = commands[-1].position[0]
    loop.start(MEMORY)
    commands, seen = driven(loop, 50, shoulder, start_s=20.0)
    assert seen[0] == pytest.approx(wrapped(shoulder))
    assert commands[0].position[0] == pytest.approx(wrapped(shoulder))
    assert JOINTS[0] == "shoulder"


def test_a_jump_of_the_clock_does_not_turn_the_joint():
    loop = new_loop(streams=(TURNING,), max_ages_s={"joint_state": 0.3}, limits=FREE)
    commands, _ = driven(loop, 300, shoulder=2.5)
    later, _ = driven(loop, 100, commands[-1].position[0], start_s=100.0)
    positions = np.array([each.position[0] for each in commands + later])
    assert positions[-1] > positions[299] > math.pi
    np.testing.assert_array_less(np.abs(np.diff(positions)), 1.5 * SPEED * TICK_S)
