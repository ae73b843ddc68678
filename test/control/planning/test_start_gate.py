import math
from dataclasses import replace

import numpy as np
import pytest
from stub_loop import (
    HOLDING,
    LIMITS,
    MEMORY,
    RUNNING,
    SPEC,
    TICK_S,
    WAITING,
    new_loop,
    outcome,
    plan_of,
    see,
    steps_within_limits,
    ticks,
)

from ddpm_controller.control.planning.start_gate import StartGate, approach_chunk, start_gate
from ddpm_controller.control.states import Reason
from ddpm_controller.policy import TrainingRange

TRAINED = TrainingRange(
    np.array([-0.4, 0.3]), np.array([0.6, 0.3]), np.array([-0.5, 0.3]), np.array([0.7, 0.3])
)
JOINTS = SPEC.joint_names
REFUSED = Reason.START_REFUSED


def gated_loop(gate):
    return new_loop(gate=gate)


def run(loop, row, num_ticks, measured=(0.0, 0.0), start_s=1.0, follows=True):
    """Tick with a policy that always plans rest at ``row``; the robot follows its commands."""
    commands, at = [], np.array(measured)
    for now_s in ticks(start_s, num_ticks):
        see(loop, now_s, *at)
        request = loop.plan_request(now_s)
        if request is not None:
            loop.accept(plan_of(np.tile(row, (8, 1)), request), request)
        commands.append(loop.tick(now_s))
        if follows and commands[-1].position is not None:
            at = commands[-1].position
    return commands


@pytest.mark.parametrize(
    ("measured", "refused"),
    [
        # The margin is 0.1 of a range of 1 and 0.05 s at 1.5 rad/s; the elbow never moved.
        ([0.77, 0.3], False),
        ([0.78, 0.3], True),
        ([-0.57, 0.3], False),
        ([-0.58, 0.3], True),
        ([0.0, 0.44], False),
        ([0.0, 0.46], True),
    ],
)
def test_a_start_outside_the_training_range_is_refused_with_joint_value_and_range(
    measured, refused
):
    text = start_gate(TRAINED).state_problem(np.array(measured), LIMITS, JOINTS)
    assert bool(text) == refused
    if refused:
        joint = 0 if measured[1] == 0.3 else 1
        assert f"{JOINTS[joint]} is at {measured[joint]:.4f}" in text
        assert JOINTS[1 - joint] not in text
        assert ("[-0.5000, 0.7000]" if joint == 0 else "[0.3000, 0.3000]") in text


def test_the_first_action_may_be_half_of_the_training_range_away_unless_told_otherwise():
    measured = np.array([0.0, 0.3])
    far, near = np.array([0.51, 0.3]), np.array([0.49, 0.3])
    derived = start_gate(TRAINED)
    assert not derived.action_problem(near, measured, LIMITS, JOINTS)
    assert "shoulder from 0.0000 to 0.5100" in derived.action_problem(
        far, measured, LIMITS, JOINTS
    )
    assert start_gate(TRAINED, distance=0.2).action_problem(near, measured, LIMITS, JOINTS)
    assert not start_gate(TRAINED, distance=math.inf).action_problem(
        far + 9.0, measured, LIMITS, JOINTS
    )


def test_a_margin_without_end_and_a_policy_that_tells_no_range_start_anywhere():
    anywhere = np.array([9.0, -9.0])
    for gate in (start_gate(None), start_gate(TRAINED, margin=math.inf), StartGate()):
        assert not gate.state_problem(anywhere, LIMITS, JOINTS)


def test_a_gate_that_contradicts_itself_is_refused():
    with pytest.raises(ValueError, match="approach_share"):
        StartGate(approach_share=1.5)
    with pytest.raises(ValueError, match="lower <= upper"):
        StartGate(np.ones(2), np.zeros(2))


def test_nothing_is_sent_from_outside_the_training_range_until_the_robot_is_inside():
    loop = gated_loop(start_gate(TRAINED))
    commands = run(loop, [0.1, 0.3], 5, measured=(-0.9, 0.3))
    assert {outcome(each) for each in commands} == {(WAITING, REFUSED)}
    assert all(each.position is None for each in commands)
    assert "shoulder is at -0.9000" in commands[-1].text
    assert "start.margin" in commands[-1].text
    commands = run(loop, [0.1, 0.3], 50, measured=(0.1, 0.3), start_s=1.1)
    assert outcome(commands[-1]) == (RUNNING, Reason.NONE)


def test_a_far_first_action_holds_the_robot_where_it_is_measured_and_says_why():
    loop = gated_loop(start_gate(TRAINED))
    commands = run(loop, [0.6, 0.3], 100, measured=(0.0, 0.3))
    assert {outcome(each) for each in commands[1:]} == {(HOLDING, REFUSED)}
    np.testing.assert_array_equal(commands[-1].position, [0.0, 0.3])
    assert "shoulder from 0.0000 to 0.6000" in commands[-1].text
    assert all(each.takeover is None for each in commands)
    # The next plan is near.
    commands = run(loop, [0.4, 0.3], 100, measured=(0.0, 0.3), start_s=3.0)
    assert outcome(commands[-1]) == (RUNNING, Reason.NONE)
    np.testing.assert_allclose(commands[-1].position, [0.4, 0.3])


def test_a_plan_that_comes_while_the_robot_runs_may_be_far_from_it():
    loop = gated_loop(start_gate(TRAINED))
    run(loop, [0.0, 0.3], 20, measured=(0.0, 0.3))
    commands = run(loop, [0.6, 0.3], 60, measured=(0.0, 0.3), start_s=1.4)
    assert all(each.state == RUNNING for each in commands)


