"""Every encoding against its definition: BT.601, bilinear Bayer, and plain orders of numbers."""

import re

import numpy as np
import pytest
from pictures import MOSAICS, image, mosaic_of, raw

from ddpm_controller.messages.image_encodings import COLORS, ImageError, Packed
from ddpm_controller.messages.images import image_from

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (4, 6, 3), dtype=np.uint8)
ALPHA = RNG.integers(0, 256, (4, 6, 1), dtype=np.uint8)
RGB16 = RNG.integers(0, 65536, (4, 6, 3), dtype=np.uint16)
ALPHA16 = ALPHA.astype(np.uint16) * 257
GREY = RGB[:, :, 0]
BGR = RGB[:, :, ::-1]

ORDERS = {
    "rgb8": (RGB, RGB),
    "bgr8": (BGR, RGB),
    "rgba8": (np.concatenate([RGB, ALPHA], 2), RGB),
    "bgra8": (np.concatenate([BGR, ALPHA], 2), RGB),
    "mono8": (GREY, RGB[:, :, [0, 0, 0]]),
    "8UC1": (GREY, RGB[:, :, [0, 0, 0]]),
    "8UC3": (BGR, RGB),
    "8UC4": (np.concatenate([BGR, ALPHA], 2), RGB),
    "rgb16": (RGB16, RGB16),
    "bgr16": (RGB16[:, :, ::-1], RGB16),
    "rgba16": (np.concatenate([RGB16, ALPHA16], 2), RGB16),
    "bgra16": (np.concatenate([RGB16[:, :, ::-1], ALPHA16], 2), RGB16),
    "mono16": (RGB16[:, :, 0], RGB16[:, :, [0, 0, 0]]),
}
"""Encoding -> the numbers of a message, and the RGB that they are."""


def eight_bits(numbers):
    return numbers if numbers.dtype == np.uint8 else np.rint(numbers / 257).astype(np.uint8)


def taken(message):
    return image_from(message, message.height, message.width)


@pytest.mark.parametrize("is_bigendian", [False, True])
@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize("encoding", ORDERS)
def test_every_order_of_colours_gives_rgb_and_padded_rows_are_cut(encoding, padding, is_bigendian):
    numbers, expected = ORDERS[encoding]
    pixels = taken(image(numbers, encoding, padding, is_bigendian))
    np.testing.assert_array_equal(pixels, eight_bits(expected))
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous


def test_every_number_of_16_bits_becomes_the_nearest_of_8_bits():
    numbers = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    pixels = taken(image(numbers, "mono16"))
    np.testing.assert_array_equal(pixels[..., 0], np.rint(numbers / 257))


def bilinear(mosaic, name):
    """Each colour as the mean of its nearest neighbours, inside the border of one pixel."""
    height, width = mosaic.shape
    red, blue = MOSAICS[name]
    masks = np.zeros((height, width, 3))
    masks[red[0] :: 2, red[1] :: 2, 0] = masks[blue[0] :: 2, blue[1] :: 2, 2] = 1
    masks[..., 1] = 1 - masks[..., 0] - masks[..., 2]
    result = np.empty((height, width, 3))
    for i in range(1, height - 1):
        for j in range(1, width - 1):
            values, near = (
                mosaic[i - 1 : i + 2, j - 1 : j + 2],
                masks[i - 1 : i + 2, j - 1 : j + 2],
            )
            for c in range(3):
                own = near[1, 1, c] == 1
                result[i, j, c] = mosaic[i, j] if own else values[near[..., c] == 1].mean()
    return result[1:-1, 1:-1]


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("padding", [0, 3])
@pytest.mark.parametrize("name", MOSAICS)
def test_a_bayer_mosaic_gets_its_colours_from_the_nearest_pixels(name, padding, bits):
    kind = np.dtype(f"uint{bits}")
    mosaic = RNG.integers(0, 1 << bits, (8, 10)).astype(kind)
    pixels = taken(image(mosaic, f"{name}{bits}", padding))
    exact = bilinear(mosaic / (1 if bits == 8 else 257), name)
    # A half is rounded up; 16 bits are rounded before and after.
    assert np.abs(pixels[1:-1, 1:-1] - exact).max() <= (0.5 if bits == 8 else 1.0)


