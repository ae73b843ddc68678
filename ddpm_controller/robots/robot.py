"""What the robot is: its robot file as read, and the joint limits of its URDF."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from ddpm_controller.control.moving.boxed_arm import BoxedArm, CartesianBox
from ddpm_controller.control.moving.cartesian_box import governor_of
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.control.observing.stream_rules import StreamRule
from ddpm_controller.given_files import file_text
from ddpm_controller.messages.units import refuse_command_units
from ddpm_controller.robots.commanded_limits import cartesian_limits, commanded_limits
from ddpm_controller.robots.given_limits import GivenLimits
from ddpm_controller.robots.joint_limits_file import read_given_limits
from ddpm_controller.robots.lined_yaml import read_lined_yaml
from ddpm_controller.robots.output_files import outputs_from
from ddpm_controller.robots.outputs import JOINT_TRAJECTORY, RobotOutput, spec_of
from ddpm_controller.robots.robot_description import DescriptionError, described_joints
from ddpm_controller.robots.robot_file import KEYS, RecordingRules, RobotFile
from ddpm_controller.robots.streams import (
    RobotStream,
    StreamSource,
    refuse_measuring,
    refuse_topics,
    stream_from,
)
from ddpm_controller.types import ActionKind, ActionSpec, StreamSpec, measuring

DESCRIPTION = "robot_description"
"""Topic of the robot description, where the robot file names none."""
COMMANDS_TOPIC = "controller/command"
"""Where a controller publishes its commands whole, if no single output has all of them."""

_UNKNOWN_LATENCY_S = 0.1
"""From a command to the motion, where the robot file does not have it."""


class RobotError(ValueError):
    """The robot file or the robot description cannot be used."""


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
        stand: Position to which a stop leads each joint, in the order of the action, of a robot
            that would fall where it stops; empty: it rests where it stops.
        recordings: How its recordings are read.
        descriptions: Topic of a robot description -> prefix of its joints and links.
    """

    name: str
    streams: tuple[RobotStream, ...]
    outputs: tuple[RobotOutput, ...]
    period_s: float
    given_limits: Mapping[str, GivenLimits] = field(default_factory=dict)
    limits_file: Path | None = None
    end_effector: str = ""
    box: CartesianBox | None = None
    stand: tuple[float, ...] = ()
    recordings: RecordingRules = field(default_factory=RecordingRules)
    descriptions: Mapping[str, str] = field(default_factory=lambda: {DESCRIPTION: ""})

    def limits(self, urdf: str) -> JointLimits:
        """Return the limits of the commanded joints, and of the end effector.

        Args:
            urdf: Text of robot_description; of several ``Descriptions.text``.

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
        if self.stand:
            try:
                limits = replace(limits, stand=np.array(self.stand))
            except ValueError as error:
                raise RobotError(str(error)) from None
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
    def conversions(self) -> tuple[str, ...]:
        """Which numbers of messages become SI, a line for each stream with one."""
        return tuple(each.conversions for each in self.streams if each.conversions)

    @property
    def sources_of_topics(self) -> Mapping[str, tuple[StreamSource, ...]]:
        """Topic -> the streams that it brings; it may be several, of other fields."""
        sources = [source for stream in self.streams for source in stream.sources]
        topics = dict.fromkeys(source.topic for source in sources)
        return {topic: tuple(s for s in sources if s.topic == topic) for topic in topics}

    @property
    def measuring(self) -> RobotStream:
        """The stream that measures the commanded joints; of several the slowest.

        Raises:
            RobotError: There is none.
        """
        if streams := self.measuring_streams:
            return min(streams, key=lambda stream: stream.spec.rate_hz)
        raise RobotError("what is commanded is not measured: a twist has no place")

    @property
    def measuring_streams(self) -> tuple[RobotStream, ...]:
        """The streams that measure what is commanded; none where it is a twist alone.

        Raises:
            RobotError: A commanded joint is measured by no stream.
        """
        found = measuring(self.stream_specs, self.action_spec)
        if found is not None:
            return tuple(each for each in self.streams if each.spec.name in found.names)
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
        text = file_text(path)
    except OSError as error:
        raise RobotError(f"robot file {path}: {error.strerror}") from None
    except ValueError as error:
        raise RobotError(f"robot file {path}: {error}") from None
    try:
        lined = read_lined_yaml(text)
        file = RobotFile.model_validate(lined.content)
        streams = tuple(stream_from(name, stream) for name, stream in file.streams.items())
        outputs, period_s = outputs_from(file.outputs)
        given_box = file.end_effector_box
        box = None if given_box is None else CartesianBox(given_box.lower, given_box.upper)
        spec = spec_of(outputs, period_s)
        refuse_command_units(spec.joint_names, spec.units)
        refuse_measuring(streams, spec)
        refuse_topics(streams)
        limits_file = path.parent / file.joint_limits if file.joint_limits is not None else None
        given = read_given_limits(limits_file) if limits_file is not None else {}
        stand = _stand(file.stand or {}, outputs)
    except ValidationError as error:
        raise RobotError(f"robot file {path}: {lined.problems(error, KEYS)}") from None
    except ValueError as error:
        raise RobotError(f"robot file {path}: {error}") from None
    return Robot(
        file.robot,
        streams,
        outputs,
        period_s,
        given,
        limits_file,
        file.end_effector,
        box,
        stand,
        file.recordings,
        dict(file.descriptions),
    )


def _stand(given: Mapping[str, float], outputs: Sequence[RobotOutput]) -> tuple[float, ...]:
    """Return the stand in the order of the action; empty where none is given.

    Raises:
        ValueError: It is not of all commanded joints, or they are commanded by trajectories.
    """
    names = [name for each in outputs for name in each.names]
    if given and sorted(given) != sorted(names):
        raise ValueError(f"stand is for {sorted(given)}, the commanded joints are {sorted(names)}")
    if given and any(each.type == JOINT_TRAJECTORY for each in outputs):
        raise ValueError(
            "stand: a trajectory ends at rest where it is, and that comes too late for a robot on "
            "legs: send positions as sensor_msgs/msg/JointState or std_msgs/msg/Float64MultiArray"
        )
    return tuple(given[name] for name in names) if given else ()


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
