"""Pixels of a raw image to RGB or to distances: every encoding that is read.

The names are those of ``sensor_msgs/image_encodings.hpp``, and ``nv12``. OpenCV converts: YUV by
BT.601 with 16 to 235 as black to white, Bayer mosaics bilinearly.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

SMALLEST_MOSAIC = 4
"""Rows and columns of a Bayer mosaic; OpenCV makes a smaller one black."""


class ImageError(ValueError):
    """A picture is not what the robot file names, or cannot be decoded."""


@dataclass(frozen=True)
class Packed:
    """An encoding whose pixels lie one behind the other.

    Attributes:
        channels: Numbers a pixel.
        bytes_each: Bytes of a number.
        code: OpenCV's conversion of 8 bit numbers to RGB; None: they are RGB.
        block: Rows and columns that share their colour.
    """

    channels: int
    bytes_each: int
    code: int | None
    block: tuple[int, int] = (1, 1)


@dataclass(frozen=True)
class Planes:
    """An encoding with a plane of brightness and, below it, one of pairs of colour.

    Attributes:
        code: OpenCV's conversion to RGB; None: it has none, each pixel has its own pair.
        block: Rows and columns that share their colour.
    """

    code: int | None
    block: tuple[int, int]


_ORDERS = {
    "rgb": (3, None),
    "bgr": (3, cv2.COLOR_BGR2RGB),
    "rgba": (4, cv2.COLOR_RGBA2RGB),
    "bgra": (4, cv2.COLOR_BGRA2RGB),
    "mono": (1, cv2.COLOR_GRAY2RGB),
}
_MOSAICS = {
    "bayer_rggb": cv2.COLOR_BayerRGGB2RGB,
    "bayer_bggr": cv2.COLOR_BayerBGGR2RGB,
    "bayer_gbrg": cv2.COLOR_BayerGBRG2RGB,
    "bayer_grbg": cv2.COLOR_BayerGRBG2RGB,
}
_BITS = {"8": 1, "16": 2}
_YUV = np.array([[1.164, 0.0, 1.596], [1.164, -0.391, -0.813], [1.164, 2.018, 0.0]])
_BT601 = np.column_stack([_YUV, _YUV[:, 1:] @ [-128.0, -128.0]])
"""RGB of brightness above black, blue and red; the last column: 128 is no colour."""

COLORS: dict[str, Packed | Planes] = {
    **{
        f"{name}{bits}": Packed(channels, size, code)
        for name, (channels, code) in _ORDERS.items()
        for bits, size in _BITS.items()
    },
    "8UC1": Packed(1, 1, cv2.COLOR_GRAY2RGB),
    "8UC3": Packed(3, 1, cv2.COLOR_BGR2RGB),
    "8UC4": Packed(4, 1, cv2.COLOR_BGRA2RGB),
    **{
        f"{name}{bits}": Packed(1, size, code, (2, 2))
        for name, code in _MOSAICS.items()
        for bits, size in _BITS.items()
    },
    "uyvy": Packed(2, 1, cv2.COLOR_YUV2RGB_UYVY, (1, 2)),
    "yuv422": Packed(2, 1, cv2.COLOR_YUV2RGB_UYVY, (1, 2)),
    "yuyv": Packed(2, 1, cv2.COLOR_YUV2RGB_YUY2, (1, 2)),
    "yuv422_yuy2": Packed(2, 1, cv2.COLOR_YUV2RGB_YUY2, (1, 2)),
    "nv12": Planes(cv2.COLOR_YUV2RGB_NV12, (2, 2)),
    "nv21": Planes(cv2.COLOR_YUV2RGB_NV21, (2, 2)),
    "nv24": Planes(None, (1, 1)),
}
"""Encodings of colour and grey. ``8UC3`` and ``8UC4`` are in the order of OpenCV, BGR."""

DISTANCES = {"16UC1": (np.uint16, 0.001), "32FC1": (np.float32, 1.0)}
"""Encodings of distances, with their type and their unit in m."""


def color_pixels(message: Any) -> np.ndarray:
    """Return an Image of colour or grey as RGB, (H, W, 3) uint8, in memory of its own.

    Numbers of 16 bits become 8 bits by the nearest of 0 to 255.

    Raises:
        ImageError: Distances, an unknown encoding, a size that it cannot have, or cut data.
    """
    encoding = message.encoding
    if encoding in DISTANCES:
        raise not_color(f"encoding {encoding!r}")
    form = COLORS.get(encoding)
    if form is None:
        raise ImageError(f"encoding {encoding!r} is not read: {', '.join(COLORS)} are")
    if isinstance(form, Planes):
        _refuse_size(encoding, form.block, (message.height, message.width))
        return _full_color(message) if form.code is None else _halved_color(message, form.code)
    kind = np.uint8 if form.bytes_each == 1 else np.uint16
    return rgb_from(_numbers(message, kind, form.channels), encoding)


def distances(message: Any) -> tuple[np.ndarray, float]:
    """Return an Image of distances, (H, W) uint16 or float32, and the unit of its numbers in m.

    They may be those of the message's memory.

    Raises:
        ImageError: Another encoding, or cut data.
    """
    if message.encoding not in DISTANCES:
        raise not_distances(f"encoding {message.encoding!r}")
    kind, unit_m = DISTANCES[message.encoding]
    return _numbers(message, kind, 1), unit_m


def rgb_from(numbers: np.ndarray, encoding: str) -> np.ndarray:
    """Return numbers of a packed encoding, (H, W) or (H, W, C), 8 or 16 bits, as RGB.

    Raises:
        ImageError: The size does not hold whole blocks of the encoding.
    """
    form = COLORS[encoding]
    _refuse_size(encoding, form.block, numbers.shape[:2])
    if numbers.dtype == np.uint16:
        numbers = cv2.convertScaleAbs(numbers, alpha=255 / 65535)
    if form.code is None:
        return np.array(numbers, order="C")  # a copy: the message's memory may be reused
    return np.asarray(cv2.cvtColor(numbers, form.code))


def is_mosaic(encoding: str) -> bool:
    """Return whether pictures of this encoding are Bayer mosaics."""
    return encoding.rstrip("168") in _MOSAICS


def not_color(what: str) -> ImageError:
    """Return why a stream of colour refuses distances."""
    return ImageError(
        f"{what} holds distances, the stream is one of colour: give it depth_range_m in the robot "
        "file, or another topic; brightness of 16 bits is sent as mono16"
    )


def not_distances(what: str) -> ImageError:
    """Return why a stream of distances refuses something else."""
    return ImageError(
        f"{what} holds no distances, {' and '.join(DISTANCES)} do: take depth_range_m out of the "
        "robot file, or give the topic of the depth image"
    )


def _refuse_size(encoding: str, block: tuple[int, int], size: tuple[int, ...]) -> None:
    height, width = size
    if height % block[0] or width % block[1]:
        even = "height and width" if block[0] == 2 else "width"
        raise ImageError(f"{encoding} needs an even {even}, got {height} x {width}")
    if is_mosaic(encoding) and min(size) < SMALLEST_MOSAIC:
        least = f"{SMALLEST_MOSAIC} x {SMALLEST_MOSAIC}"
        raise ImageError(f"{encoding} needs at least {least} pixels, got {height} x {width}")


def _numbers(message: Any, kind: type, channels: int) -> np.ndarray:
    """Return the numbers in the machine's byte order, (H, W) or (H, W, C), without the padding."""
    height, width = message.height, message.width
    stored = np.dtype(kind).newbyteorder(">" if message.is_bigendian else "<")
    rows = _rows(message, height, message.step, width * channels * stored.itemsize)
    shape = (height, width) if channels == 1 else (height, width, channels)
    numbers = rows.view(stored).reshape(shape)
    if stored != np.dtype(kind):
        return numbers.astype(kind)
    return numbers if numbers.flags.aligned else numbers.copy()  # rows of an odd step


