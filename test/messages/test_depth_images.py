import numpy as np
import pytest
from pictures import image

from ddpm_controller.messages.depth_images import depth_picture
from ddpm_controller.messages.images import image_from

RANGE_M = (0.5, 3.04)
"""A level a centimetre."""
NONE = np.nan


def levels(distances_m, size=None, range_m=RANGE_M):
    distances_m = np.array(distances_m, np.float32)
    return depth_picture(distances_m, 1.0, range_m, size or distances_m.shape)[..., 0].tolist()


def test_the_range_is_shown_from_1_to_255_and_what_is_beyond_by_its_ends():
    assert levels([[0.3, 0.5, 0.51, 1.0, 3.04, 9.0]]) == [[1, 1, 2, 51, 255, 255]]


def test_what_was_not_measured_is_0():
    assert levels([[NONE, 0.0, -1.0, 1.0]]) == [[0, 0, 0, 51]]


def test_a_range_from_0_keeps_what_is_near_apart_from_what_was_not_measured():
    assert levels([[NONE, 0.0, 0.001, 0.127, 0.254]], range_m=(0.0, 0.254)) == [
        [0, 0, 2, 128, 255]
    ]


def test_every_distance_of_16_bits_has_the_nearest_level_of_its_range():
    mm = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    for near_m, far_m in ((0.2, 2.0), (0.0, 65.0), (30.0, 30.1)):
        exact = np.clip(1 + (mm / 1000 - near_m) * 254 / (far_m - near_m), 1, 255)
        pixels = depth_picture(mm, 0.001, (near_m, far_m), mm.shape)[..., 0]
        # Half a level is rounded; single precision adds little where the range is far.
        assert np.abs(pixels - exact)[mm > 0].max() < 0.51
        assert (pixels[mm == 0] == 0).all()


def test_infinity_is_too_far_and_minus_infinity_too_near():
    """REP 117."""
    assert levels([[np.inf, -np.inf, 1e30, 1e10]]) == [[255, 1, 255, 255]]
    assert levels([[np.inf, -np.inf, 1e30, 1e10]] * 2, (1, 4)) == [[255, 1, 255, 255]]


def test_a_smaller_picture_is_the_mean_of_what_was_measured():
    distances_m = [[1.0, 2.0, NONE, 2.0], [1.0, 2.0, NONE, 2.0]]
    assert levels(distances_m, (1, 2)) == [[101, 151]]
    assert levels(distances_m, (1, 1)) == [[round((1 + 2 + 2) / 3 * 100) - 49]]


def test_an_area_of_which_less_than_half_was_measured_is_not():
    assert levels([[NONE, NONE, 1.0, NONE, 1.0, 1.0]], (1, 2)) == [[0, 51]]


def test_something_infinitely_far_does_not_spoil_a_mean():
    assert levels([[np.inf, 0.5]], (1, 1)) == [[128]]


@pytest.mark.parametrize("is_bigendian", [False, True])
@pytest.mark.parametrize("padding", [0, 3])
def test_both_encodings_of_distances_give_the_same_picture(padding, is_bigendian):
    mm = np.array([[0, 500, 1000], [2000, 3040, 9000]], np.uint16)
    metres = np.where(mm == 0, np.nan, mm / 1000).astype(np.float32)
    for numbers, encoding in ((mm, "16UC1"), (metres, "32FC1")):
        message = image(numbers, encoding, padding, is_bigendian)
        pixels = image_from(message, 2, 3, depth_range_m=RANGE_M)
        np.testing.assert_array_equal(pixels[..., 0], [[0, 1, 51], [151, 255, 255]])
        assert pixels.shape == (2, 3, 3)
        np.testing.assert_array_equal(pixels, pixels[..., :1].repeat(3, axis=2))


def test_a_crop_is_taken_before_the_mean():
    mm = np.array([[0, 1000, 2000, 0], [0, 1000, 2000, 0]], np.uint16)
    pixels = image_from(image(mm, "16UC1"), 2, 4, (1, 1), (0, 1, 2, 2), RANGE_M)
    assert pixels.tolist() == [[[101, 101, 101]]]


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 1), (1, 4), (4, 1), (2, 2)])
@pytest.mark.parametrize("kind", [np.uint16, np.float32])
def test_a_tiny_picture_has_its_size(size, kind):
    """OpenCV takes an array of four rows and one column for a colour."""
    pixels = depth_picture(np.full(size, 2, kind), 1.0, (1.0, 3.0), size)
    np.testing.assert_array_equal(pixels, np.full((*size, 3), 128))
