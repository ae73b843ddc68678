"""Messages become values of streams, in the order in which they come: live, in bags, in replay.

Most are read by themselves. Of frames what has come before counts too.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ddpm_controller.bags.conversions import (
    ConversionError,
    observation_from,
    seconds,
    values_of,
)
from ddpm_controller.control.observing.rotations import RotationError, normalized
from ddpm_controller.control.observing.transforms import (
    Transform,
    TransformBuffer,
    TransformError,
)
from ddpm_controller.messages.fields import FieldError
from ddpm_controller.robots.streams import RobotStream, StreamSource

_BACK_S = 1.0
"""A clock that goes back by more has begun again: messages in order differ by less."""


@dataclass(frozen=True)
class Read:
    """What a message brings of a stream.

    Attributes:
        stamp_s: Acquisition time; of a message without a stamp, when it came.
        value: As the policy sees it; NaN of elements that the message does not have.
        present: (D,) which elements it has; None: all.
    """

    stamp_s: float
    value: np.ndarray
    present: np.ndarray | None = None


class StreamReader:
    """Reads the messages of a robot's streams.

    Args:
        streams: The streams; those of frames are followed from message to message.
    """

    def __init__(self, streams: Sequence[RobotStream]) -> None:
        self._frames = {each.spec.name: _Frames(each) for each in streams if each.frames}

    def read(self, source: StreamSource, message: Any, came_s: float) -> Read | None:
        """Return what a message brings of a stream; None: nothing.

        Args:
            source: The stream, and the topic that brought the message.
            message: Message of its type.
            came_s: When it came, by the clock of the stamps.

        Raises:
            ConversionError: It does not hold what the robot file names.
        """
        stream = source.stream
        if stream.frames is None:
            found = observation_from(message, stream, came_s, source.prefix)
            return None if found is None else Read(*found)
        try:
            return self._frames[stream.spec.name].read(message, came_s, source.is_static)
        except (TransformError, FieldError) as error:
            raise ConversionError(f"{stream.spec.name}: {error}") from None

    def others(self, source: StreamSource, message: Any) -> Sequence[str]:
        """Return what the topic of a stream has, which may be something else than it needs."""
        if source.stream.frames is not None:
            return self._frames[source.stream.spec.name].frames
        return [source.prefix + name for name in getattr(message, "name", ())]


class _Axes(NamedTuple):
    """A point or a quaternion, with the names that a message has."""

    x: float
    y: float
    z: float
    w: float = 0.0


class _Where(NamedTuple):
    """A transform, with the names that a message has."""

    translation: _Axes
    rotation: _Axes


class _Frames:
    """The transform of one stream."""

    def __init__(self, stream: RobotStream) -> None:
        assert stream.frames is not None  # the only caller has looked
        self._stream, (self._parent, self._child) = stream, stream.frames
        self._buffer = TransformBuffer()
        self._came_s = self._newest_s = -math.inf

    @property
    def frames(self) -> list[str]:
        return self._buffer.frames

    def read(self, message: Any, came_s: float, is_static: bool) -> Read | None:
        if came_s < self._came_s - _BACK_S:
            self._buffer.forget_moving()
            self._newest_s = -math.inf
        self._came_s = came_s
        wrong = dict(filter(None, (self._take(each, is_static) for each in message.transforms)))
        self._refuse_on_the_way(wrong)
        found = self._buffer.newest(self._parent, self._child)
        if found is None:
            return None
        # Static links alone hold whenever they are looked at.
        stamp_s, transform = (came_s if math.isinf(found[0]) else found[0]), found[1]
        if stamp_s <= self._newest_s:
            return None
        self._newest_s = stamp_s
        where = _Where(_Axes(*transform.translation), _Axes(*transform.rotation))
        return Read(stamp_s, values_of(where, self._stream))

    def _take(self, stamped: Any, is_static: bool) -> tuple[str, str] | None:
        """Take one link; return its child and why it cannot be used, if it cannot."""
        given, rotation = stamped.transform.translation, stamped.transform.rotation
        parent = stamped.header.frame_id.removeprefix("/")
        child = stamped.child_frame_id.removeprefix("/")
        translation = float(given.x), float(given.y), float(given.z)
        if not all(map(math.isfinite, translation)):
            return child, f"{parent} to {child}: translation {translation} is not finite"
        try:
            orientation = normalized([rotation.x, rotation.y, rotation.z, rotation.w])
        except RotationError as error:
            return child, f"{parent} to {child}: {error}"
        stamp_s = seconds(stamped.header.stamp)
        transform = Transform(translation, orientation)
        self._buffer.add(parent, child, stamp_s, transform, is_static=is_static)
        return None

    def _refuse_on_the_way(self, wrong: Mapping[str, str]) -> None:
        """Refuse links that cannot be used, but those of other parts of the robot."""
        frames = self._buffer.way(self._parent, self._child) if wrong else []
        texts = [text for child, text in wrong.items() if child in frames]
        if texts:
            raise TransformError("; ".join(texts))
