"""Commands that are sent ahead because they act later."""

import numpy as np
import pytest
from stub_loop import (
    HOLDING,
    RUNNING,
    TICK_S,
    drive,
    new_loop,
    outcome,
    plan_of,
    positions,
    see,
    steps_within_limits,
    ticks,
    waves,
)

from ddpm_controller.control.states import Reason
from ddpm_controller.types import ActionChunk

DEAD_TICKS = 4
ROWS = 8


def wave(stamps_s):
    """Where the robot shall be."""
    return np.stack([0.5 * np.sin(stamps_s), 0.5 * np.cos(stamps_s) - 0.5], axis=-1)


def wanted(request):
    """A plan that says where to be at each moment."""
    return plan_of(wave(request.requested_s + 0.1 * np.arange(ROWS)), request)


def tracking_error(lead_s: float, delay_ticks: int = 2) -> float:
    """Root mean square distance of a robot with a dead time from where it shall be, rad."""
    loop = new_loop(lead_s=lead_s)
    sent, errors, coming = [np.zeros(2)], [], None
    for k, now_s in enumerate(ticks(1.0, 300)):
        there = sent[max(len(sent) - 1 - DEAD_TICKS, 0)]
        see(loop, now_s, *there)
        if coming is not None and k >= coming[0]:
            loop.accept(*coming[1:])
            coming = None
        command = loop.tick(now_s)
        sent.append(sent[-1] if command.position is None else command.position)
        request = loop.plan_request(now_s)
        if request is not None:
            coming = (k + delay_ticks, wanted(request), request)
        if k > 60:
            assert command.state == RUNNING
            errors.append(sent[max(len(sent) - 1 - DEAD_TICKS, 0)] - wave(np.array(now_s)))
    return float(np.sqrt(np.mean(np.square(errors))))


def test_a_robot_with_a_dead_time_is_where_it_shall_be_when_commands_are_sent_ahead():
    without, ahead, too_far = (tracking_error(k * DEAD_TICKS * TICK_S) for k in (0, 1, 2))
    assert without > 0.02  # 0.08 s at up to 0.5 rad/s
    assert ahead < 0.1 * without
    assert too_far > 0.5 * without  # the sign


def test_a_command_is_where_the_chunk_will_be():
    lead_s = 3 * TICK_S
    begin = tuple(wave(np.array(1.0 + lead_s)))
    commands = drive(new_loop(lead_s=lead_s), 60, lambda n: 0, wanted, begin=begin)
    for command in commands[25:]:
        expected = wave(np.array(command.stamp_s + lead_s))
        # The quintic through rows 0.1 s apart is within 1e-3 rad of the wave.
        np.testing.assert_allclose(command.position, expected, atol=2e-3)


def test_a_chunk_ends_earlier_and_the_next_one_is_asked_for_earlier():
    lead_s = 0.2
    loop = new_loop(lead_s=lead_s, replan_period_s=10.0)
    commands = drive(loop, 40, lambda n: 0 if n == 0 else 10**9, wanted)
    ended = [c.stamp_s for c in commands if outcome(c) == (HOLDING, Reason.PLAN_LATE)]
    assert ended[0] == pytest.approx(1.0 + 0.7 - lead_s + TICK_S)
    asked = []
    loop = new_loop(lead_s=lead_s, replan_period_s=10.0)
    drive(loop, 40, lambda n: 0, lambda request: asked.append(request) or wanted(request))
    assert asked[1].requested_s == pytest.approx(1.0 + 0.65 * (0.7 - lead_s), abs=TICK_S)


def test_without_a_lead_nothing_changes_by_a_bit():
    same = [positions(drive(new_loop(**how), 100, lambda n: n % 7)) for how in ({}, {"lead_s": 0})]
    np.testing.assert_array_equal(*same)


def test_what_is_published_keeps_the_moments_of_the_policy_and_limits_hold():
    commands = drive(new_loop(lead_s=0.1), 60, lambda n: 3, waves)
    for takeover in (c.takeover for c in commands if c.takeover is not None):
        assert takeover.plan.chunk.start_s == takeover.request.requested_s
    assert steps_within_limits(commands)


def test_rows_are_moved_and_nothing_else():
    chunk = ActionChunk(5.0, 0.1, ("shoulder", "elbow"), np.ones((3, 2)))
    moved = new_loop(lead_s=0.25).schedule.sent_ahead(chunk)
    assert moved.start_s == 4.75
    assert moved.actions is chunk.actions


@pytest.mark.parametrize("lead_s", [-0.1, float("nan"), float("inf")])
def test_a_lead_that_is_no_time_is_refused(lead_s):
    with pytest.raises(ValueError, match=r"lead_s must be finite and not below 0"):
        new_loop(lead_s=lead_s)
