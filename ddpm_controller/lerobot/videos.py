"""Pictures of episodes as videos: written frame by frame, read at given moments."""

import contextlib
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from ddpm_controller.given_files import one_line
from ddpm_controller.lerobot.libraries import LeRobotError, library
from ddpm_controller.lerobot.scheduling import scheduling_kept

CODECS = {"h264": ("libx264", "libopenh264", "h264"), "av1": ("libsvtav1", "libaom-av1")}
"""Codec -> encoders that can make it, the best first; which there are depends on the wheel."""
_QUALITY = {"h264": 18, "av1": 24}
"""Constant rate factors at which a camera picture of 640 x 480 looks the same."""
_KEY_FRAMES = 2
"""Every other frame is whole, so that a training reads any of them at once."""
_NEAR = 0.5
"""A frame counts for a moment that is nearer than this share of a period."""


class VideoWriter:
    """One video file; frames come one after the other.

    Args:
        path: The file; must not exist.
        size: Height and width.
        fps: Frames per second.
        codec: ``h264`` or ``av1``.

    Attributes:
        num_frames: Frames written.
        facts: What a data set notes of it.

    Raises:
        LeRobotError: No encoder of this codec is there.
    """

    def __init__(self, path: Path, size: tuple[int, int], fps: int, codec: str) -> None:
        av = library("av")
        height, width = size
        self.num_frames = 0
        # Colours at half the resolution need even sides.
        pixels = "yuv420p" if height % 2 == 0 and width % 2 == 0 else "yuv444p"
        self._frame_of = av.VideoFrame.from_ndarray
        self._container = av.open(str(path), "w")
        self._stream = self._container.add_stream(_encoder(av, codec), rate=fps)
        self._stream.width, self._stream.height, self._stream.pix_fmt = width, height, pixels
        self._stream.options = {"crf": str(_QUALITY[codec]), "g": str(_KEY_FRAMES)}
        self._stream.codec_context.thread_count = 1
        self.facts: dict[str, Any] = {
            "video.height": height,
            "video.width": width,
            "video.codec": codec,
            "video.pix_fmt": pixels,
            "video.is_depth_map": False,
            "video.fps": fps,
            "video.channels": 3,
            "has_audio": False,
        }

    def write(self, image: np.ndarray) -> None:
        """Append one picture, (H, W, 3) uint8."""
        frame = self._frame_of(np.ascontiguousarray(image), format="rgb24")
        frame.pts = self.num_frames
        self._encode(frame)
        self.num_frames += 1

    def close(self) -> None:
        """Finish the file."""
        self._encode(None)
        self._container.close()

    def _encode(self, frame: Any) -> None:
        # The first call opens the encoder.
        with contextlib.nullcontext() if self.num_frames else scheduling_kept():
            packets = self._stream.encode(frame)
        self._container.mux(packets)

    def __enter__(self) -> Self:
        """Return the open video."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Finish the file."""
        self.close()


def _encoder(av: Any, codec: str) -> str:
    for name in CODECS[codec]:
        try:
            av.codec.Codec(name, "w")
        except ValueError:  # av.codec.codec.UnknownCodecError
            continue
        return name
    raise LeRobotError(
        f"PyAV has no encoder for {codec}, of {CODECS[codec]}: choose another codec, or install "
        "another wheel of av"
    )


def read_frames(
    path: Path, size: tuple[int, int], moments_s: np.ndarray, fps: float
) -> np.ndarray:
    """Return the pictures of a video at moments (N,), rising, as RGB (N, H, W, 3) uint8.

    Raises:
        LeRobotError: It cannot be read, has another size, or has no frame at a moment.
    """
    av = library("av")
    try:
        with av.open(str(path)) as container:
            return _frames(container, path, size, moments_s, _NEAR / fps)
    except (av.FFmpegError, OSError, IndexError, EOFError) as error:
        raise LeRobotError(
            f"video {path} cannot be read: {one_line(error)}; copy the data set again"
        ) from None


def _frames(
    container: Any, path: Path, size: tuple[int, int], moments_s: np.ndarray, near_s: float
) -> np.ndarray:
    stream = container.streams.video[0]
    stream.codec_context.thread_count = 1
    came = (stream.codec_context.height, stream.codec_context.width)
    if came != size:  # before anything of that size is made
        raise LeRobotError(
            f"video {path} has {came[0]} x {came[1]} pixels, meta/info.json has "
            f"{size[0]} x {size[1]}: copy the data set again"
        )
    found = np.empty((len(moments_s), *size, 3), dtype=np.uint8)
    place = 0
    if len(moments_s) and moments_s[0] > near_s:
        container.seek(int(moments_s[0] / stream.time_base), stream=stream)
    for frame in container.decode(stream):
        if place == len(moments_s):
            break
        if frame.pts is None:
            continue
        frame_s = float(frame.pts * stream.time_base)
        if frame_s > moments_s[place] + near_s:
            break
        if frame_s >= moments_s[place] - near_s:
            found[place] = frame.to_ndarray(format="rgb24")
            place += 1
    if place < len(moments_s):
        raise LeRobotError(
            f"video {path} has no frame at {moments_s[place]:.3f} s, of {len(moments_s)} that the "
            "episode needs: copy the data set again"
        )
    return found