@pytest.mark.parametrize("name", MOSAICS)
def test_a_bayer_picture_of_one_colour_has_that_colour_up_to_its_border(name):
    colour = np.zeros((4, 4, 3), np.uint8) + np.array([200, 90, 20], np.uint8)
    np.testing.assert_array_equal(taken(image(mosaic_of(colour, name), f"{name}8")), colour)


def rgb_of_yuv(luma, blue, red):
    """BT.601 with 16 to 235 as black to white, by its definition; (..., 3)."""
    y, u, v = (each.astype(float) - zero for each, zero in ((luma, 16), (blue, 128), (red, 128)))
    kr, kb = 0.299, 0.114
    y = np.maximum(y, 0) * 255 / 219
    r = y + v * 255 / 224 * 2 * (1 - kr)
    b = y + u * 255 / 224 * 2 * (1 - kb)
    g = y - (u * 2 * (1 - kb) * kb + v * 2 * (1 - kr) * kr) / (1 - kr - kb) * 255 / 224
    return np.clip(np.stack([r, g, b], -1), 0, 255)


LUMA = RNG.integers(0, 256, (4, 6), dtype=np.uint8)
PAIRS = RNG.integers(0, 256, (4, 3, 2), dtype=np.uint8)  # blue and red of two pixels
QUADS = PAIRS[:2]
EACH = RNG.integers(0, 256, (4, 6, 2), dtype=np.uint8)
# A level for rounding, and what OpenCV's constants of three digits differ from the exact ones.
YUV_LEVELS = 1.5


def packed_pairs(luma_first):
    """(4, 12) bytes: U Y V Y, or Y U Y V."""
    rows = np.stack([PAIRS.reshape(4, 6), LUMA], axis=2)
    return (rows[:, :, ::-1] if luma_first else rows).reshape(4, 12)


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize(
    ("encoding", "luma_first"),
    [("uyvy", False), ("yuv422", False), ("yuyv", True), ("yuv422_yuy2", True)],
)
def test_two_pixels_share_their_colour_in_yuv_4_2_2(encoding, luma_first, padding):
    pixels = taken(raw(packed_pairs(luma_first), encoding, 6, padding))
    blue, red = (np.repeat(PAIRS[..., k], 2, axis=1) for k in range(2))
    assert np.abs(pixels - rgb_of_yuv(LUMA, blue, red)).max() <= YUV_LEVELS


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize("encoding", ["nv12", "nv21"])
def test_four_pixels_share_their_colour_in_nv12_and_nv21(encoding, padding):
    quads = QUADS if encoding == "nv12" else QUADS[..., ::-1]
    rows = np.concatenate([LUMA, quads.reshape(2, 6)])
    pixels = taken(raw(rows, encoding, 6, padding, height=4))
    blue, red = (QUADS[..., k].repeat(2, axis=0).repeat(2, axis=1) for k in range(2))
    assert np.abs(pixels - rgb_of_yuv(LUMA, blue, red)).max() <= YUV_LEVELS


@pytest.mark.parametrize("padding", [0, 5])
def test_each_pixel_has_its_own_colour_in_nv24(padding):
    luma = np.pad(LUMA, ((0, 0), (0, padding)), constant_values=99)
    pairs = np.pad(EACH.reshape(4, 12), ((0, 0), (0, 2 * padding)), constant_values=99)
    rows = np.concatenate([luma, pairs.reshape(8, -1)])
    pixels = taken(raw(rows, "nv24", 6, height=4))
    assert np.abs(pixels - rgb_of_yuv(LUMA, EACH[..., 0], EACH[..., 1])).max() <= YUV_LEVELS


@pytest.mark.parametrize(("encoding", "rows"), [("nv12", 6), ("nv21", 6), ("nv24", 12)])
def test_a_step_that_counts_both_planes_gives_the_same_picture(encoding, rows):
    """By the definition of the message the size is step * height."""
    numbers = RNG.integers(0, 256, (rows, 6), dtype=np.uint8)
    message = raw(numbers, encoding, 6, height=4)
    expected = taken(message)
    message.step = 6 * rows // 4
    np.testing.assert_array_equal(taken(message), expected)


