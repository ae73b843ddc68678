"""JPEG, PNG and compressedDepth as image_transport writes them."""

import io
import struct

import cv2
import numpy as np
import pytest
import simplejpeg
from pictures import MOSAICS, compressed, image, mosaic_of, png

from ddpm_controller.messages.image_encodings import ImageError
from ddpm_controller.messages.images import image_from

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (6, 8, 3), dtype=np.uint8)
RGBA = RNG.integers(0, 256, (6, 8, 4), dtype=np.uint8)
RGB16 = RNG.integers(0, 65536, (6, 8, 3), dtype=np.uint16)
SMOOTH = np.zeros((16, 16, 3), np.uint8) + np.array([200, 100, 30], np.uint8)
JPEG_LEVELS = 4
"""JPEG quantizes an even colour by a few levels."""
RANGE_M = (0.5, 3.04)
"""A level a centimetre."""


def taken(message, height=6, width=8, **terms):
    return image_from(message, height, width, **terms)


@pytest.mark.parametrize(
    "format_", ["jpeg", "rgb8; jpeg compressed bgr8", "bgr8; jpeg compressed"]
)
def test_a_jpeg_is_decoded_to_rgb(format_):
    message = compressed(simplejpeg.encode_jpeg(SMOOTH, 95), format_)
    assert np.abs(taken(message, 16, 16).astype(int) - SMOOTH).max() <= JPEG_LEVELS


def test_a_grey_jpeg_has_three_equal_colours():
    grey = np.full((16, 16, 1), 77, np.uint8)
    content = simplejpeg.encode_jpeg(grey, 95, colorspace="GRAY")
    pixels = taken(compressed(content, "mono8; jpeg compressed "), 16, 16)
    assert np.abs(pixels.astype(int) - 77).max() <= JPEG_LEVELS


