"""What the robot is: its robot file as read, and the joint limits of its URDF."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from ddpm_controller.control.moving.boxed_arm import BoxedArm, CartesianBox
from ddpm_controller.control.moving.cartesian_box import governor_of
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.control.observing.stream_rules import StreamRule
from ddpm_controller.data.text_features import text_names
from ddpm_controller.robots.cartesian_limits import cartesian_limits
from ddpm_controller.robots.commanded_limits import commanded_limits
from ddpm_controller.robots.given_limits import GivenLimits
from ddpm_controller.robots.joint_limits_file import read_given_limits
from ddpm_controller.robots.lined_yaml import read_lined_yaml
from ddpm_controller.robots.outputs import (
    JOINT_STATE,
    JOINT_TRAJECTORY,
    RobotOutput,
    outputs_from,
    spec_of,
)
from ddpm_controller.robots.robot_description import DescriptionError, described_joints
from ddpm_controller.robots.robot_file import KEYS, RobotFile, StreamFile, TextFile
from ddpm_controller.types import ActionKind, ActionSpec, StreamSpec, measuring

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
FROZEN_AFTER_S = 0.5
"""Rate of a camera, where the robot file has none."""
STRING = "std_msgs/msg/String"
COMMANDS_TOPIC = "controller/command"
"""Where a controller publishes its commands whole, if no single output has all of them."""

_HOLD = StreamRule()
_UNKNOWN_LATENCY_S = 0.1
"""From a command to the motion, where the robot file does not have it."""


class RobotError(ValueError):
    """The robot file or the robot description cannot be used."""


@dataclass(frozen=True)
class RobotStream:
    """One observation stream and where it comes from.

    Attributes:
        spec: The stream as the policy sees it.
        topic: Relative topic name.
        type: Full message type name.
        max_age_s: Older than this it is stale; infinite for a text, which is published once.
        field: Field of a JointState that is observed.
        message_size: (height, width) of an image message; (0, 0) of a vector.
        crop: Top, left, height and width of the part of the message that is kept; None: all.
        latency_s: From acquisition to arrival, as `ddpm calibrate-latency` measured; 0: unknown.
        rule: What to do when it cannot be used.
    """

    spec: StreamSpec
    topic: str
    type: str
    max_age_s: float
    field: str = "position"
    message_size: tuple[int, int] = (0, 0)
    crop: tuple[int, int, int, int] | None = None
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


@dataclass(frozen=True)
class Robot:
    """A robot file, validated.

    Attributes:
        name: Name of the robot.
        streams: In the order in which a policy takes them.
        outputs: What is commanded, one for each topic.
        period_s: Time between two rows of a plan; the policy's own clock.
        given_limits: Joint -> limits from the joint-limits file; empty without one.
        limits_file: The joint-limits file; None without one.
        end_effector: Link of the robot description whose path is looked at; empty: the last one.
        box: What the end effector must not leave, in the frame of the root link; None: no box.
    """

    name: str
    streams: tuple[RobotStream, ...]
    outputs: tuple[RobotOutput, ...]
    period_s: float
    given_limits: Mapping[str, GivenLimits] = field(default_factory=dict)
    limits_file: Path | None = None
    end_effector: str = ""
    box: CartesianBox | None = None

    def limits(self, urdf: str) -> JointLimits:
        """Return the limits of the commanded joints, and of the end effector.

        Args:
            urdf: Text of robot_description.

        Raises:
            RobotError: See ``joint_limits``; or there is no such end effector, or a joint of
                ``wraps`` has position limits.
        """
        spec = self.action_spec
        names = spec.joint_names
        limits = joint_limits(urdf, names, self.given_limits, spec.kinds, spec.units)
        self._refuse_bounded(limits)
        if spec.are_velocities.any():
            limits = limits.commanding_velocities(spec.are_velocities, self._late_s)
        if self.box is None:
            return limits
        if set(spec.kinds) != {"joint_position"}:
            raise RobotError(
                f"end_effector_box is for positions of joints, the action has {set(spec.kinds)}: "
                "leave it out; the box of a pose are min_position and max_position of x, y and z "
                "in the joint-limits file"
            )
        limits = replace(limits, arm=BoxedArm(self.box, urdf, names, self.end_effector))
        try:
            governor_of(limits, 1.0)
        except ValueError as error:
            raise RobotError(f"end_effector_box: {error}") from None
        return limits

    @property
    def _late_s(self) -> float:
        """Longest time by which a measured position is behind what was sent."""
        found = measuring(self.stream_specs, self.action_spec)
        names = () if found is None else found.names
        ages_s = [
            each.latency_s + 1.0 / each.spec.rate_hz
            for each in self.streams
            if each.spec.name in names
        ]
        return (self.latency_s or _UNKNOWN_LATENCY_S) + max(ages_s, default=0.0)

    def _refuse_bounded(self, limits: JointLimits) -> None:
        wraps = {name for stream in self.streams for name in stream.spec.wraps}
        bounded = np.isfinite(limits.lower) | np.isfinite(limits.upper)
        found = [
            name
            for name, is_bounded in zip(self.action_spec.joint_names, bounded, strict=True)
            if is_bounded and name in wraps
        ]
        if found:
            raise RobotError(
                f"{found} are in wraps of the robot file, but have position limits in "
                "robot_description or the joint-limits file: remove them from wraps, or make them "
                "continuous without position limits"
            )

    def with_limits_file_read_again(self) -> "Robot":
        """Return the same robot with the joint-limits file as it is now.

        Raises:
            JointLimitsFileError: As ``read_given_limits``.
        """
        if self.limits_file is None:
            return self
        return replace(self, given_limits=read_given_limits(self.limits_file))

    @property
    def stream_specs(self) -> tuple[StreamSpec, ...]:
        """The streams as a policy sees them."""
        return tuple(stream.spec for stream in self.streams)

    @property
    def streams_of_topics(self) -> dict[str, tuple[RobotStream, ...]]:
        """Topic -> its streams; a topic of joint states may have several, of other fields."""
        topics = dict.fromkeys(stream.topic for stream in self.streams)
        return {topic: tuple(s for s in self.streams if s.topic == topic) for topic in topics}

    @property
    def measuring(self) -> RobotStream:
        """The stream that measures the commanded joints; of several the slowest.

        Raises:
            RobotError: There is none.
        """
        found = measuring(self.stream_specs, self.action_spec)
        names = () if found is None else found.names
        streams = [stream for stream in self.streams if stream.spec.name in names]
        if streams:
            return min(streams, key=lambda stream: stream.spec.rate_hz)
        raise RobotError(
            f"no stream measures all of {list(self.action_spec.measured_names)}; streams: "
            f"{ {each.name: list(each.names) for each in self.stream_specs} }"
        )

    @property
    def action_spec(self) -> ActionSpec:
        """The action as a policy sees it: the columns of all outputs."""
        return spec_of(self.outputs, self.period_s)

    @property
    def latency_s(self) -> float:
        """From sending to the motion; the longest of the outputs, 0 where unknown."""
        return max(output.latency_s for output in self.outputs)

    @property
    def commands_topic(self) -> str:
        """Topic on which all columns of each command are recorded, with their moment.

        That of the only output where it is a trajectory; else the controller has one for this.
        """
        is_whole = len(self.outputs) == 1 and self.outputs[0].type == JOINT_TRAJECTORY
        return self.outputs[0].topic if is_whole else COMMANDS_TOPIC

    @property
    def max_ages_s(self) -> dict[str, float]:
        """Stream name -> maximum age, s."""
        return {stream.spec.name: stream.max_age_s for stream in self.streams}

    @property
    def rules(self) -> dict[str, StreamRule]:
        """Stream name -> what to do when it cannot be used."""
        return {stream.spec.name: stream.rule for stream in self.streams}


def load_robot(path: str | Path) -> Robot:
    """Read and validate a robot file.

    Raises:
        RobotError: The file is missing, is not YAML, or breaks a rule; with the path and the rule.
    """
    path = Path(path).expanduser()
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise RobotError(f"robot file {path}: {error.strerror}") from None
    try:
        lined = read_lined_yaml(text)
        file = RobotFile.model_validate(lined.content)
        streams = tuple(_stream(name, stream) for name, stream in file.streams.items())
        outputs, period_s = outputs_from(file.outputs)
        given_box = file.end_effector_box
        box = None if given_box is None else CartesianBox(given_box.lower, given_box.upper)
        _refuse_measuring(streams, spec_of(outputs, period_s))
        _refuse_topics(streams)
        limits_file = path.parent / file.joint_limits if file.joint_limits is not None else None
        given = read_given_limits(limits_file) if limits_file is not None else {}
    except ValidationError as error:
        raise RobotError(f"robot file {path}: {lined.problems(error, KEYS)}") from None
    except ValueError as error:
        raise RobotError(f"robot file {path}: {error}") from None
    return Robot(
        file.robot, streams, outputs, period_s, given, limits_file, file.end_effector, box
    )


def joint_limits(
    urdf: str,
    joint_names: Sequence[str],
    given: Mapping[str, GivenLimits] | None = None,
    kinds: Sequence[ActionKind] = (),
    units: Sequence[str] = (),
) -> JointLimits:
    """Return the limits of ``joint_names`` from a URDF and a joint-limits file.

    The stricter of both counts. Acceleration and jerk are derived as in ``JointLimits`` where
    neither gives them.

    Args:
        urdf: Text of robot_description.
        joint_names: Order of the result.
        given: From the joint-limits file, as ``Robot.given_limits``.
        kinds: Kind of each; none: joints. A column of a twist or a pose has its limits in the
            file alone.
        units: Unit of each, where there are kinds.

    Raises:
        RobotError: Not a URDF, a joint or one of its limits is missing, a joint cannot be
            commanded, or they contradict; with the line.
    """
    try:
        rows = _given_limits(urdf, joint_names, given or {}, kinds, units)
        return JointLimits(
            np.array([each.min_position for each in rows]),
            np.array([each.max_position for each in rows]),
            np.array([each.max_velocity for each in rows]),
            np.array([each.max_acceleration for each in rows]),
            np.array([each.max_jerk for each in rows]),
            np.array([each.max_step_from_measured for each in rows]),
            np.array([each.follow_tolerance for each in rows], dtype=np.float64),
        )
    except DescriptionError as error:
        raise RobotError(str(error)) from None


def _given_limits(
    urdf: str,
    names: Sequence[str],
    given: Mapping[str, GivenLimits],
    kinds: Sequence[ActionKind],
    units: Sequence[str],
) -> list[GivenLimits]:
    free = {
        name: cartesian_limits(name, kind, unit, given)
        for name, kind, unit in zip(names, kinds, units, strict=len(kinds) > 0)
        if kind in ("twist", "pose")
    }
    joints = [name for name in names if name not in free]
    of_joints = {key: limits for key, limits in given.items() if key not in free}
    found = commanded_limits(described_joints(urdf), joints, of_joints) if joints else []
    rows = dict(zip(joints, found, strict=True)) | free
    return [rows[name] for name in names]


def continuous_joints(urdf: str, joint_names: Sequence[str]) -> tuple[str, ...]:
    """Return which joints a robot description calls continuous; none without a description."""
    if not urdf:
        return ()
    joints = described_joints(urdf)
    return tuple(name for name in joint_names if name in joints and joints[name].is_continuous)


def _refuse_measuring(streams: Sequence[RobotStream], action: ActionSpec) -> None:
    """Refuse a stream as the one that measures the joints where it cannot be."""
    found = measuring([each.spec for each in streams], action)
    for stream in streams:
        spec = stream.spec
        if found is None or spec not in found.streams:
            continue
        if stream.rule.when_stale == "mask":
            raise ValueError(
                f"stream {spec.name!r} measures the commanded joints and cannot be masked: "
                "when_stale must be hold or stop"
            )
        if stream.field != "position":
            raise ValueError(
                f"stream {spec.name!r} has the {stream.field} of the commanded joints in units "
                f"{list(spec.units)}, and would count as their position: give it its own units, "
                "as rad/s, and have a stream of their field position"
            )


def _refuse_topics(streams: Sequence[RobotStream]) -> None:
    """Refuse a topic with two types; several streams of one type share it."""
    types: dict[str, str] = {}
    for stream in streams:
        other = types.setdefault(stream.topic, stream.type)
        if other != stream.type:
            raise ValueError(
                f"stream {stream.spec.name!r}: topic {stream.topic} has type {stream.type} here "
                f"and {other} in another stream; a topic has one type"
            )


def _refuse_image_fields(name: str, file: StreamFile) -> None:
    for field_name, given in (
        ("frozen_after_s", file.frozen_after_s),
        ("crop", file.crop),
        ("depth_range_m", file.depth_range_m),
    ):
        if given is not None:
            raise ValueError(f"stream {name!r}: {field_name} is for images")


def _stream(name: str, file: StreamFile | TextFile) -> RobotStream:
    if isinstance(file, TextFile):
        number = file.text_features
        spec = StreamSpec(name, "vector", (number,), 0.0, text_names(number), ("1",) * number)
        rule = StreamRule(file.when_stale)
        return RobotStream(spec, file.topic, file.type, math.inf, field="data", rule=rule)
    if file.type == JOINT_STATE:
        spec = StreamSpec(
            name, "vector", (len(file.names),), file.rate_hz, file.names, file.units, file.wraps
        )
        if file.wraps and file.field != "position":
            raise ValueError(f"stream {name!r}: wraps is for positions, not for {file.field}")
        _refuse_image_fields(name, file)
        rule = StreamRule(file.when_stale)
        return RobotStream(
            spec,
            file.topic,
            file.type,
            file.max_age_s,
            file.field,
            latency_s=file.latency_s,
            rule=rule,
        )
    if file.height is None or file.width is None:
        raise ValueError(f"stream {name!r}: an image needs height and width of its messages")
    size = (file.height, file.width)
    shape = (*(file.resize or (file.crop or size)[-2:]), 3)
    spec = StreamSpec(name, "image", shape, file.rate_hz, depth_range_m=file.depth_range_m)
    frozen_s = FROZEN_AFTER_S if file.frozen_after_s is None else file.frozen_after_s
    rule = StreamRule(file.when_stale, frozen_s)
    return RobotStream(
        spec,
        file.topic,
        file.type,
        file.max_age_s,
        message_size=size,
        crop=file.crop,
        latency_s=file.latency_s,
        rule=rule,
    )
