"""Observation streams of a robot: what a policy sees of which message of which topic."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ddpm_controller.control.observing.rotations import RotationError, normalized
from ddpm_controller.control.observing.stream_rules import StreamRule
from ddpm_controller.data.text_features import text_names
from ddpm_controller.messages.fields import FieldError, MessageField, fields_of
from ddpm_controller.messages.structures import STRUCTURES, TRANSFORM, WITHOUT_STAMP
from ddpm_controller.messages.units import conversions_text, unit_of
from ddpm_controller.robots.outputs import JOINT_STATE
from ddpm_controller.robots.stream_file import (
    AnyStreamFile,
    FieldsFile,
    StreamFile,
    TextFile,
    TransformFile,
)
from ddpm_controller.types import ActionSpec, StreamSpec, measuring

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
STRING = "std_msgs/msg/String"
FROZEN_AFTER_S = 0.5
"""Rate of a camera, where the robot file has none."""

_OF_MOTION = {"rad/s", "m/s", "rad/s^2", "m/s^2"}
_HOLD = StreamRule()


@dataclass(frozen=True)
class RobotStream:
    """One observation stream and where it comes from.

    Attributes:
        spec: The stream as the policy sees it.
        topic: Relative topic name; the first one where there are several.
        type: Full message type name.
        max_age_s: Older than this it is stale; infinite for a text, which is published once.
        field: Field of a JointState that is observed.
        fields: What is read of another message with numbers, or of a transform; else empty.
        prefixes: Topic -> what stands before the joints of its messages in ``spec``, where joints
            come on several topics; else empty.
        frames: Parent and child of a stream of frames; None for the rest.
        units: Unit of each element of a vector in the messages; as in ``spec`` when empty.
        message_size: (height, width) of an image message; (0, 0) of a vector.
        crop: Top, left, height and width of the part of the message that is kept; None: all.
        camera_info: Topic of the calibration of an image; empty for a vector.
        latency_s: From acquisition to arrival, as `ddpm calibrate-latency` measured; 0: unknown.
        rule: What to do when it cannot be used.
    """

    spec: StreamSpec
    topic: str
    type: str
    max_age_s: float
    field: str = "position"
    fields: tuple[MessageField, ...] = ()
    prefixes: tuple[tuple[str, str], ...] = ()
    frames: tuple[str, str] | None = None
    units: tuple[str, ...] = ()
    message_size: tuple[int, int] = (0, 0)
    crop: tuple[int, int, int, int] | None = None
    camera_info: str = ""
    latency_s: float = 0.0
    rule: StreamRule = _HOLD

    def __post_init__(self) -> None:
        if self.max_age_s <= self.latency_s:
            raise ValueError(
                f"stream {self.spec.name!r}: max_age_s {self.max_age_s} must be above latency_s "
                f"{self.latency_s}: else it is stale when it comes"
            )
        if self.crop is not None:
            self._check_crop(*self.crop)

    def _check_crop(self, top: int, left: int, height: int, width: int) -> None:
        rows, columns = self.message_size
        if top + height > rows or left + width > columns:
            raise ValueError(
                f"stream {self.spec.name!r}: crop [{top}, {left}, {height}, {width}] (top, left, "
                f"height, width) ends at row {top + height} and column {left + width}, the "
                f"message has {rows} x {columns}"
            )

    @property
    def is_text(self) -> bool:
        """Whether its messages are sentences, latched and without a stamp."""
        return self.type == STRING

    @property
    def is_stamped(self) -> bool:
        """Whether its messages have a header; a transform has one for each link."""
        return not (self.is_text or self.frames or self.counts_from_arrival)

    @property
    def counts_from_arrival(self) -> bool:
        """Whether its values have no other time than that of their arrival."""
        return self.type in WITHOUT_STAMP

    @property
    def sources(self) -> "tuple[StreamSource, ...]":
        """The topics that it comes from."""
        if self.frames:
            static = StreamSource(self, f"{self.topic}_static", is_static=True)
            return StreamSource(self, self.topic), static
        prefixes = self.prefixes or ((self.topic, ""),)
        return tuple(StreamSource(self, *each) for each in prefixes)

    @property
    def seen_part(self) -> tuple[int, int, int, int]:
        """Top, left, height and width of the part of an image message that a policy sees."""
        return self.crop or (0, 0, *self.message_size)

    @property
    def conversions(self) -> str:
        """Which numbers become SI, in words; empty where all are in SI."""
        names = self.spec.names
        return conversions_text(self.spec.name, names, self.units) if self.units else ""

    def in_si(self, values: np.ndarray) -> np.ndarray:
        """Return values (D,) of a message in the units of ``spec``."""
        return values if self._scales is None else values * self._scales

    @cached_property
    def _scales(self) -> np.ndarray | None:
        names = self.spec.names
        scales = np.array([unit_of(*each).scale for each in zip(names, self.units, strict=False)])
        return None if (scales == 1.0).all() else scales


@dataclass(frozen=True)
class StreamSource:
    """One topic of a stream.

    Attributes:
        stream: The stream.
        topic: Relative topic name.
        prefix: Stands before the joints of its messages in the names of the stream.
        is_static: It has the links that do not move, of a stream of frames.
    """

    stream: RobotStream
    topic: str
    prefix: str = ""
    is_static: bool = False


def stream_from(name: str, file: AnyStreamFile) -> RobotStream:
    """Return a stream as a robot file has it.

    Raises:
        ValueError: It breaks a rule; with its name.
    """
    try:
        if isinstance(file, TextFile):
            return _text(name, file)
        if isinstance(file, FieldsFile | TransformFile):
            return _fields(name, file)
        return _joints(name, file) if file.type == JOINT_STATE else _image(name, file)
    except (FieldError, RotationError) as error:
        raise ValueError(f"stream {name!r}: {file.type}: {error}") from None


def refuse_measuring(streams: Sequence[RobotStream], action: ActionSpec) -> None:
    """Refuse a stream as the one that measures the joints where it cannot be."""
    found = measuring([each.spec for each in streams], action)
    for stream in streams:
        spec = stream.spec
        if found is None or spec not in found.streams:
            continue
        if stream.rule.masks:
            raise ValueError(
                f"stream {spec.name!r} measures the commanded joints and cannot be masked: "
                "when_stale must be hold or stop"
            )
        measured = [name for name in action.measured_names if name in spec.names]
        is_motion = stream.fields and spec.units_of(measured) & _OF_MOTION
        if stream.field != "position" or is_motion:
            what = stream.field if stream.field != "position" else "motion"
            raise ValueError(
                f"stream {spec.name!r} has the {what} of the commanded joints in units "
                f"{list(spec.units)}, and would count as their position: give it its own units, "
                "as rad/s, and have a stream of their field position"
            )


def refuse_topics(streams: Sequence[RobotStream]) -> None:
    """Refuse a topic with two types; several streams of one type share it."""
    types: dict[str, str] = {}
    for stream in streams:
        for source in stream.sources:
            other = types.setdefault(source.topic, stream.type)
            if other != stream.type:
                raise ValueError(
                    f"stream {stream.spec.name!r}: topic {source.topic} has type {stream.type} "
                    f"here and {other} in another stream; a topic has one type"
                )


def _text(name: str, file: TextFile) -> RobotStream:
    number = file.text_features
    spec = StreamSpec(name, "vector", (number,), 0.0, text_names(number), ("1",) * number)
    rule = StreamRule(file.when_stale)
    return RobotStream(spec, file.topic, file.type, math.inf, field="data", rule=rule)


def _joints(name: str, file: StreamFile) -> RobotStream:
    if not file.names:
        raise ValueError(f"stream {name!r}: names is empty: name the joints that are observed")
    if file.wraps and file.field != "position":
        raise ValueError(f"stream {name!r}: wraps is for positions, not for {file.field}")
    _refuse_image_fields(name, file)
    return RobotStream(
        _vector(name, file, file.names, file.units),
        next(iter(file.topics)) if file.topics else str(file.topic),
        file.type,
        file.max_age_s,
        file.field,
        prefixes=tuple((file.topics or {}).items()),
        units=file.units,
        latency_s=file.latency_s,
        rule=StreamRule(file.when_stale),
    )


def _vector(
    name: str,
    file: StreamFile | FieldsFile | TransformFile,
    names: Sequence[str],
    units: Sequence[str],
) -> StreamSpec:
    """Return a vector as a policy sees it: in SI."""
    si = tuple(
        unit_of(f"stream {name!r}: {names[i] if i < len(names) else i}", unit).si
        for i, unit in enumerate(units)
    )
    wraps = () if isinstance(file, TransformFile) else file.wraps
    return StreamSpec(name, "vector", (len(names),), file.rate_hz, tuple(names), si, wraps)


def _fields(name: str, file: FieldsFile | TransformFile) -> RobotStream:
    structure, frames = STRUCTURES.get(file.type, TRANSFORM), None
    if isinstance(file, TransformFile):
        frames = (_frame(file.tf.parent), _frame(file.tf.child))
    fields = fields_of(structure, file.fields or (), normalized(file.reference))
    own_names = tuple(each for field in fields for each in field.names)
    names = file.names or own_names
    if len(names) != len(own_names):
        raise ValueError(
            f"stream {name!r}: {len(names)} names for {len(own_names)} numbers, which are "
            f"{list(own_names)}"
        )
    units = _units_of(name, own_names, fields, file.units)
    return RobotStream(
        _vector(name, file, names, units),
        file.topic,
        file.type,
        file.max_age_s,
        fields=fields,
        frames=frames,
        units=units,
        latency_s=file.latency_s,
        rule=StreamRule(file.when_stale),
    )


def _frame(name: str) -> str:
    """Return a frame without the slash that older drivers put in front."""
    return name.removeprefix("/")


def _units_of(
    stream: str,
    names: Sequence[str],
    fields: Sequence[MessageField],
    given: tuple[str, ...] | None,
) -> tuple[str, ...]:
    """Return the unit of each number in the messages: the given one, or the message type's."""
    own = [field.unit for field in fields for _ in field.names]
    if given is None:
        if open_ones := [each for each, unit in zip(names, own, strict=True) if unit is None]:
            raise ValueError(
                f"stream {stream!r}: the message type leaves the unit of {open_ones} open: give "
                "units, one for each number, 1 for a number without one"
            )
        return tuple(str(unit) for unit in own)
    if len(given) != len(names):
        raise ValueError(
            f"stream {stream!r}: {len(given)} units for {len(names)} numbers, which are "
            f"{list(names)}"
        )
    for each, unit, quantity in zip(names, given, own, strict=True):
        unit_of(f"stream {stream!r}: {each}", unit, quantity)
    return given