@pytest.mark.parametrize("padding", [0, 4])
@pytest.mark.parametrize("encoding", COLORS)
def test_no_picture_shares_the_memory_of_its_message(encoding, padding):
    form = COLORS[encoding]
    row = 4 * form.channels * form.bytes_each if isinstance(form, Packed) else 4
    numbers = RNG.integers(0, 256, (12, row), dtype=np.uint8)
    message = raw(numbers, encoding, 4, padding, height=4)
    pixels = taken(message)
    before = pixels.copy()
    message.data[:] = message.data[::-1]
    np.testing.assert_array_equal(pixels, before)


@pytest.mark.parametrize(
    ("encoding", "height", "width", "even"),
    [
        ("bayer_rggb8", 5, 6, "height and width"),
        ("bayer_grbg16", 4, 7, "height and width"),
        ("nv12", 5, 6, "height and width"),
        ("nv21", 4, 7, "height and width"),
        ("uyvy", 5, 7, "width"),
        ("yuyv", 4, 5, "width"),
    ],
)
def test_a_size_that_does_not_hold_whole_blocks_is_refused(encoding, height, width, even):
    message = raw(np.zeros((3 * height, 64), np.uint8), encoding, width, height=height)
    with pytest.raises(
        ImageError, match=f"{encoding} needs an even {even}, got {height} x {width}"
    ):
        taken(message)


def test_colours_that_pixels_share_in_columns_only_allow_an_odd_height():
    assert taken(raw(np.full((5, 12), 128, np.uint8), "uyvy", 6)).shape == (5, 6, 3)
    assert taken(raw(np.full((15, 7), 128, np.uint8), "nv24", 7, height=5)).shape == (5, 7, 3)


def test_a_mosaic_that_is_too_small_is_refused_and_not_black():
    with pytest.raises(ImageError, match="at least 4 x 4 pixels, got 2 x 8"):
        taken(image(np.full((2, 8), 200, np.uint8), "bayer_rggb8"))


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (raw(np.zeros((4, 17), np.uint8), "rgb8", 6), "17 bytes a row has 68 bytes, it needs 18"),
        (raw(np.zeros((4, 6), np.uint8), "mono16", 6), "needs 12 a row and 48 in all"),
        (raw(np.zeros((4, 6), np.uint8), "nv12", 6), "has 24 bytes, it needs 6 a row and 36"),
        (raw(np.zeros((4, 6), np.uint8), "nv24", 6), "has 24 bytes, it needs 6 a row and 72"),
        (raw(np.zeros((0, 12), np.uint8), "uyvy", 6, height=4), "has 0 bytes, it needs 12"),
    ],
)
def test_a_picture_with_fewer_bytes_than_its_size_needs_is_refused(message, text):
    with pytest.raises(ImageError, match=text):
        taken(message)


@pytest.mark.parametrize("encoding", ["yuv420", "8SC3", "32FC3", "64FC1", "16UC3", ""])
def test_an_unknown_encoding_is_refused_with_the_list_of_those_that_are_read(encoding):
    message = raw(np.zeros((4, 48), np.uint8), encoding, 4)
    with pytest.raises(
        ImageError, match=f"'{encoding}' is not read: {re.escape(', '.join(COLORS))}"
    ):
        taken(message)


@pytest.mark.parametrize("encoding", ["16UC1", "32FC1"])
def test_distances_on_a_stream_of_colour_are_refused_with_the_remedy(encoding):
    with pytest.raises(ImageError, match=rf"'{encoding}' holds distances.*depth_range_m"):
        taken(raw(np.zeros((4, 48), np.uint8), encoding, 4))


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 1), (1, 4), (4, 1), (2, 2)])
@pytest.mark.parametrize("encoding", COLORS)
def test_a_tiny_picture_has_its_size_or_is_refused(encoding, size):
    """OpenCV takes an array of four rows and one column for a colour."""
    message = raw(np.full((3 * size[0], 8 * size[1]), 128, np.uint8), encoding, size[1])
    message.height = size[0]
    rows, columns = COLORS[encoding].block
    if size[0] % rows or size[1] % columns or encoding.startswith("bayer"):
        with pytest.raises(ImageError, match=f"{encoding} needs .* got {size[0]} x {size[1]}"):
            taken(message)
    else:
        assert taken(message).shape == (*size, 3)
