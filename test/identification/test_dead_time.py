"""Lags that are known, found again."""

import numpy as np
import pytest

from ddpm_controller.identification.dead_time import DeadTimeError, dead_time

RATE_HZ = 50.0


def wave(stamps_s):
    """Begins and ends at rest, as an excitation does."""
    window = np.clip(np.minimum(stamps_s, 6.0 - stamps_s), 0, 1)
    return 0.05 * window**2 * (3 - 2 * window) * np.sin(np.pi * stamps_s)


def recording(delay_s, noise=0.0, tick=0.0, gain=1.0, offset=0.3, seed=0):
    """Commands with jitter, and the states of a joint that follows them later."""
    random = np.random.default_rng(seed)
    sent_s = np.arange(300) / RATE_HZ + random.uniform(0, 0.003, 300)
    measured_s = 0.0031 + np.arange(300) / RATE_HZ + random.uniform(0, 0.003, 300)
    measured = offset + gain * wave(measured_s - delay_s) + random.normal(0, noise, 300)
    if tick:
        measured = tick * np.round(measured / tick)
    return 1e9 + sent_s, wave(sent_s), 1e9 + measured_s, measured


@pytest.mark.parametrize("delay_s", [0.0, 0.0037, 0.041, 0.2, 0.66])
def test_a_lag_is_found_much_finer_than_a_sample(delay_s):
    found = dead_time(*recording(delay_s))
    # Commands are interpolated linearly between samples 20 ms apart.
    assert found.delay_s == pytest.approx(delay_s, abs=5e-4)
    assert found.gain == pytest.approx(1.0, abs=1e-2)
    assert found.offset == pytest.approx(0.3, abs=1e-3)
    assert found.explained > 0.999


def test_noise_and_an_encoder_widen_the_deviation_by_as_much_as_the_error():
    """Over many seeds the errors are as large as they are said to be."""
    errors, deviations_s = [], []
    for seed in range(40):
        found = dead_time(*recording(0.073, noise=0.002, tick=0.001, seed=seed))
        errors.append(found.delay_s - 0.073)
        deviations_s.append(found.deviation_s)
    assert abs(np.mean(errors)) < 5e-4
    assert np.std(errors) == pytest.approx(np.mean(deviations_s), rel=0.4)
    assert 2e-4 < np.mean(deviations_s) < 3e-3


def test_a_coarse_encoder_alone_is_no_bias():
    assert dead_time(*recording(0.05, tick=0.005)).delay_s == pytest.approx(0.05, abs=2e-3)


def test_the_lag_of_a_servo_counts_as_a_delay():
    """First order, 40 ms: for a slow motion that is a delay of 40 ms."""
    sent_s = np.arange(0, 6, 0.002)
    position, follows = 0.0, []
    for wish in wave(sent_s):
        position += (wish - position) * 0.002 / 0.04
        follows.append(position)
    found = dead_time(sent_s, wave(sent_s), sent_s, np.array(follows))
    assert found.delay_s == pytest.approx(0.04, abs=0.003)


def test_a_motion_before_its_command_is_a_wrong_clock():
    with pytest.raises(DeadTimeError, match=r"moved 0.100 s before its command.*synchronize"):
        dead_time(*recording(-0.1))


def test_a_joint_that_does_not_follow_is_refused():
    with pytest.raises(DeadTimeError, match=r"did not follow: 0 % .* is the robot enabled"):
        dead_time(*recording(0.05, gain=0.0))
    with pytest.raises(DeadTimeError, match=r"did not follow"):
        dead_time(*recording(0.05, noise=0.1))
    with pytest.raises(DeadTimeError, match=r"gain of -1.00"):
        dead_time(*recording(0.05, gain=-1.0), longest_s=0.3)


def test_nothing_sent_or_nothing_measured_is_refused():
    sent_s, sent, measured_s, measured = recording(0.05)
    with pytest.raises(DeadTimeError, match=r"nothing was moved"):
        dead_time(sent_s, 0 * sent, measured_s, measured)
    with pytest.raises(DeadTimeError, match=r"0 measured positions"):
        dead_time(sent_s, sent, measured_s + 100, measured)
