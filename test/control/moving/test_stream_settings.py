"""How far a quintic may be from a motion of bounded jerk that it joins at two points."""

import numpy as np

from ddpm_controller.control.moving.interpolation import Motion, Quintic
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.control.moving.stream_settings import limits_between

ONE = np.ones(1)


def test_velocity_and_position_leave_their_limits_by_no_more_than_is_taken_from_them():
    """The largest error is the integral of the absolute Peano kernel, at its worst moment."""
    num = 1000
    s = (np.arange(num) + 0.5) / num  # a jerk of 1 at s, for no time, is a ramp from there on
    zero = np.zeros(num)
    quintic = Quintic(Motion(zero, zero, zero), Motion((1 - s) ** 2 / 2, 1 - s, np.ones(num)), 1.0)
    over_velocity = over_position = 0.0
    for u in np.linspace(0, 1, 101):
        found, since = quintic.at(u), np.maximum(u - s, 0.0)
        over_velocity = max(over_velocity, np.abs(found.velocity - since).mean())
        over_position = max(over_position, np.abs(found.position - since**2 / 2).mean())
    limits = JointLimits(-ONE, ONE, 10 * ONE, ONE, ONE)
    used = limits_between(limits, 1.0)  # J h is just A
    # A velocity that is within a limit at both points passes it by J h^2 / 8 between them.
    between = 1 / 8
    np.testing.assert_allclose(limits.velocity - used.velocity, over_velocity + between, rtol=0.01)
    np.testing.assert_allclose(limits.upper - used.upper, over_position, rtol=0.01)
    np.testing.assert_allclose(used.lower - limits.lower, over_position, rtol=0.01)


def test_a_velocity_within_its_limit_at_two_points_passes_it_by_an_eighth_of_the_jerk_between():
    """Up at the full jerk and down again: a(0) = J h / 2, a(h) = - J h / 2."""
    moments = np.linspace(0, 1, 101)
    velocity = moments / 2 - moments**2 / 2
    assert velocity[0] == velocity[-1] == 0
    assert velocity.max() == 1 / 8


def test_the_acceleration_of_a_quintic_is_at_most_five_percent_over():
    """Jerks of -1, 0 or 1 in random phases, the acceleration within 1: J h is A.

    The worst of all is 1.0508; random phases come near.
    """
    random, num, parts = np.random.default_rng(0), 40_000, 60
    jerk = random.choice([-1.0, 0.0, 1.0], (num, 6)).repeat(parts // 6, axis=1)
    ends = np.sort(random.uniform(0, 1, (num, 5)), axis=1)
    moments = (np.arange(parts) + 0.5) / parts
    jerk = np.take_along_axis(jerk[:, ::10], (moments[:, None] > ends[:, None]).sum(axis=2), 1)
    acceleration = random.uniform(-1, 1, (num, 1)) + np.cumsum(jerk, axis=1) / parts
    first = acceleration[:, 0] - jerk[:, 0] / parts
    allowed = (np.abs(acceleration).max(axis=1) <= 1) & (np.abs(first) <= 1)
    jerk, first = jerk[allowed], first[allowed]
    end = Motion(
        first / 2 + (jerk * ((1 - moments) ** 2 / 2 + 1 / (24 * parts**2))).mean(axis=1),
        first + (jerk * (1 - moments)).mean(axis=1),
        first + jerk.mean(axis=1),
    )
    zero = np.zeros_like(first)
    quintic = Quintic(Motion(zero, zero, first), end, 1.0)
    peak = max(np.abs(quintic.at(u).acceleration).max() for u in np.linspace(0, 1, 51))
    assert 1.02 < peak < 1.051
