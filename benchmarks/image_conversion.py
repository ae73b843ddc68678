"""Time from a camera's message to RGB, for every encoding, beside OpenCV alone.

python benchmarks/image_conversion.py          (--quick: within half a minute)

OpenCV gets an array that is ready, and checks nothing. Both run in one thread, by turns. The last
lines are the largest ratios, each the median over the turns.
"""

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import simplejpeg
import tyro
from rich.console import Console
from rich.table import Table
from sensor_msgs.msg import CompressedImage, Image

from ddpm_controller.bags.conversions import byte_array
from ddpm_controller.messages.images import image_from

HEIGHT, WIDTH = 480, 640
RANGE_M = (0.2, 2.0)
GREY = cv2.COLOR_GRAY2RGB
ORDERS = {
    "bgr8": (3, cv2.COLOR_BGR2RGB),
    "rgba8": (4, cv2.COLOR_RGBA2RGB),
    "bgra8": (4, cv2.COLOR_BGRA2RGB),
    "mono8": (1, GREY),
    "8UC1": (1, GREY),
    "8UC3": (3, cv2.COLOR_BGR2RGB),
    "8UC4": (4, cv2.COLOR_BGRA2RGB),
    "bayer_rggb8": (1, cv2.COLOR_BayerRGGB2RGB),
    "bayer_bggr8": (1, cv2.COLOR_BayerBGGR2RGB),
    "bayer_gbrg8": (1, cv2.COLOR_BayerGBRG2RGB),
    "bayer_grbg8": (1, cv2.COLOR_BayerGRBG2RGB),
    "uyvy": (2, cv2.COLOR_YUV2RGB_UYVY),
    "yuyv": (2, cv2.COLOR_YUV2RGB_YUY2),
}
ORDERS16 = {
    "bgr16": (3, cv2.COLOR_BGR2RGB),
    "rgba16": (4, cv2.COLOR_RGBA2RGB),
    "bgra16": (4, cv2.COLOR_BGRA2RGB),
    "mono16": (1, GREY),
    "bayer_rggb16": (1, cv2.COLOR_BayerRGGB2RGB),
    "bayer_bggr16": (1, cv2.COLOR_BayerBGGR2RGB),
    "bayer_gbrg16": (1, cv2.COLOR_BayerGBRG2RGB),
    "bayer_grbg16": (1, cv2.COLOR_BayerGRBG2RGB),
}
BT601 = np.array(
    [[1.164, 0.0, 1.596, -222.9], [1.164, -0.392, -0.813, 135.6], [1.164, 2.017, 0.0, -276.8]]
)
"""RGB of brightness, blue and red."""


@dataclass(frozen=True)
class Options:
    """Measure how fast pictures are read.

    Attributes:
        repetitions: Number of pictures of each encoding.
        quick: A tenth of them.
        seed: Seed of the pictures.
    """

    repetitions: int = 500
    quick: bool = False
    seed: int = 0


@dataclass(frozen=True)
class Case:
    """One encoding.

    Attributes:
        name: Name in the table.
        kind: ``raw``, ``compressed``, ``depth`` or ``resized``.
        ours: Reads the message.
        opencv: Does the same by OpenCV alone.
    """

    name: str
    kind: str
    ours: Callable[[], object]
    opencv: Callable[[], object]


def message_of(numbers: np.ndarray, encoding: str, is_bigendian: bool = False) -> Image:
    """Return the message of numbers (H, W) or (H, W, C), or of planes (more rows, W)."""
    step = numbers[0].nbytes
    message = Image(height=HEIGHT, width=WIDTH, encoding=encoding, step=step)
    message.is_bigendian = int(is_bigendian)
    message.data = byte_array(np.ascontiguousarray(numbers).reshape(len(numbers), -1).view("u1"))
    return message


def compressed_of(content: bytes, format_: str) -> CompressedImage:
    """Return the message of a file."""
    return CompressedImage(format=format_, data=np.frombuffer(content, np.uint8))


