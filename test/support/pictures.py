"""Raw and compressed messages of pictures, made by hand."""

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage, Image

from ddpm_controller.bags.conversions import byte_array

MOSAICS = {
    "bayer_rggb": ((0, 0), (1, 1)),
    "bayer_bggr": ((1, 1), (0, 0)),
    "bayer_gbrg": ((1, 0), (0, 1)),
    "bayer_grbg": ((0, 1), (1, 0)),
}
"""Where the red and the blue pixel of each 2 x 2 block are, row and column."""


def image(numbers, encoding, padding=0, is_bigendian=False):
    """Return an Image of numbers (H, W) or (H, W, C); ``padding`` bytes end each row."""
    height, width = numbers.shape[:2]
    order = ">" if is_bigendian else "<"
    stored = np.ascontiguousarray(numbers.astype(numbers.dtype.newbyteorder(order)))
    return raw(stored.reshape(height, -1).view(np.uint8), encoding, width, padding, is_bigendian)


def raw(rows, encoding, width, padding=0, is_bigendian=False, height=None):
    """Return an Image of rows of bytes, (H, bytes); ``padding`` bytes end each row."""
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=99)
    message = Image(height=height or len(rows), width=width, encoding=encoding)
    message.step, message.is_bigendian = rows.shape[1], int(is_bigendian)
    message.data = byte_array(rows)
    return message


def compressed(content, format_):
    """Return a CompressedImage of bytes."""
    return CompressedImage(format=format_, data=np.frombuffer(content, np.uint8))


def png(numbers):
    """Return a PNG of numbers, (H, W) or RGB, (H, W, 3) or (H, W, 4); 8 or 16 bits."""
    if numbers.ndim == 3:  # OpenCV takes blue first
        numbers = numbers[..., [2, 1, 0, 3][: numbers.shape[2]]]
    return cv2.imencode(".png", np.ascontiguousarray(numbers))[1].tobytes()


def mosaic_of(rgb, name):
    """Return what a sensor with this mosaic sees of a picture."""
    (red, blue), seen = MOSAICS[name], rgb[:, :, 1].copy()
    seen[red[0] :: 2, red[1] :: 2] = rgb[red[0] :: 2, red[1] :: 2, 0]
    seen[blue[0] :: 2, blue[1] :: 2] = rgb[blue[0] :: 2, blue[1] :: 2, 2]
    return seen
