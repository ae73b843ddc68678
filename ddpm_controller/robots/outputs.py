"""The outputs of a robot: which columns of an action go to which topic, and as what message."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ddpm_controller.control.gripper import GripperRule
from ddpm_controller.messages.rotation_vectors import quaternion_from
from ddpm_controller.types import ActionKind, ActionSpec, RelativeTo

JOINT_STATE = "sensor_msgs/msg/JointState"
JOINT_TRAJECTORY = "trajectory_msgs/msg/JointTrajectory"
MULTI_ARRAY = "std_msgs/msg/Float64MultiArray"
FLOAT64 = "std_msgs/msg/Float64"
TWIST = "geometry_msgs/msg/Twist"
TWIST_STAMPED = "geometry_msgs/msg/TwistStamped"
POSE_STAMPED = "geometry_msgs/msg/PoseStamped"
GRIPPER_COMMAND = "control_msgs/action/GripperCommand"
PARALLEL_GRIPPER_COMMAND = "control_msgs/action/ParallelGripperCommand"

ACTIONS = frozenset({GRIPPER_COMMAND, PARALLEL_GRIPPER_COMMAND})
"""Types whose commands are goals of an action, not messages on a topic."""
STAMPED = frozenset({JOINT_TRAJECTORY, JOINT_STATE, TWIST_STAMPED, POSE_STAMPED})
"""Types whose messages carry the moment that they are for."""
SINGLE = frozenset({FLOAT64, *ACTIONS})
"""Types whose commands have one number."""
TYPES: dict[ActionKind, tuple[str, ...]] = {
    "joint_position": (
        JOINT_TRAJECTORY,
        MULTI_ARRAY,
        FLOAT64,
        JOINT_STATE,
        GRIPPER_COMMAND,
        PARALLEL_GRIPPER_COMMAND,
    ),
    "joint_velocity": (MULTI_ARRAY, FLOAT64, JOINT_STATE),
    "twist": (TWIST, TWIST_STAMPED),
    "pose": (POSE_STAMPED,),
}
"""Kind of action -> types of message that carry it."""
RecordedSource = Literal["commands", "measured", "leader"]
"""What is learned as the action: commands, or where the joints or those of a leader were."""
TWIST_NAMES = tuple(f"{part}.{axis}" for part in ("linear", "angular") for axis in "xyz")
"""Names of the columns of a twist; those that are not named are sent as 0."""
POSE_NAMES = ("x", "y", "z", "rx", "ry", "rz")
"""Names of the columns of a pose: a place and a rotation vector."""

ACTION_RATE_HZ = 10.0
"""Goals of an action per second at most, where the robot file names no rate."""


@dataclass(frozen=True)
class RobotOutput:
    """The columns of an action that leave as one message.

    Attributes:
        name: Name among the outputs of the robot.
        topic: Relative name of the topic, or of the action.
        type: Full type name.
        names: Columns, in order.
        units: Unit of each column.
        kind: What the columns command.
        rate_hz: Rate at which it is published; None: at every tick.
        latency_s: From sending to the motion, as `ddpm calibrate-latency` measured; 0: unknown.
        relative_to: What the columns are learned relative to.
        frame_id: Frame of a twist or a pose.
        reference: Orientation x, y, z, w that the rotation vector of a pose counts from.
        gripper: When a changed position is sent; None: always.
        prefix: What the names have in front and those of its messages have not.
        recorded_topic: Topic from which its commands are learned; empty: as they are sent.
        recorded_type: Type of that topic.
        recorded_source: What its messages are.
        recorded_delay_s: Time by which the robot followed a leader; None: it is estimated.
    """

    name: str
    topic: str
    type: str
    names: tuple[str, ...]
    units: tuple[str, ...]
    kind: ActionKind = "joint_position"
    rate_hz: float | None = None
    latency_s: float = 0.0
    relative_to: RelativeTo = "none"
    frame_id: str = ""
    reference: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 1.0)
    gripper: GripperRule | None = None
    prefix: str = ""
    recorded_topic: str = ""
    recorded_type: str = ""
    recorded_source: RecordedSource = "commands"
    recorded_delay_s: float | None = None

    def __post_init__(self) -> None:
        if self.recorded_source != "commands" and self.kind != "joint_position":
            raise ValueError(
                f"action {self.name!r}: recorded: source {self.recorded_source} has positions of "
                f"joints, the kind is {self.kind}: use source commands"
            )
        if self.type not in TYPES[self.kind]:
            raise ValueError(
                f"action {self.name!r}: kind {self.kind} cannot be sent as {self.type}; use one "
                f"of {list(TYPES[self.kind])}"
            )
        if self.type in SINGLE and len(self.names) != 1:
            raise ValueError(
                f"action {self.name!r}: {self.type} commands one joint, got {list(self.names)}: "
                "give each joint an action of its own"
            )
        if self.gripper is not None and len(self.names) != 1:
            raise ValueError(
                f"action {self.name!r}: dead_band, binary and max_effort are for one joint, got "
                f"{list(self.names)}: give the gripper an action of its own"
            )
        if self.gripper is not None and self.type == JOINT_TRAJECTORY:
            raise ValueError(
                f"action {self.name!r}: a trajectory is followed point by point, so dead_band, "
                "binary and max_effort are not for it: remove them"
            )
        without = [name for name in self.names if not name.startswith(self.prefix)]
        if without:
            raise ValueError(
                f"action {self.name!r}: names must begin with prefix {self.prefix!r}, got "
                f"{without}"
            )
        if self.kind == "twist":
            self._refuse_names(TWIST_NAMES)
        if self.kind == "pose" and tuple(map(component, self.names)) != POSE_NAMES:
            raise ValueError(
                f"action {self.name!r}: names of a pose must be {list(POSE_NAMES)}, got "
                f"{list(self.names)}"
            )

    def _refuse_names(self, allowed: Sequence[str]) -> None:
        wrong = [name for name in self.names if component(name) not in allowed]
        if wrong:
            raise ValueError(
                f"action {self.name!r}: names of a {self.kind} must be among {list(allowed)}, "
                f"got {wrong}"
            )

    @property
    def message_names(self) -> tuple[str, ...]:
        """Names of the columns as its messages and its controller have them."""
        return tuple(name.removeprefix(self.prefix) for name in self.names)

    @property
    def is_action(self) -> bool:
        """Whether its commands are goals of an action."""
        return self.type in ACTIONS

    @property
    def follows(self) -> bool:
        """Whether what is commanded is followed at once, so that its latency can be measured."""
        return self.kind == "joint_position" and self.gripper is None

    @property
    def is_demonstrated(self) -> bool:
        """Whether its actions are learned from where joints were, not from commands."""
        return self.recorded_source != "commands"

    @property
    def is_measured(self) -> bool:
        """Whether they are learned from where its own joints were."""
        return self.recorded_source == "measured"

    @property
    def mirror_topic(self) -> str:
        """Topic on which the goals of an action are shown, as a recording has no goals."""
        return f"{self.topic}/command"

    @property
    def in_bags(self) -> tuple[str, str]:
        """Topic and type of its commands in a recording; goals of an action are mirrored."""
        if self.recorded_topic:
            return self.recorded_topic, self.recorded_type
        return (self.mirror_topic, JOINT_STATE) if self.is_action else (self.topic, self.type)


def component(name: str) -> str:
    """Return the axis of a column of a twist or a pose; ``left/linear.x`` is ``linear.x``."""
    return name.rsplit("/", 1)[-1]


def numbers_of(output: RobotOutput, position: np.ndarray) -> np.ndarray:
    """Return the numbers that stand in a row in the message of ``position`` (D,)."""
    if output.kind == "twist":
        named = dict(zip(map(component, output.names), position, strict=True))
        return np.array([named.get(name, 0.0) for name in TWIST_NAMES])
    if output.kind == "pose":
        turn = quaternion_from(position[3:], np.array(output.reference))
        return np.concatenate([position[:3], turn])
    return np.asarray(position, dtype=np.float64)


def columns_of(outputs: Sequence[RobotOutput]) -> dict[str, slice]:
    """Return name of an output -> its columns of an action."""
    found, begin = {}, 0
    for output in outputs:
        found[output.name] = slice(begin, begin + len(output.names))
        begin += len(output.names)
    return found


def spec_of(outputs: Sequence[RobotOutput], period_s: float) -> ActionSpec:
    """Return the action whose columns are those of all outputs, in order.

    Raises:
        ValueError: Two columns have the same name, or a unit is missing.
    """
    for each in outputs:
        if len(each.names) != len(each.units):
            raise ValueError(
                f"action {each.name!r}: {len(each.names)} names but {len(each.units)} units"
            )
    return ActionSpec(
        tuple(name for each in outputs for name in each.names),
        tuple(unit for each in outputs for unit in each.units),
        period_s,
        tuple(each.kind for each in outputs for _ in each.names),
        tuple(each.relative_to for each in outputs for _ in each.names),
    )