def with_orientation(content, orientation):
    """Return a JPEG with an EXIF entry: turn the picture before it is shown."""
    tiff = b"MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHIHxxI", 0x112, 3, 1, orientation, 0)
    exif = b"Exif\0\0" + tiff
    return content[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + content[2:]


def test_an_orientation_in_exif_is_not_applied():
    """The pixels are those of the sensor, as camera_info has them."""
    picture = SMOOTH.copy()
    picture[:8] = 0
    content = with_orientation(simplejpeg.encode_jpeg(picture, 95), 3)
    upside_down = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert upside_down[12:].max() < 50  # a reader that applies it turns this one
    assert taken(compressed(content, "jpeg"), 16, 16)[:4].max() < 50


def test_a_jpeg_with_the_colours_of_printing_is_refused_by_name():
    content = simplejpeg.encode_jpeg(SMOOTH, 95, colorsubsampling="444")
    # Four components in the header of the frame, each of which is one byte of name and two more.
    frame = content.index(b"\xff\xc0")
    four = b"\xff\xc0" + struct.pack(">HBHHB", 20, 8, 16, 16, 4)
    four += bytes([1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0, 4, 0x11, 0])
    content = content[:frame] + four + content[frame + 19 :]
    with pytest.raises(ImageError, match="colours (CMYK|YCCK) of printing"):
        taken(compressed(content, "jpeg"), 16, 16)


PNGS = {
    "colour": (RGB, "bgr8; png compressed bgr8", RGB),
    "no encoding": (RGB, "png", RGB),
    "transparent": (RGBA, "rgba8; png compressed bgra8", RGBA[..., :3]),
    "grey": (RGB[..., 0], "mono8; png compressed ", RGB[..., [0, 0, 0]]),
    "colour of 16 bits": (RGB16, "rgb16; png compressed bgr16", np.rint(RGB16 / 257)),
    "grey of 16 bits": (
        RGB16[..., 0],
        "mono16; png compressed ",
        np.rint(RGB16 / 257)[..., [0] * 3],
    ),
    "16 bits, no encoding": (RGB16[..., 0], "png", np.rint(RGB16 / 257)[..., [0, 0, 0]]),
}


@pytest.mark.parametrize(("numbers", "format_", "expected"), PNGS.values(), ids=PNGS)
def test_a_png_is_decoded_to_rgb_of_8_bits(numbers, format_, expected):
    pixels = taken(compressed(png(numbers), format_))
    np.testing.assert_array_equal(pixels, expected)
    assert pixels.dtype == np.uint8


@pytest.mark.parametrize("name", MOSAICS)
def test_the_grey_png_or_jpeg_of_a_bayer_camera_gets_its_colours(name):
    mosaic = mosaic_of(SMOOTH, name)
    message = compressed(png(mosaic), f"{name}8; png compressed ")
    np.testing.assert_array_equal(taken(message, 16, 16), SMOOTH)
    flat = compressed(
        simplejpeg.encode_jpeg(mosaic[..., None], 100, colorspace="GRAY"),
        f"{name}8; jpeg compressed ",
    )
    assert np.abs(taken(flat, 16, 16).astype(int) - SMOOTH).max() <= 2 * JPEG_LEVELS


MM = np.array([[0, 400, 500, 1000], [2000, 3040, 3041, 65535]], np.uint16)
# 0: nothing measured; 1: 0.5 m or less; then a level a centimetre; 255: 3.04 m or more.
LEVELS = np.array([[0, 1, 1, 51], [151, 255, 255, 255]], np.uint8)


@pytest.mark.parametrize(
    ("header", "format_"),
    [
        (b"", "png"),
        (b"", "16UC1; png compressed "),
        (bytes(12), "16UC1; compressedDepth"),
        (bytes(12), "16UC1; compressedDepth png"),
    ],
)
def test_distances_of_16_bits_in_mm_become_levels_of_the_range(header, format_):
    message = compressed(header + png(MM), format_)
    pixels = taken(message, 2, 4, depth_range_m=RANGE_M)
    np.testing.assert_array_equal(pixels, LEVELS[..., None].repeat(3, axis=2))


def inverse_depth(distances_m, zero_m=100.0, farthest_m=10.0):
    """What compressedDepth sends of distances: header and PNG of their quantized inverse."""
    scale = zero_m * (zero_m + 1)
    offset = 1 - scale / farthest_m
    with np.errstate(invalid="ignore"):
        numbers = np.where(distances_m < farthest_m, scale / distances_m + offset, 0)
    header = struct.pack("<iff", 0, scale, offset)
    return header + png(numbers.astype(np.uint16))


def test_inverse_distances_of_compressed_depth_are_those_that_were_sent():
    sent = np.array([[0.5, 0.75, 1.0, 2.0], [3.0, 9.0, 20.0, np.nan]], np.float32)
    message = compressed(inverse_depth(sent), "32FC1; compressedDepth")
    pixels = taken(message, 2, 4, depth_range_m=RANGE_M)[..., 0]
    # 9 m is beyond the range; what is too far for the publisher is not measured.
    expected = np.array([[1, 26, 51, 151], [251, 255, 0, 0]])
    # The inverse is cut to whole numbers: at 3 m one of them is less than 1 mm.
    assert np.abs(pixels.astype(int) - expected).max() <= 1


def test_compressed_depth_with_parameters_that_are_no_numbers_is_refused():
    content = struct.pack("<iff", 0, np.nan, 1.0) + png(MM)
    with pytest.raises(ImageError, match="finite parameters, got nan and 1.0"):
        taken(compressed(content, "32FC1; compressedDepth"), 2, 4, depth_range_m=RANGE_M)


@pytest.mark.parametrize(
    "format_", ["16UC1; png compressed ", "32FC1; compressedDepth", "compressedDepth"]
)
def test_distances_on_a_stream_of_colour_are_refused_with_the_remedy(format_):
    header = bytes(12) if "Depth" in format_ else b""
    with pytest.raises(ImageError, match=f"'{format_}' holds distances.*depth_range_m"):
        taken(compressed(header + png(MM), format_), 2, 4)


NO_DISTANCES = {
    "grey": (compressed(png(MM), "mono16; png compressed "), "'mono16; png compressed ', a PNG"),
    "8 bits": (compressed(png(RGB[:2, :4]), "png"), "a PNG of 8 bits, holds no distances"),
    "raw": (image(RGB[:2, :4], "rgb8"), "'rgb8' holds no distances.*take depth_range_m out"),
    "jpeg": (
        compressed(simplejpeg.encode_jpeg(RGB[:2, :4].copy()), "16UC1; jpeg compressed "),
        "JPEG of format '16UC1; jpeg compressed ' keeps no distances",
    ),
    "no encoding": (
        compressed(bytes(12) + png(MM), "compressedDepth"),
        "format 'compressedDepth', a PNG of 16 bits, holds no distances",
    ),
    "float": (compressed(png(MM), "32FC1; png compressed "), "a PNG of 32FC1 keeps no distances"),
}


@pytest.mark.parametrize(("message", "text"), NO_DISTANCES.values(), ids=NO_DISTANCES)
def test_colours_on_a_stream_of_distances_are_refused_with_the_remedy(message, text):
    with pytest.raises(ImageError, match=text):
        taken(message, 2, 4, depth_range_m=RANGE_M)


FOREIGN = {
    "tiff": (b"II*\0" + bytes(40), "bgr8; tiff compressed "),
    "rvl": (bytes(60), "16UC1; compressedDepth rvl"),
    "h264": (b"\0\0\0\1\x67" + bytes(40), "h264"),
    "png without a picture": (b"PNG" + bytes(40), "png"),
    "nothing": (b"", "jpeg"),
}


@pytest.mark.parametrize(("content", "format_"), FOREIGN.values(), ids=FOREIGN)
def test_another_format_is_refused_by_name(content, format_):
    text = f"format '{format_}' is neither a JPEG nor a PNG"
    with pytest.raises(ImageError, match=text):
        taken(compressed(content, format_))


@pytest.mark.parametrize("kept", [8, 20, 29, 30, 40, 0.5, -1])
def test_a_png_that_is_cut_is_refused(kept):
    whole = png(RGB)
    kept = int(kept * len(whole)) if isinstance(kept, float) else kept
    with pytest.raises(ImageError, match="has no header|cannot be decoded|neither"):
        taken(compressed(whole[:kept], "png"))


def test_a_png_with_a_damaged_byte_is_refused():
    for place in range(45, len(png(RGB)) - 16, 7):
        content = bytearray(png(RGB))
        content[place] ^= 0x10
        with pytest.raises(ImageError, match="cannot be decoded"):
            taken(compressed(bytes(content), "png"))


def test_a_jpeg_that_is_cut_is_refused():
    content = simplejpeg.encode_jpeg(SMOOTH, 95)
    for kept in (4, 100, len(content) - 20):
        with pytest.raises(ImageError, match="JPEG"):
            taken(compressed(content[:kept], "jpeg"), 16, 16)


def test_a_picture_of_the_file_format_that_matplotlib_writes_is_read():
    """Another writer than the reader: a PNG of transparent colours by another library."""
    from matplotlib.image import imsave

    file = io.BytesIO()
    imsave(file, RGB)
    np.testing.assert_array_equal(taken(compressed(file.getvalue(), "png")), RGB)
