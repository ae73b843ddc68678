"""Trial ticks of a controller, timed by a clock of the test."""

import itertools

import numpy as np
import pytest
from random_checkpoint import SIM_ARM

from ddpm_controller.control.deployment import STREAMS, Deployment
from ddpm_controller.control.states import State
from ddpm_controller.robots.loop_settings import loop_settings
from ddpm_controller.robots.robot import load_robot
from ddpm_controller.ros.controller.rate_check import RateError, check_rate, trial_ticks

ROBOT = load_robot(SIM_ARM)


class Publisher:
    """Keeps what is published."""

    def __init__(self) -> None:
        self.commands, self.trajectories = [], []
        self.send, self.send_trajectory = self.commands.append, self.trajectories.append


def ticks(rate_hz, publisher=None, stream="rest_ended"):
    settings = loop_settings(ROBOT, None, Deployment(stream=stream))
    return trial_ticks(settings, rate_hz, publisher or Publisher())


def timer(times_s):
    """A clock that stands at the end of each of these times, one after the other."""
    return itertools.accumulate(itertools.chain([0.0], itertools.cycle(times_s))).__next__


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("rate_hz", [25.0, 50.0, 500.0])
def test_trial_ticks_do_what_a_running_controller_does(rate_hz, stream):
    """They follow a moving chunk, through follower and governor."""
    publisher = Publisher()
    done = list(ticks(rate_hz, publisher, stream))
    assert len(done) == 60
    assert all(each.command.state == State.RUNNING for each in done[1:])
    positions = np.array([each.command.position for each in done])
    assert (np.ptp(positions, axis=0) > 1e-4).all()
    num_sent = len(publisher.trajectories if stream == "rest_ended" else publisher.commands)
    assert num_sent >= 60 * min(1.0, 100.0 / rate_hz)


def test_a_rate_that_leaves_room_is_held():
    # One tick of three is disturbed: the median counts.
    median_s = check_rate(ticks(100.0), 100.0, timer([0.002, 0.009, 0.002]))
    assert median_s == pytest.approx(0.002)


def test_a_rate_that_cannot_be_held_is_refused_with_the_figure_and_a_remedy():
    with pytest.raises(RateError) as raised:
        check_rate(ticks(500.0), 500.0, timer([0.0013]))
    text = str(raised.value)
    assert "control_rate_hz 500: a tick takes 1.30 ms in the median of 60" in text
    assert "65 % of the period of 2.00 ms, and 60 % at the most" in text
    assert "set control_rate_hz to 462 or less" in text
    assert check_rate(ticks(500.0), 500.0, timer([0.0011])) > 0
