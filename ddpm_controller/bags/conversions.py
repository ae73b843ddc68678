"""Messages to values and back, the same for a live topic and for a bag.

Duck-typed on purpose: a message is whatever has the fields, from rclpy or from rosbags, so bags
are read where there is no ROS.
"""

import array
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import simplejpeg

from ddpm_controller.data.text_features import TextError, text_features
from ddpm_controller.robots.robot import RobotAction, RobotStream

_SMALLEST_SHARE = 1e-6
"""A smaller share of a pixel is a rounding error of its edges."""


class ConversionError(ValueError):
    """A message does not hold what the robot file names.

    Attributes:
        joints: Joints of the robot file that the message names; empty where it has no joints.
    """

    def __init__(self, text: str, joints: Sequence[str] = ()) -> None:
        super().__init__(text)
        self.joints = tuple(joints)


def seconds(stamp: Any) -> float:
    """Return a ``builtin_interfaces`` Time or Duration in s."""
    return float(stamp.sec + stamp.nanosec * 1e-9)


def stamp_from(stamp_s: float) -> tuple[int, int]:
    """Return whole seconds and nanoseconds, rounded to the nearest nanosecond.

    ``seconds`` of the result is ``stamp_s`` again, bit for bit, when that came from ``seconds``.
    """
    whole = math.floor(stamp_s)
    # The fraction alone is scaled: stamp_s * 1e9 would lose 256 ns for the system clock.
    nanoseconds = round((stamp_s - whole) * 1e9)
    return (whole + 1, 0) if nanoseconds == 1_000_000_000 else (whole, nanoseconds)


def observation_from(
    message: Any, stream: RobotStream, came_s: float = math.nan
) -> tuple[float, np.ndarray, np.ndarray | None] | None:
    """Return what one message of a topic brings of ``stream``; None: nothing.

    It is the acquisition time, the value, and which elements of a vector the message has, (D,);
    None: all. The others are NaN in the value: another message brings them. Whether the numbers
    are finite is for the buffer.

    Args:
        message: Message of the stream's type.
        stream: What is read.
        came_s: When it came, which stands for the acquisition of a text: that has no stamp.

    Raises:
        ConversionError: Sizes or encoding are not those of the robot file, a joint has two
            numbers or none, or a text has no word.
    """
    stamp_s = came_s if stream.is_text else seconds(message.header.stamp)
    try:
        if stream.is_text:
            return stamp_s, text_features(message.data, stream.spec.shape[0]), None
        if stream.spec.kind == "vector":
            part = part_of_vector(message, stream.spec.names, stream.field)
            return None if part is None else (stamp_s, *part)
        height, width = stream.message_size
        return stamp_s, image_from(message, height, width, stream.spec.shape[:2]), None
    except (ConversionError, TextError) as error:
        joints = error.joints if isinstance(error, ConversionError) else ()
        raise ConversionError(f"{stream.spec.name}: {error}", joints) from None


def part_of_vector(
    message: Any, names: Sequence[str], field: str = "position"
) -> tuple[np.ndarray, np.ndarray | None] | None:
    """Return the elements of ``names`` that a JointState has; None: it has none of them.

    Returns:
        Values, (D,) float64, NaN where the message has no such joint; and which it has, (D,), or
        None where it has all.

    Raises:
        ConversionError: The field is empty or of another length than the names, or a joint has
            two numbers.
    """
    places = {name: i for i, name in enumerate(message.name)}  # once for all of the names
    wanted = [name for name in names if name in places]
    if not wanted:
        return None
    numbers = _numbers(message.name, getattr(message, field), f"field {field!r}", wanted)
    if len(places) != len(message.name):
        _refuse_contradiction(list(message.name), numbers, wanted)
    if len(wanted) == len(names):
        row, present = numbers[[places[name] for name in names]], None
    else:
        present = np.array([name in places for name in names])
        row = np.full(len(names), math.nan)
        row[present] = numbers[[places[name] for name in wanted]]
    return row, present


def vector_from(message: Any, names: Sequence[str], field: str = "position") -> np.ndarray:
    """Return one field of a JointState in the order of ``names``; (D,) float64.

    Raises:
        ConversionError: A name is missing, or the field is empty or of another length.
    """
    return _by_name(list(message.name), getattr(message, field), names, f"field {field!r}")


def command_from(message: Any, action: RobotAction) -> np.ndarray:
    """Return the commanded positions in the order of the action; (Da,) float64.

    A JointTrajectory commands the positions of its first point; a Float64MultiArray has no
    names and must be in the order of the robot file.

    Raises:
        ConversionError: Names or sizes are not those of the robot file.
    """
    names = action.spec.joint_names
    if not hasattr(message, "points"):
        row = np.asarray(message.data, dtype=np.float64)
        if row.shape != (len(names),):
            raise ConversionError(
                f"command has {row.size} numbers, the robot file has {len(names)} joints: "
                f"{list(names)}"
            )
        return row
    return positions_from(message, names)


def positions_from(message: Any, names: Sequence[str]) -> np.ndarray:
    """Return the positions of a JointTrajectory's first point in this order; (D,) float64.

    Raises:
        ConversionError: A name is missing, or there are no points or too few positions.
    """
    if len(message.points) == 0:
        raise ConversionError("command has no points")
    return _by_name(list(message.joint_names), message.points[0].positions, names, "positions")