def _rows(message: Any, count: int, step: int, used: int) -> np.ndarray:
    """Return ``count`` rows of ``used`` bytes that begin ``step`` bytes apart."""
    flat = np.frombuffer(message.data, dtype=np.uint8)
    if step < used or flat.size < count * step:
        raise ImageError(
            f"image of {message.height} x {message.width} {message.encoding} with {step} bytes a "
            f"row has {flat.size} bytes, it needs {used} a row and {count * max(step, used)} in "
            "all"
        )
    return flat[: count * step].reshape(count, step)[:, :used]


def _halved_color(message: Any, code: int) -> np.ndarray:
    """Return RGB of planes of which four pixels share a pair of colour."""
    height, width = message.height, message.width
    step = _plane_step(message, 3 * width // 2)
    return np.asarray(cv2.cvtColor(_rows(message, 3 * height // 2, step, width), code))


def _full_color(message: Any) -> np.ndarray:
    """Return RGB of planes of which each pixel has its own pair of colour."""
    height, width = message.height, message.width
    step = _plane_step(message, 3 * width)
    bright = _rows(message, 3 * height, step, width)[:height]
    below = np.frombuffer(message.data, np.uint8)[height * step : 3 * height * step]
    pairs = below.reshape(height, 2 * step)[:, : 2 * width].reshape(height, width, 2)
    # OpenCV has no such conversion. As in its others, nothing is darker than black.
    yuv = cv2.merge([(bright - 16) * (bright > 16), *cv2.split(pairs)])
    return np.asarray(cv2.transform(yuv, _BT601))


def _plane_step(message: Any, packed: int) -> int:
    """Return the bytes from one row of brightness to the next.

    Some publishers count both planes in ``step``, so that the size is step * rows; such rows have
    no padding.
    """
    counts_both = message.step == packed and len(message.data) == message.step * message.height
    return int(message.width if counts_both else message.step)
