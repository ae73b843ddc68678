"""A motion that another motion loop has begun, taken up after some missing ticks."""

import numpy as np
import pytest

from ddpm_controller.control.moving.interpolation import Motion
from ddpm_controller.control.moving.motion_loop import MotionLoop, Order, Sent
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.control.states import Reason, State, Verdict
from ddpm_controller.types import ActionChunk

JOINTS = ("shoulder", "elbow")
LIMITS = JointLimits(np.array([-1.0, -2.0]), np.array([1.0, 2.0]), np.array([1.5, 3.0]))
PERIOD_S = 0.01
BEGIN = np.array([0.1, -0.2])
RUNNING = Order(Verdict(State.RUNNING))
ROWS = BEGIN + 0.1 * np.arange(20)[:, None] * np.array([0.4, 1.2])


def moving() -> tuple[Sent, ActionChunk]:
    """The last that was sent by a loop which then ends, and what it followed."""
    loop = MotionLoop(LIMITS, PERIOD_S)
    loop.hold_at(BEGIN, 0.0)
    chunk = ActionChunk(0.0, 0.1, JOINTS, ROWS)
    loop.follow(PERIOD_S, Order(RUNNING.verdict, chunk))
    for tick in range(2, 40):
        command = loop.follow(tick * PERIOD_S, RUNNING)
    motion = Motion(command.position, command.velocity, command.acceleration)
    assert np.abs(motion.velocity).max() > 1.0
    return Sent(command.stamp_s, motion), chunk


def largest_shares(commands) -> tuple[float, float]:
    """Largest change of velocity and of acceleration as shares of the limits in one period."""
    velocity = np.array([each.velocity for each in commands])
    acceleration = np.array([each.acceleration for each in commands])
    return (
        float((np.abs(np.diff(velocity, axis=0)) / (LIMITS.acceleration * PERIOD_S)).max()),
        float((np.abs(np.diff(acceleration, axis=0)) / (LIMITS.jerk * PERIOD_S)).max()),
    )


@pytest.mark.parametrize("gap", [1, 7])
@pytest.mark.parametrize("reason", [Reason.NO_PLAN, Reason.PLAN_LATE])
def test_without_a_chunk_it_stops_from_there_within_the_limits(gap, reason):
    sent, _ = moving()
    loop = MotionLoop(LIMITS, PERIOD_S)
    rest = Order(Verdict(State.HOLDING, reason))
    now_s = sent.stamp_s + gap * PERIOD_S
    commands = [loop.follow(now_s, Order(rest.verdict, sent=sent))]
    for tick in range(1, 100):
        commands.append(loop.follow(now_s + tick * PERIOD_S, rest))
    step = np.abs(commands[0].position - sent.motion.position)
    assert (step <= LIMITS.velocity * PERIOD_S * 1.25).all()
    assert (commands[0].velocity > 0.5 * sent.motion.velocity).all()
    assert max(largest_shares(commands)) <= 1.0 + 1e-6
    assert not commands[-1].velocity.any()
    # Gently, as any stop: a fifth of a second, and not at the limits.
    assert 0.15 < sum(bool(each.velocity.any()) for each in commands) * PERIOD_S < 0.35


def test_with_a_chunk_it_goes_on_without_a_stop():
    sent, chunk = moving()
    loop = MotionLoop(LIMITS, PERIOD_S)
    now_s = sent.stamp_s + 5 * PERIOD_S
    commands = [loop.follow(now_s, Order(RUNNING.verdict, chunk, sent=sent))]
    for tick in range(1, 60):
        commands.append(loop.follow(now_s + tick * PERIOD_S, RUNNING))
    assert max(largest_shares(commands)) <= 1.0 + 1e-6
    assert min(np.abs(each.velocity).max() for each in commands) > 0.5
    # It has caught up with the chunk, which counts in absolute time.
    expected = ROWS[0] + (now_s + 59 * PERIOD_S) * np.array([0.4, 1.2])
    np.testing.assert_allclose(commands[-1].position, expected, atol=1e-6)
