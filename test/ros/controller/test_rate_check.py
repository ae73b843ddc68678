"""Trial ticks of a controller, timed by a clock of the test."""

import itertools

import numpy as np
import pytest
from random_checkpoint import SIM_ARM

from ddpm_controller.control.deployment import Deployment
from ddpm_controller.control.states import State
from ddpm_controller.robots.loop_settings import loop_settings
from ddpm_controller.robots.robot import load_robot
from ddpm_controller.ros.controller.rate_check import (
    RateError,
    check_rate,
    ticks_a_message,
    trial_ticks,
)

ROBOT = load_robot(SIM_ARM)


SINGLE, STREAMED = Deployment(stream="single_point"), Deployment()


class Sent:
    """Keeps what is published."""

    def __init__(self):
        self.commands, self.trajectories = [], []
        self.send = self.commands.append

    def send_ahead(self, trajectory, commands, now_s):
        self.trajectories += [] if trajectory is None else [trajectory]


def ticks(rate_hz, deployment=SINGLE, sent=None):
    settings = loop_settings(ROBOT, None, deployment)
    return trial_ticks(settings, rate_hz, sent or Sent())


def timer(times_s):
    """A clock that stands at the end of each of these times, one after the other."""
    return itertools.accumulate(itertools.chain([0.0], itertools.cycle(times_s))).__next__


@pytest.mark.parametrize("rate_hz", [10.0, 50.0, 500.0])
def test_trial_ticks_do_what_a_running_controller_does(rate_hz):
    """They follow a moving chunk, through follower and governor, and send each command."""
    sent = Sent()
    done = [each.command for (each,) in ticks(rate_hz, sent=sent)]
    assert len(done) == len(sent.commands) == 60
    assert all(command.state == State.RUNNING for command in done[1:])
    positions = np.array([command.position for command in done])
    assert (np.ptp(positions, axis=0) > 1e-4).all()


@pytest.mark.parametrize(("rate_hz", "num_ticks"), [(50.0, 1), (100.0, 1), (200.0, 2), (500.0, 5)])
def test_trial_ticks_of_a_stream_send_its_messages_while_it_moves(rate_hz, num_ticks):
    sent = Sent()
    trial = ticks(rate_hz, STREAMED, sent)
    first = next(trial)
    before = len(sent.trajectories)
    done = [each for tick in (first, *trial) for each in tick]
    assert len(done) == 60
    positions = np.array([each.command.position for each in done])
    assert (np.ptp(positions, axis=0) > 1e-4).all()
    assert sent.commands == []
    assert ticks_a_message(STREAMED.stream_settings, rate_hz) == num_ticks
    assert len(sent.trajectories) - before == pytest.approx(60 / num_ticks, abs=1)


def test_a_rate_that_leaves_room_is_held():
    # One tick of three is disturbed: the median counts.
    median_s = check_rate(ticks(100.0), 100.0, timer=timer([0.002, 0.009, 0.002]))
    assert median_s == pytest.approx(0.002)


def test_a_message_counts_however_many_ticks_it_is_for():
    times_s = [0.0002, 0.0002, 0.0002, 0.0002, 0.0022]
    assert check_rate(ticks(500.0), 500.0, 5, timer(times_s)) == pytest.approx(0.0006)
    with pytest.raises(RateError, match=r"a tick takes 1\.40 ms in the median of 60"):
        check_rate(ticks(500.0), 500.0, 5, timer([*times_s[:4], 0.0062]))


def test_a_rate_that_cannot_be_held_is_refused_with_the_figure_and_a_remedy():
    with pytest.raises(RateError) as raised:
        check_rate(ticks(500.0), 500.0, timer=timer([0.0013]))
    text = str(raised.value)
    assert "control_rate_hz 500: a tick takes 1.30 ms in the median of 60" in text
    assert "65 % of the period of 2.00 ms, and 60 % at the most" in text
    assert "set control_rate_hz to 462 or less" in text
    assert check_rate(ticks(500.0), 500.0, timer=timer([0.0011])) > 0
