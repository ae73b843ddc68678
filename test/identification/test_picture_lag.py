"""The lag of pictures behind a motion that they show."""

import numpy as np
import pytest

from ddpm_controller.identification.picture_lag import picture_lag, thumbnail

PERIOD_S = 2.0


def motion(moments_s):
    """Three periods that swell and fade, as a calibration moves a joint."""
    swell = np.sin(np.pi * np.clip(moments_s / (3 * PERIOD_S), 0, 1)) ** 0.5
    return 0.05 * swell * np.sin(2 * np.pi * moments_s / PERIOD_S)


def seen(delay_s, brightness=120.0, noise=2.0, seed=0):
    """Stamps and thumbnails of a bright bar whose place follows the joint, not linearly."""
    random = np.random.default_rng(seed)
    stamps_s = np.arange(0.0, 6.4, 0.04) + random.uniform(0, 0.004, 160)
    place = 30 + 300 * motion(stamps_s - delay_s)
    pixels = np.arange(64)
    bar = np.exp(-np.square((pixels - place[:, None]) / 6.0))
    pictures = np.tile((brightness * bar)[:, None, :, None], (1, 48, 1, 3))
    pictures = pictures + random.normal(0, noise, pictures.shape)
    return stamps_s, np.array([thumbnail(each) for each in pictures])


def joint():
    moments_s = np.arange(-1.0, 7.0, 0.02)
    return moments_s, motion(moments_s)


@pytest.mark.parametrize("delay_s", [-0.03, 0.0, 0.083, 0.4])
def test_the_lag_is_found_to_a_few_milliseconds(delay_s):
    lag = picture_lag(*seen(delay_s), *joint(), longest_s=0.8)
    assert lag.delay_s == pytest.approx(delay_s, abs=0.005)
    assert lag.explained > 0.95


def test_a_camera_that_does_not_see_the_motion_says_nothing():
    assert picture_lag(*seen(0.1, brightness=0.0), *joint(), longest_s=0.8) is None
    stamps_s, thumbnails = seen(0.1)
    assert picture_lag(stamps_s, 0 * thumbnails, *joint(), longest_s=0.8) is None
    assert picture_lag(stamps_s[:10], thumbnails[:10], *joint(), longest_s=0.8) is None


def test_a_lag_beyond_what_is_looked_for_is_not_told():
    assert picture_lag(*seen(0.5), *joint(), longest_s=0.3) is None


def test_a_thumbnail_is_the_mean_of_equal_parts():
    picture = np.zeros((96, 128, 3), np.uint8)
    picture[:6, :8] = 90
    small = thumbnail(picture)
    assert small.shape == (256,)
    assert small[0] == 90
    assert small[1:].max() == 0
    assert thumbnail(np.zeros((5, 7, 3), np.uint8)).shape == (35,)