def test_an_approach_is_slow_and_the_policy_begins_when_the_robot_has_arrived():
    loop = gated_loop(start_gate(TRAINED, approach_share=0.3))
    commands = run(loop, [0.6, 0.3], 400, measured=(-0.8, 0.3))
    approach = [each for each in commands if outcome(each) == (RUNNING, REFUSED)]
    assert "shoulder is at -0.8000" in approach[0].text
    assert approach[0].takeover.is_approach
    speeds = [np.abs(each.velocity) / LIMITS.velocity for each in approach]
    assert 0.29 < np.max(speeds) <= 0.303  # the curve through the rows is not the quintic itself
    last = commands.index(approach[-1])
    np.testing.assert_allclose(commands[last].position, [0.6, 0.3], atol=1e-6)
    assert outcome(commands[-1]) == (RUNNING, Reason.NONE)
    taken = [each.takeover for each in commands if each.takeover is not None]
    # Counted on, so that no noise is drawn twice; what the first plan remembered is forgotten.
    assert [(each.is_approach, each.request.plan_number) for each in taken[:2]] == [
        (True, 0),
        (False, 1),
    ]
    assert steps_within_limits(commands)


def test_a_robot_that_does_not_get_there_is_approached_once_and_then_refused():
    loop = gated_loop(start_gate(TRAINED, approach_share=0.5))
    commands = run(loop, [0.6, 0.3], 400, measured=(-0.8, 0.3), follows=False)
    assert sum(each.takeover is not None for each in commands) == 1
    assert outcome(commands[-1]) == (HOLDING, REFUSED)


def test_another_run_may_approach_again():
    loop = gated_loop(start_gate(TRAINED, approach_share=0.5))
    run(loop, [0.6, 0.3], 400, measured=(-0.8, 0.3), follows=False)
    loop.start(MEMORY)
    commands = run(loop, [0.6, 0.3], 400, measured=(-0.8, 0.3), start_s=20.0)
    assert (RUNNING, REFUSED) in {outcome(each) for each in commands}
    assert outcome(commands[-1]) == (RUNNING, Reason.NONE)


def test_a_plan_that_was_refused_leaves_nothing_in_the_memory():
    loop = gated_loop(start_gate(TRAINED))
    for now_s in ticks(1.0, 50):
        see(loop, now_s, 0.0, 0.3)
        request = loop.plan_request(now_s)
        if request is not None:
            assert "mark" not in request.memory
            plan = plan_of(np.tile([0.6, 0.3], (8, 1)), request)
            loop.accept(replace(plan, memory={**request.memory, "mark": np.ones(1)}), request)
        loop.tick(now_s)
    assert request is None
    assert outcome(loop.tick(2.0)) == (HOLDING, REFUSED)


def test_an_approach_keeps_its_share_of_every_limit_and_arrives_at_rest():
    begin, goal = np.array([-0.9, 1.9]), np.array([0.9, 2.5])
    chunk = approach_chunk(
        begin, goal, LIMITS, 0.2, start_s=1.0, period_s=0.01, joint_names=JOINTS
    )
    rows = chunk.actions
    np.testing.assert_array_equal(rows[0], begin)
    np.testing.assert_allclose(rows[-1], [0.9, 2.0], atol=1e-12)  # inside the limits
    bounds = (LIMITS.velocity, LIMITS.acceleration, LIMITS.jerk)
    shares = []
    for order, bound in enumerate(bounds, start=1):
        rate = np.diff(rows, n=order, axis=0) / 0.01**order
        shares.append(float(np.abs(rate / bound).max()))
    assert max(shares) <= 0.2 + 1e-9
    assert max(shares) > 0.19  # not slower than asked


def test_an_approach_that_was_given_up_with_stale_observations_begins_again():
    loop = gated_loop(start_gate(TRAINED, approach_share=0.3))
    commands = run(loop, [0.6, 0.3], 100, measured=(-0.8, 0.3))
    at = commands[-1].position
    for now_s in ticks(3.0, 50):
        command = loop.tick(now_s)
    assert outcome(command) == (HOLDING, Reason.STALE_OBSERVATION)
    commands = run(loop, [0.6, 0.3], 300, measured=at, start_s=4.0)
    assert (RUNNING, REFUSED) in {outcome(each) for each in commands}
    assert outcome(commands[-1]) == (RUNNING, Reason.NONE)
    np.testing.assert_allclose(commands[-1].position, [0.6, 0.3], atol=1e-6)


def test_a_clock_that_goes_back_ends_an_approach():
    loop = gated_loop(start_gate(TRAINED, approach_share=0.3))
    commands = run(loop, [0.6, 0.3], 100, measured=(-0.8, 0.3), start_s=50.0)
    commands = run(loop, [0.6, 0.3], 400, measured=commands[-1].position, start_s=1.0)
    assert outcome(commands[-1]) == (RUNNING, Reason.NONE)


def test_times_go_on_while_it_approaches_so_that_a_run_can_be_stopped():
    loop = gated_loop(start_gate(TRAINED, approach_share=0.1))
    commands = run(loop, [0.6, 0.3], 50, measured=(-0.8, 0.3))
    assert outcome(commands[-1]) == (RUNNING, REFUSED)
    loop.stop()
    at = commands[-1].position
    for now_s in ticks(1.0 + 50 * TICK_S, 50):
        see(loop, now_s, *at)
        command = loop.tick(now_s)
        at = command.position
    assert outcome(command) == (HOLDING, Reason.DEACTIVATED)
    np.testing.assert_array_equal(command.velocity, 0.0)
