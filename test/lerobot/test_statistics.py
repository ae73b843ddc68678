"""Statistics of a data set are those of all of its frames."""

import numpy as np
import pytest

from ddpm_controller.lerobot.statistics import QUANTILES, ImageStatistics, vector_statistics


def test_quantiles_are_of_all_frames_and_no_means_over_episodes():
    """Of one episode at 0 and one at 1, the median of an uneven split is one of them."""
    rows = np.concatenate([np.zeros((30, 1)), np.ones((10, 1))])
    found = vector_statistics(rows)
    assert found["q50"] == [0.0]
    assert found["q99"] == [1.0]
    assert found["count"] == [40]


def test_pictures_are_counted_as_if_all_pixels_were_in_one_array():
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (5, 7, 6, 3)).astype(np.uint8)
    images[..., 1] //= 3
    whole, part = ImageStatistics(), ImageStatistics()
    for image in images[:2]:
        whole.take(image)
    for image in images[2:]:
        part.take(image)
    whole.add(part)
    pixels = images.reshape(-1, 3) / 255.0
    found = {name: np.array(value).reshape(-1) for name, value in whole.found().items()}
    assert found["count"] == [5]
    for name, share in QUANTILES.items():
        np.testing.assert_allclose(found[name], np.quantile(pixels, share, axis=0), atol=1e-12)
    np.testing.assert_allclose(found["mean"], pixels.mean(axis=0))
    np.testing.assert_allclose(found["std"], pixels.std(axis=0))
    np.testing.assert_allclose(found["max"], pixels.max(axis=0))


@pytest.mark.parametrize("count", [1, 2])
def test_a_single_frame_has_statistics_too(count):
    found = vector_statistics(np.full((count, 2), 3.0))
    assert found["std"] == [0.0, 0.0]
    assert found["q01"] == found["q99"] == [3.0, 3.0]