def taken(message: object, **terms: object) -> Callable[[], object]:
    """Return what reads a message."""
    return lambda: image_from(message, HEIGHT, WIDTH, **terms)


def raw_cases(random: np.random.Generator) -> Iterator[Case]:
    """Yield the encodings of colour and grey."""

    def numbers(kind: type, channels: int) -> np.ndarray:
        shape = (HEIGHT, WIDTH) if channels == 1 else (HEIGHT, WIDTH, channels)
        return random.integers(0, np.iinfo(kind).max, shape, dtype=kind, endpoint=True)

    def eight(each: np.ndarray) -> np.ndarray:
        return cv2.convertScaleAbs(each, alpha=255 / 65535)

    def of(each: np.ndarray, code: int) -> Callable[[], object]:
        return lambda: cv2.cvtColor(each, code)

    def of16(each: np.ndarray, code: int) -> Callable[[], object]:
        return lambda: cv2.cvtColor(eight(each), code)

    pixels = numbers(np.uint8, 3)
    yield Case("rgb8", "raw", taken(message_of(pixels, "rgb8")), pixels.copy)
    for name, (channels, code) in ORDERS.items():
        each = numbers(np.uint8, channels)
        yield Case(name, "raw", taken(message_of(each, name)), of(each, code))
    pixels16 = numbers(np.uint16, 3)
    yield Case("rgb16", "raw", taken(message_of(pixels16, "rgb16")), lambda: eight(pixels16))
    swapped = message_of(pixels16.byteswap(), "rgb16", True)
    swap = taken(swapped)
    yield Case("rgb16, big-endian", "raw", swap, lambda: eight(pixels16.byteswap()))
    for name, (channels, code) in ORDERS16.items():
        each = numbers(np.uint16, channels)
        yield Case(name, "raw", taken(message_of(each, name)), of16(each, code))
    planes = random.integers(0, 256, (3 * HEIGHT, WIDTH), dtype=np.uint8)
    halved = planes[: 3 * HEIGHT // 2].copy()
    yield Case(
        "nv12", "raw", taken(message_of(halved, "nv12")), of(halved, cv2.COLOR_YUV2RGB_NV12)
    )
    yield Case(
        "nv21", "raw", taken(message_of(halved, "nv21")), of(halved, cv2.COLOR_YUV2RGB_NV21)
    )
    pairs = planes[HEIGHT:].reshape(HEIGHT, WIDTH, 2)

    def nv24() -> object:  # OpenCV has no such conversion: its product with a matrix
        return cv2.transform(cv2.merge([planes[:HEIGHT], *cv2.split(pairs)]), BT601)

    yield Case("nv24", "raw", taken(message_of(planes, "nv24")), nv24)


def compressed_cases(random: np.random.Generator) -> Iterator[Case]:
    """Yield JPEG and PNG of a smooth picture, as scenes are."""
    noise = random.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    smooth = cv2.GaussianBlur(noise, (0, 0), 5)

    def decoded(content: bytes) -> Callable[[], object]:
        stored = np.frombuffer(content, np.uint8)
        return lambda: cv2.cvtColor(cv2.imdecode(stored, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)

    jpeg = simplejpeg.encode_jpeg(smooth, 90)
    yield Case("jpeg", "compressed", taken(compressed_of(jpeg, "jpeg")), decoded(jpeg))
    png = cv2.imencode(".png", smooth)[1].tobytes()
    yield Case("png", "compressed", taken(compressed_of(png, "png")), decoded(png))
    wide = cv2.imencode(".png", smooth.astype(np.uint16) * 257)[1].tobytes()
    yield Case("png, 16 bits", "compressed", taken(compressed_of(wide, "png")), decoded(wide))


def depth_cases(random: np.random.Generator) -> Iterator[Case]:
    """Yield distances, where a fifth was not measured."""
    mm = random.integers(200, 2500, (HEIGHT, WIDTH), dtype=np.uint16)
    mm[random.random(mm.shape) < 0.2] = 0
    metres = mm.astype(np.float32) / 1000
    metres[mm == 0] = np.nan
    scale = 254 / (RANGE_M[1] - RANGE_M[0])

    def levels(each: np.ndarray, unit_m: float) -> np.ndarray:
        measured = cv2.compare(each, 0, cv2.CMP_GT)
        terms = (scale * unit_m, each, 0, 1 - RANGE_M[0] * scale)
        shown = cv2.max(cv2.addWeighted(each, *terms, dtype=cv2.CV_8U), 1)
        return cv2.cvtColor(cv2.bitwise_and(shown, measured), GREY)

    png = cv2.imencode(".png", mm)[1].tobytes()
    stored = np.frombuffer(png, np.uint8)

    def of_png() -> object:
        return levels(cv2.imdecode(stored, cv2.IMREAD_UNCHANGED), 0.001)

    sent = compressed_of(bytes(12) + png, "16UC1; compressedDepth")
    messages = {"16UC1": message_of(mm, "16UC1"), "32FC1": message_of(metres, "32FC1")}
    ours = {
        name: taken(each, depth_range_m=RANGE_M)
        for name, each in {**messages, "compressedDepth": sent}.items()
    }
    yield Case("16UC1", "depth", ours["16UC1"], lambda: levels(mm, 0.001))
    yield Case("32FC1", "depth", ours["32FC1"], lambda: levels(metres, 1.0))
    yield Case("compressedDepth", "depth", ours["compressedDepth"], of_png)


def resized_cases(random: np.random.Generator) -> Iterator[Case]:
    """Yield whole and fractional ratios from a crop of 480 x 480."""
    pixels = random.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    message, crop = message_of(pixels, "rgb8"), (0, 80, 480, 480)

    def opencv(size: int) -> Callable[[], object]:
        part = pixels[:, 80:560]
        return lambda: cv2.resize(part, (size, size), interpolation=cv2.INTER_AREA)

    for size in (96, 224):
        ours = taken(message, resize=(size, size), crop=crop)
        yield Case(f"rgb8, 480 to {size}", "resized", ours, opencv(size))


def times_ms(case: Case, repetitions: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the times of both, measured by turns, ms."""
    rows = []
    for _ in range(repetitions + 3):
        row = []
        for call in (case.ours, case.opencv):
            begin_ns = time.perf_counter_ns()
            call()
            row.append((time.perf_counter_ns() - begin_ns) / 1e6)
        rows.append(row)
    ours, opencv = np.array(rows[3:]).T  # the first ones fill caches
    return ours, opencv


def shown(times: np.ndarray) -> str:
    """Return the median and the quartiles."""
    low, middle, high = np.percentile(times, [25, 50, 75])
    return f"{middle:.3f} ({low:.3f} to {high:.3f})"


def main() -> int:
    """Measure and print."""
    options = tyro.cli(Options)
    cv2.setNumThreads(1)
    random = np.random.default_rng(options.seed)
    repetitions = max(options.repetitions // (10 if options.quick else 1), 1)
    table = Table("encoding", "ours, ms", "OpenCV alone, ms", "ratio", title="640 x 480")
    ratios: dict[str, dict[str, float]] = {}
    for cases in (raw_cases, compressed_cases, depth_cases, resized_cases):
        for case in cases(random):
            ours, opencv = times_ms(case, repetitions)
            ratio = float(np.median(ours / opencv))  # turn by turn: both were as busy
            ratios.setdefault(case.kind, {})[case.name] = ratio
            table.add_row(case.name, shown(ours), shown(opencv), f"{ratio:.2f}")
    Console().print(table)
    for kind, each in ratios.items():
        sys.stdout.write(f"largest_ratio_{kind}: {max(each.values()):.2f}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
