"""Pictures of a CompressedImage, as image_transport writes them: JPEG, PNG and compressedDepth.

``format`` begins with the encoding of the camera, ``bgr8; png compressed bgr8``, or is ``jpeg`` or
``png`` alone. What the data is, is seen by its first bytes.
"""

import struct
from typing import Any

import cv2
import numpy as np
import simplejpeg

from ddpm_controller.messages.image_encodings import (
    DISTANCES,
    ImageError,
    is_mosaic,
    not_color,
    not_distances,
    rgb_from,
)

_PNG = b"\x89PNG\r\n\x1a\n"
_HEADER = struct.Struct(">4sIIBB")  # the IHDR chunk: its name, width, height, bits, kind of colour
_DEPTH_HEADER = struct.Struct("<iff")  # compressedDepth: version, two parameters of quantization
_GREY = 0  # kind of colour in a PNG
_CHANNELS = {1: "mono8", 3: "bgr8", 4: "bgra8"}  # as OpenCV orders a decoded PNG


def compressed_size(message: Any) -> tuple[int, int]:
    """Return height and width by the header; nothing is decoded.

    Raises:
        ImageError: Neither JPEG nor PNG, or without a header.
    """
    content = _content(message)
    if simplejpeg.is_jpeg(content):
        return _jpeg_header(content)[:2]
    height, width, *_ = _png_header(content, message.format)
    return height, width


def compressed_color(message: Any) -> np.ndarray:
    """Return a JPEG or PNG of colour or grey as RGB, (H, W, 3) uint8.

    An orientation in EXIF is not applied, transparency is dropped. A grey picture of a Bayer
    camera, as image_transport sends it, gets its colours.

    Raises:
        ImageError: It holds distances, has colours for printing, or cannot be decoded.
    """
    encoding = _encoding(message)
    if encoding in DISTANCES or _is_depth_transport(message):
        raise not_color(f"format {message.format!r}")
    content = _content(message)
    if simplejpeg.is_jpeg(content):
        return _jpeg_pixels(content, encoding)
    numbers = _png_numbers(content)
    if numbers.ndim == 2 and is_mosaic(encoding):
        return rgb_from(numbers, encoding)
    return rgb_from(numbers, _CHANNELS[1 if numbers.ndim == 2 else numbers.shape[2]])


def compressed_distances(message: Any) -> tuple[np.ndarray, float]:
    """Return a PNG or compressedDepth of distances, (H, W) uint16 or float32, and its unit in m.

    Raises:
        ImageError: It holds no distances, or cannot be decoded.
    """
    encoding, content = _encoding(message), _content(message)
    is_depth = _is_depth_transport(message)
    if simplejpeg.is_jpeg(content):
        raise ImageError(
            f"JPEG of format {message.format!r} keeps no distances: take the topic that ends in "
            "/compressedDepth, or publish png"
        )
    _, _, bits, colors = _png_header(content, message.format)
    if (bits, colors) != (16, _GREY) or (encoding not in DISTANCES and (encoding or is_depth)):
        raise not_distances(f"format {message.format!r}, a PNG of {bits} bits,")
    if encoding == "32FC1" and not is_depth:
        raise ImageError("a PNG of 32FC1 keeps no distances: take the topic /compressedDepth")
    numbers = _png_numbers(content)
    if encoding != "32FC1":
        return numbers, DISTANCES["16UC1"][1]
    _, scale, offset = _DEPTH_HEADER.unpack_from(bytes(message.data[: _DEPTH_HEADER.size]))
    return _from_inverse(numbers, scale, offset), DISTANCES["32FC1"][1]


def _encoding(message: Any) -> str:
    """Return the encoding of the camera; empty where ``format`` has none."""
    before, separator, _ = message.format.partition(";")
    return before.strip() if separator else ""


def _is_depth_transport(message: Any) -> bool:
    return "compressedDepth" in message.format


def _content(message: Any) -> bytes:
    """Return the file, which compressedDepth begins with a header of its own."""
    content = bytes(message.data)
    if not _is_depth_transport(message):
        return content
    return content[_DEPTH_HEADER.size :]


def _jpeg_header(content: bytes) -> tuple[int, int, str]:
    try:
        height, width, colors, *_ = simplejpeg.decode_jpeg_header(content)
    except ValueError as error:
        raise ImageError(f"JPEG of {len(content)} bytes has no header: {error}") from None
    return height, width, colors


def _jpeg_pixels(content: bytes, encoding: str) -> np.ndarray:
    colors = _jpeg_header(content)[2]
    if colors in ("CMYK", "YCCK"):
        raise ImageError(f"JPEG has the colours {colors} of printing: publish RGB or grey")
    mosaic = colors.lower() == "gray" and is_mosaic(encoding)
    try:
        pixels = simplejpeg.decode_jpeg(content, colorspace="GRAY" if mosaic else "RGB")
    except ValueError as error:
        raise ImageError(f"JPEG of {len(content)} bytes cannot be decoded: {error}") from None
    return rgb_from(pixels[..., 0], encoding) if mosaic else np.asarray(pixels)


def _png_header(content: bytes, format_: str) -> tuple[int, int, int, int]:
    """Return height, width, bits of a number and the kind of colour."""
    if not content.startswith(_PNG):
        raise ImageError(
            f"compressed image of format {format_!r} is neither a JPEG nor a PNG: set the "
            "publisher to jpeg or png"
        )
    if len(content) < 12 + _HEADER.size or content[12:16] != b"IHDR":
        raise ImageError(f"PNG of {len(content)} bytes has no header")
    _, width, height, bits, colors = _HEADER.unpack_from(content, 12)
    return height, width, bits, colors


def _png_numbers(content: bytes) -> np.ndarray:
    """Return what a PNG holds, (H, W) or (H, W, C), 8 or 16 bits, blue before red."""
    try:
        numbers = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise ImageError(f"PNG of {len(content)} bytes cannot be decoded: {error.err}") from None
    if numbers is None:
        raise ImageError(f"PNG of {len(content)} bytes cannot be decoded: it is cut or damaged")
    return np.asarray(numbers)


def _from_inverse(numbers: np.ndarray, scale: float, offset: float) -> np.ndarray:
    """Return distances of which the inverse was sent: number = scale / distance + offset."""
    if not (np.isfinite(scale) and np.isfinite(offset) and scale > 0):
        raise ImageError(f"compressedDepth needs finite parameters, got {scale} and {offset}")
    inverse = numbers.astype(np.float32) - np.float32(offset)
    with np.errstate(divide="ignore"):
        distances = np.float32(scale) / inverse
    distances[numbers == 0] = np.nan
    return distances
