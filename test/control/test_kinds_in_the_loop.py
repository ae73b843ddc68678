"""A run whose commands are velocities: where it begins, what refuses it, how it stops."""

from dataclasses import replace

import numpy as np
import pytest
from stub_loop import HOLDING, LIMITS, MEMORY, RUNNING, SPEC, TICK_S, WAITING, new_loop, see, ticks

from ddpm_controller.control.observing.follow_watch import FollowRules
from ddpm_controller.control.planning.start_gate import start_gate
from ddpm_controller.control.states import Reason
from ddpm_controller.policy import TrainingRange
from ddpm_controller.types import ActionChunk, ActionSpec, Plan

VELOCITIES = replace(SPEC, units=("rad/s", "rad/s"), kinds=("joint_velocity",) * 2)
TWIST = ActionSpec(("linear.x", "elbow"), ("m/s", "rad"), 0.1, ("twist", "joint_position"))
RANGE = TrainingRange(*(np.array(each) for each in ([-0.4, -0.4], [0.4, 0.4], [-1, -1], [1, 1])))
LATE_S = 0.04


def loop_of(spec=VELOCITIES, **changes):
    limits = LIMITS.commanding_velocities(spec.are_velocities, LATE_S)
    return new_loop(action_spec=spec, limits=limits, **changes)


def run(loop, row, num_ticks, at=(0.0, 0.0), start_s=1.0, moves=True):
    """Tick with a policy that always plans ``row``; the joints move as they are led."""
    spec, at, commands, places = loop.settings.action_spec, np.array(at), [], []
    for now_s in ticks(start_s, num_ticks):
        see(loop, now_s, *at)
        request = loop.plan_request(now_s)
        if request is not None:
            rows = np.tile(np.asarray(row, float), (8, 1))
            chunk = ActionChunk(now_s, spec.period_s, spec.joint_names, rows)
            loop.accept(Plan(chunk, request.memory), request)
        command = loop.tick(now_s)
        commands.append(command)
        if command.position is not None and moves:
            held = at + command.position * TICK_S
            at = np.where(spec.are_velocities, held, command.position)
        places.append(at)
    return commands, np.array(places)


def test_a_run_begins_at_zero_and_follows_the_velocities_of_the_plan():
    commands, places = run(loop_of(), [0.3, -0.2], 40, at=(0.2, 0.5))
    assert commands[0].position.tolist() == [0.0, 0.0]
    assert commands[-1].state == RUNNING
    assert commands[-1].position == pytest.approx([0.3, -0.2])
    assert places[-1] == pytest.approx([0.2 + 0.3 * 0.7, 0.5 - 0.2 * 0.7], abs=0.05)


def test_a_stop_brings_velocities_to_zero_and_a_new_run_begins_there():
    loop = loop_of()
    run(loop, [0.3, -0.2], 40)
    loop.stop()
    commands, _ = run(loop, [0.3, -0.2], 30, start_s=1.8)
    assert commands[-1].position.tolist() == [0.0, 0.0]
    assert not np.any(commands[-1].velocity)
    loop.start(MEMORY, keep_position=True)
    commands, _ = run(loop, [0.3, -0.2], 2, start_s=2.4)
    assert commands[0].position.tolist() == [0.0, 0.0]


def test_a_joint_that_is_led_beyond_its_limit_stays_inside():
    commands, places = run(loop_of(), [1.4, 0.0], 120)
    assert places[:, 0].max() <= LIMITS.upper[0]
    assert places[-1, 0] > 0.95
    assert Reason.LIMIT_POSITION in {command.reason for command in commands}


def test_a_run_may_not_begin_where_a_joint_is_beyond_its_position_limit():
    commands, _ = run(loop_of(), [0.0, 0.0], 3, at=(1.2, 0.0))
    assert commands[-1].state == WAITING
    assert "shoulder at 1.2000 outside [-1.0000, 1.0000]" in commands[-1].text


def test_a_first_velocity_is_never_far_and_a_strange_place_is_refused_even_with_an_approach():
    gate = start_gate(RANGE, approach_share=0.3)
    commands, _ = run(loop_of(gate=gate), [1.4, 2.0], 10)
    assert commands[-1].state == RUNNING
    commands, _ = run(loop_of(gate=gate), [0.1, 0.1], 10, at=(0.9, 0.0))
    assert commands[-1].state == WAITING
    assert commands[-1].reason == Reason.START_REFUSED


def test_a_twist_is_commanded_though_nothing_measures_it():
    commands, places = run(loop_of(TWIST), [0.4, 0.3], 60)
    assert commands[-1].state == RUNNING
    assert commands[-1].position == pytest.approx([0.4, 0.3])
    assert places[-1, 1] == pytest.approx(0.3)


def test_a_robot_that_stands_still_under_velocities_is_stopped():
    limits = replace(LIMITS, follow=np.array([0.1, 0.1]))
    limits = limits.commanding_velocities(VELOCITIES.are_velocities, LATE_S)
    loop = new_loop(action_spec=VELOCITIES, limits=limits, follow=FollowRules())
    commands, _ = run(loop, [0.4, 0.0], 120, moves=False)
    assert (HOLDING, Reason.NOT_FOLLOWED) in {(each.state, each.reason) for each in commands}
    assert "rad, " in next(each.text for each in commands if each.reason == Reason.NOT_FOLLOWED)


def test_without_observations_velocities_fade():
    loop = loop_of()
    run(loop, [0.3, -0.2], 40)
    commands = [loop.tick(now_s) for now_s in ticks(1.8, 40)]
    assert commands[-1].reason == Reason.STALE_OBSERVATION
    assert commands[-1].position.tolist() == [0.0, 0.0]