def _image(name: str, file: StreamFile) -> RobotStream:
    if file.height is None or file.width is None:
        raise ValueError(f"stream {name!r}: an image needs height and width of its messages")
    topic = str(file.topic)
    size = (file.height, file.width)
    shape = (*(file.resize or (file.crop or size)[-2:]), 3)
    spec = StreamSpec(name, "image", shape, file.rate_hz, depth_range_m=file.depth_range_m)
    frozen_s = FROZEN_AFTER_S if file.frozen_after_s is None else file.frozen_after_s
    return RobotStream(
        spec,
        topic,
        file.type,
        file.max_age_s,
        message_size=size,
        crop=file.crop,
        camera_info=file.camera_info or camera_info_of(topic),
        latency_s=file.latency_s,
        rule=StreamRule(file.when_stale, frozen_s),
    )


def camera_info_of(topic: str) -> str:
    """Return the topic of the calibration of an image topic, as image_transport names it.

    It is beside the image, whose transports (``.../compressed``) are below the image topic.
    """
    image, _, transport = topic.rpartition("/")
    if transport not in ("compressed", "compressedDepth"):
        image = topic
    beside, _, _ = image.rpartition("/")
    return f"{beside}/camera_info" if beside or topic.startswith("/") else "camera_info"


def _refuse_image_fields(name: str, file: StreamFile) -> None:
    for field_name, given in (
        ("frozen_after_s", file.frozen_after_s),
        ("crop", file.crop),
        ("depth_range_m", file.depth_range_m),
        ("camera_info", file.camera_info),
    ):
        if given is not None:
            raise ValueError(f"stream {name!r}: {field_name} is for images")
