import numpy as np
import pytest

from ddpm_controller.control.moving.braking import Braking
from ddpm_controller.control.moving.governor import SHARE
from ddpm_controller.control.moving.interpolation import Motion, Stop
from ddpm_controller.control.moving.path import Path
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.control.moving.stopping import EmbeddedStop

STOP_S = 0.2


def random_limits(random, num_joints):
    velocity = random.uniform(0.5, 4.0, num_joints)
    acceleration = velocity * random.uniform(2.0, 12.0, num_joints)
    jerk = acceleration * random.uniform(20.0, 400.0, num_joints)
    half = random.uniform(0.5, 3.0, num_joints)
    return JointLimits(-half, half, velocity, acceleration, jerk)


def random_motion(random, limits, share):
    """A motion from which the fastest stop stays inside the limits."""
    used = limits.scaled(SHARE)
    for _ in range(1000):
        shape = limits.velocity.shape
        found = Motion(
            limits.upper * random.uniform(-0.9, 0.9, shape),
            share * used.velocity * random.uniform(-1, 1, shape),
            share * used.acceleration * random.uniform(-1, 1, shape),
        )
        lowest, highest, fastest = Braking.of(found, used.acceleration, used.jerk).extent()
        allowed = (lowest >= limits.lower) & (highest <= limits.upper)
        allowed &= fastest <= used.velocity
        if allowed.all():
            return found
        share *= 0.98
    raise AssertionError("no motion found")


def path_of(begin, times_s, motions):
    path = Path(len(begin.position))
    path.append(0.0, begin)
    for moment_s, rows in zip(times_s, motions, strict=True):
        path.append(float(moment_s), Motion(*rows))
    return path


def cases():
    random = np.random.default_rng(11)
    for num_joints in (1, 2, 7, 29):
        for share in (0.1, 0.5, 1.0):
            for _ in range(12):
                limits = random_limits(random, num_joints)
                yield limits, random_motion(random, limits, share)


def test_it_ends_at_rest_and_its_points_lie_apart():
    hard = 0
    for limits, begin in cases():
        times_s, motions = EmbeddedStop(limits, STOP_S).points(begin)
        assert motions.shape == (len(times_s), 3, len(begin.position))
        assert not motions[-1, 1:].any()
        assert (np.diff(times_s, prepend=0.0) > 1e-6).all()
        hard += len(times_s) > 1
    assert hard > 40  # the cases are of both kinds
    assert hard < 120


def test_between_its_points_it_is_the_gentle_or_the_fastest_stop():
    for limits, begin in cases():
        times_s, motions = EmbeddedStop(limits, STOP_S).points(begin)
        path, used = path_of(begin, times_s, motions), limits.scaled(SHARE)
        gentle = Stop(0.0, begin, STOP_S)
        fast = Braking.of(begin, used.acceleration, used.jerk)
        moments_s = np.linspace(0.0, float(times_s[-1]), 60)[1:-1]
        found = np.array([vars_of(path.at(s)) for s in moments_s])
        # A phase that ends up to 2 us beside a point: the acceleration differs by J times that.
        allowed = np.array([1e-9 * limits.velocity, 1e-5 * limits.velocity, 1e-5 * limits.jerk])
        one = np.abs(found - [vars_of(gentle.at(s)) for s in moments_s]) <= allowed
        other = np.abs(found - [vars_of(fast.at(s)) for s in moments_s]) <= allowed
        assert (one.all(axis=(0, 1)) | other.all(axis=(0, 1))).all()


def vars_of(motion):
    return motion.position, motion.velocity, motion.acceleration


def test_it_keeps_every_limit_between_its_points_too():
    for limits, begin in cases():
        times_s, motions = EmbeddedStop(limits, STOP_S).points(begin)
        path = path_of(begin, times_s, motions)
        moments_s = np.linspace(0.0, float(times_s[-1]), 200)
        rows = np.array([vars_of(path.at(s)) for s in moments_s])
        assert (rows[:, 0] >= limits.lower - 1e-9).all()
        assert (rows[:, 0] <= limits.upper + 1e-9).all()
        assert (np.abs(rows[:, 1]) <= limits.velocity * 1.0001).all()
        # Looked at at 25 moments, between which a parabola may rise by a little.
        assert (np.abs(rows[:, 2]) <= limits.acceleration * 1.005).all()


def test_a_slow_motion_needs_one_point():
    limits = random_limits(np.random.default_rng(0), 29)
    begin = Motion(np.zeros(29), 0.01 * limits.velocity, np.zeros(29))
    times_s, motions = EmbeddedStop(limits, STOP_S).points(begin)
    assert times_s.tolist() == [STOP_S]
    # Half of the way that the speed alone would go.
    np.testing.assert_allclose(motions[0, 0], 0.01 * limits.velocity * STOP_S / 2)


def test_a_joint_at_its_limit_stops_gently_whatever_the_last_digit_is():
    limits = JointLimits(*(np.array([x]) for x in (-9.0, 9.0, 2.0, 100.0, 1e5)))
    top = limits.scaled(SHARE).velocity
    for velocity in (top, np.nextafter(top, 9.0)):
        times_s, _ = EmbeddedStop(limits, STOP_S).points(
            Motion(np.zeros(1), velocity, np.zeros(1))
        )
        assert len(times_s) == 1


def test_where_the_box_counts_every_joint_takes_the_fastest_stop():
    limits = random_limits(np.random.default_rng(0), 2)
    begin = Motion(np.zeros(2), 0.01 * limits.velocity, np.zeros(2))
    times_s, _ = EmbeddedStop(limits, STOP_S, fastest=True).points(begin)
    used = limits.scaled(SHARE)
    longest_s = Braking.of(begin, used.acceleration, used.jerk).duration.max()
    assert float(times_s[-1]) == longest_s < STOP_S


def test_from_rest_it_rests():
    limits = random_limits(np.random.default_rng(0), 3)
    for fastest in (False, True):
        stop = EmbeddedStop(limits, STOP_S, fastest=fastest)
        times_s, motions = stop.points(Motion.rest(np.array([0.1, 0.2, 0.3])))
        assert times_s.tolist() == [STOP_S]
        assert motions[0].tolist() == [[0.1, 0.2, 0.3], [0, 0, 0], [0, 0, 0]]


def test_a_stop_without_time_is_refused():
    with pytest.raises(ValueError, match="stop_s must be above 0, got 0"):
        EmbeddedStop(random_limits(np.random.default_rng(0), 1), 0.0)
