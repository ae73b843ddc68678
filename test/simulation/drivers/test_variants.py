import numpy as np
import pytest

from ddpm_controller.simulation.drivers.forward_controller import ForwardController, Targets
from ddpm_controller.simulation.drivers.trajectory_controller import (
    ControllerRules,
    TrajectoryController,
)
from ddpm_controller.simulation.drivers.variants import (
    OffClock,
    RefusesInSilence,
    Slowed,
    Span,
    StandsStill,
)
from ddpm_controller.types import Trajectory

NAMES = ("turn",)
HERE = np.zeros(1)


def controller():
    return TrajectoryController(ControllerRules(NAMES, 0.01))


def line(stamp_s):
    """One radian a second for two seconds."""
    return Trajectory(stamp_s, NAMES, np.array([0.0, 2.0]), np.array([[0.0], [2.0]]))


@pytest.mark.parametrize(("offset_s", "expected"), [(0.0, 0.51), (0.05, 0.56), (-0.05, 0.46)])
def test_a_clock_that_is_off_shifts_the_motion_by_as_much(offset_s, expected):
    driver = OffClock(controller(), offset_s)
    assert driver.receive(line(100.0), 100.1) == ""
    np.testing.assert_allclose(driver.update(100.5, HERE).position, [expected], atol=1e-9)


def test_a_clock_far_ahead_refuses_what_is_new_for_everybody_else():
    assert "ends in the past" in OffClock(controller(), 5.0).receive(line(100.0), 100.0)


def test_silence_takes_nothing_and_says_nothing_while_it_lasts():
    driver = RefusesInSilence(controller(), Span(100.0, 101.0))
    driver.update(99.0, HERE)
    assert driver.receive(line(100.0), 100.5) == ""
    assert driver.update(100.6, HERE).position.tolist() == [0.0]
    assert driver.receive(line(100.0), 101.0) == ""
    np.testing.assert_allclose(driver.update(101.0, HERE).position, [1.01], atol=1e-9)


def test_silence_without_a_span_is_for_good():
    driver = RefusesInSilence(ForwardController(NAMES))
    assert driver.receive(Targets(np.ones(1)), 1e9) == ""
    assert driver.update(1e9, HERE).position.tolist() == [0.0]


def test_a_robot_that_stands_stays_where_it_was_when_it_began_to():
    driver = StandsStill(controller(), Span(100.5, 101.0))
    driver.receive(line(100.0), 100.0)
    assert driver.update(100.4, np.array([0.39])).position[0] > 0.4
    assert driver.update(100.5, np.array([0.49])).position.tolist() == [0.49]
    assert driver.update(100.9, np.array([0.48])).position.tolist() == [0.49]
    np.testing.assert_allclose(driver.update(101.0, HERE).position, [1.01], atol=1e-9)


def test_a_slowed_robot_moves_on_by_its_share():
    driver = Slowed(controller(), 0.1)
    driver.receive(line(100.0), 100.0)
    driver.update(100.0, HERE)
    np.testing.assert_allclose(driver.update(101.0, HERE).position, [0.11], atol=1e-9)


def test_faults_can_be_put_around_each_other():
    driver = Slowed(OffClock(controller(), 0.2), 0.5, Span(100.0, 102.0))
    driver.receive(line(100.0), 100.0)
    driver.update(100.0, HERE)
    np.testing.assert_allclose(driver.update(101.0, HERE).position, [0.71], atol=1e-9)


def test_a_share_or_a_span_that_means_nothing_is_refused():
    with pytest.raises(ValueError, match="share must be from 0 to 1, got 1.5"):
        Slowed(controller(), 1.5)
    with pytest.raises(ValueError, match="before end_s"):
        Span(2.0, 1.0)