def image_from(
    message: Any, height: int, width: int, resize: Sequence[int] | None = None
) -> np.ndarray:
    """Return an Image or CompressedImage as RGB, (H, W, 3) uint8.

    Args:
        message: rgb8, bgr8, mono8, or JPEG.
        height: Rows that the message must have.
        width: Columns that the message must have.
        resize: (H, W) of the result; as the message when None.

    Raises:
        ConversionError: Another size, another encoding, or cut data.
    """
    is_raw = hasattr(message, "encoding")
    came = (message.height, message.width) if is_raw else _jpeg_size(message)
    if came != (height, width):  # before a small message becomes a large picture
        raise ConversionError(
            f"image of {came[0]} x {came[1]} came (height x width), the robot file has "
            f"{height} x {width}: set the camera or the robot file"
        )
    pixels = _raw_pixels(message) if is_raw else _jpeg_pixels(message)
    if resize is not None and tuple(resize) != (height, width):
        return resized(pixels, resize[0], resize[1])
    return pixels


def resized(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return an image at another size by averaging over areas; (H, W, 3) uint8."""
    rows = pixels.reshape(pixels.shape[0], -1).astype(np.float32)  # (H, W * 3)
    flat = _mean_rows(rows, height).reshape(height, -1, 3).swapaxes(0, 1)  # (W, height, 3)
    columns = np.ascontiguousarray(flat).reshape(pixels.shape[1], -1)  # (W, height * 3)
    mean = _mean_rows(columns, width).reshape(width, height, 3).swapaxes(0, 1)
    return np.clip(np.rint(mean), 0, 255).astype(np.uint8, order="C")


def byte_array(pixels: np.ndarray) -> "array.array[int]":
    """Return bytes as the array that rclpy takes as it is; a list would cost 0.1 s per image."""
    data = array.array("B")
    data.frombytes(np.ascontiguousarray(pixels, dtype=np.uint8).tobytes())
    return data


def _by_name(have: list[str], numbers: Any, names: Sequence[str], what: str) -> np.ndarray:
    missing = [name for name in names if name not in have]
    if missing:
        raise ConversionError(
            f"joints {missing} are missing: the message has {have}, the robot file {list(names)}"
        )
    row = _numbers(have, numbers, what, names)
    _refuse_contradiction(have, row, names)
    return row[[have.index(name) for name in names]]


def _numbers(have: Sequence[str], numbers: Any, what: str, wanted: Sequence[str]) -> np.ndarray:
    row = np.asarray(numbers, dtype=np.float64)
    if row.shape != (len(have),):
        raise ConversionError(
            f"{len(have)} joint names but {row.size} numbers in {what}, which has to have "
            f"{list(wanted)}",
            wanted,
        )
    return row


def _refuse_contradiction(have: list[str], row: np.ndarray, wanted: Sequence[str]) -> None:
    """Refuse a joint that is in a message twice with two values: one of them is wrong."""
    for name in wanted:
        values = {float(x) for each, x in zip(have, row, strict=True) if each == name}
        if len(values) > 1:
            raise ConversionError(
                f"joint {name!r} is in one message twice, with {sorted(values)}: only one driver "
                "may fill in a joint",
                wanted,
            )


def _raw_pixels(message: Any) -> np.ndarray:
    channels = {"rgb8": 3, "bgr8": 3, "mono8": 1}.get(message.encoding)
    if channels is None:
        raise ConversionError(f"encoding {message.encoding!r} is not rgb8, bgr8 or mono8")
    height, width, step = message.height, message.width, message.step
    flat = np.frombuffer(message.data, dtype=np.uint8)
    if step < width * channels or flat.size < height * step:
        raise ConversionError(
            f"image of {height} x {width} {message.encoding} with {step} bytes a row has only "
            f"{flat.size} bytes"
        )
    rows = flat[: height * step].reshape(height, step)[:, : width * channels]
    pixels = rows.reshape(height, width, channels)
    if channels == 1:
        return np.repeat(pixels, 3, axis=2)
    if message.encoding == "bgr8":
        pixels = pixels[:, :, ::-1]
    return np.array(pixels, order="C")  # a copy: the message's memory may be reused


def _jpeg_size(message: Any) -> tuple[int, int]:
    """Return height and width by the header; nothing is decoded."""
    data = bytes(message.data)
    if not simplejpeg.is_jpeg(data):
        raise ConversionError(f"compressed image of format {message.format!r} is not a JPEG")
    try:
        height, width, *_ = simplejpeg.decode_jpeg_header(data)
    except ValueError as error:
        raise ConversionError(f"JPEG of {len(data)} bytes has no header: {error}") from None
    return height, width


def _jpeg_pixels(message: Any) -> np.ndarray:
    data = bytes(message.data)
    try:
        return np.asarray(simplejpeg.decode_jpeg(data, colorspace="RGB"))
    except ValueError as error:
        raise ConversionError(f"JPEG of {len(data)} bytes cannot be decoded: {error}") from None


def _mean_rows(rows: np.ndarray, count: int) -> np.ndarray:
    """Return ``rows``, (N, D) float32, averaged to ``count`` rows.

    Row by row, since a product of matrices would run on a thread a core.
    """
    index, share = _shares(len(rows), count)
    mean: np.ndarray = rows[index[:, 0]] * share[:, :1]
    for k in range(1, index.shape[1]):
        more = rows[index[:, k]]
        more *= share[:, k, None]
        mean += more
    return mean


def _shares(size: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return which old pixels are in each of ``count`` new ones, (count, K), and their shares."""
    ratio = size / count
    begin, end = np.arange(count)[:, None] * ratio, np.arange(1, count + 1)[:, None] * ratio
    pixel = np.floor(begin) + np.arange(math.ceil(ratio) + 1)
    overlap = np.minimum(end, pixel + 1) - np.maximum(begin, pixel)
    share = (np.clip(overlap, 0, None) / ratio).astype(np.float32)
    used = (share > _SMALLEST_SHARE).any(axis=0)
    return np.minimum(pixel, size - 1).astype(np.intp)[:, used], share[:, used]
