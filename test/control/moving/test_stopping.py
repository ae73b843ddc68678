import numpy as np
import pytest

from ddpm_controller.control.moving.interpolation import Motion
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.control.moving.stopping import SafeStop, longest_stop_s

LIMITS = JointLimits(*(np.array([x]) for x in (-1.0, 1.0, 2.0, 20.0, 400.0)))


def stop_from(position, velocity, acceleration=0.0, limits=LIMITS, stop_s=0.4):
    begin = Motion(np.array([position]), np.array([velocity]), np.array([acceleration]))
    return SafeStop(5.0, begin, stop_s, limits)


def test_where_the_limits_allow_it_a_stop_takes_the_time_asked_for():
    at = stop_from(0.0, 1.0).at
    np.testing.assert_allclose(at(5.0).velocity, [1.0])
    assert at(5.39).velocity[0] > 0
    np.testing.assert_array_equal(at(5.4).velocity, [0.0])
    np.testing.assert_allclose(at(9.0).position, [0.2])  # half of the speed in the mean


WHERE = {
    "near a position limit": (0.9, 1.0, 0.0),
    "with an acceleration at its limit": (0.0, 1.49, 20.0),
    "backwards near a limit": (-0.9, -1.0, 0.0),
}


@pytest.mark.parametrize("begin", WHERE.values(), ids=WHERE)
def test_where_they_do_not_it_is_faster_and_inside(begin):
    at = stop_from(*begin).at
    motions = [at(now_s) for now_s in np.arange(5.0, 5.7, 0.001)]
    assert max(abs(m.position[0]) for m in motions) <= 1.0
    assert max(abs(m.velocity[0]) for m in motions) <= 2.0
    assert max(abs(m.acceleration[0]) for m in motions) <= 20.0
    last = motions[-1]
    assert (last.velocity[0], last.acceleration[0]) == (0.0, 0.0)


def test_a_weak_joint_takes_longer_than_asked_for_and_says_how_long():
    weak = JointLimits(*(np.array([x]) for x in (-9.0, 9.0, 2.0, 1.0, 4.0)))
    # 2 / 1 + 2 * 1 / 4, with a thousandth less jerk.
    assert longest_stop_s(0.2, weak) == pytest.approx(2.5, rel=2e-3)
    assert longest_stop_s(0.2, LIMITS) == 0.2
    at = stop_from(0.0, 1.9, 0.2, weak, 0.2).at
    assert at(7.0).velocity[0] > 0
    assert at(7.5).velocity[0] == 0
