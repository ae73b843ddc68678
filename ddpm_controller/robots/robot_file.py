"""What may stand in a robot file, config/robots/<robot>.yaml. No rclpy."""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    field_validator,
    model_validator,
)

from ddpm_controller.robots.stream_file import STREAM_FILES, AnyStreamFile, Latency
from ddpm_controller.types import ActionKind, RelativeTo

_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class BinaryFile(BaseModel):
    """A gripper that is only ever sent to two places, with a hysteresis between them.

    Attributes:
        open: Position that is sent to open it, in the unit of the joint.
        closed: Position that is sent to close it.
        close_above: Share of the way from open to closed above which it closes.
        open_below: Share of that way below which it opens.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    open: FiniteFloat
    closed: FiniteFloat
    close_above: FiniteFloat = 0.6
    open_below: FiniteFloat = 0.4


class RecordedFile(BaseModel):
    """Where an output's commands are found in recordings, if not as they are sent.

    Attributes:
        topic: Topic name, relative to the namespace of the controller; that of the joint states
            learns where the joints were measured.
        type: Message type.
        source: What the messages are: commands; or measured, where the joints themselves were, as
            of a robot that was guided by hand; or leader, where the joints of a leader were that
            the robot followed.
        delay_s: Time by which the robot followed a leader, s; estimated from each recording when
            left out.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    topic: str
    type: Literal[
        "sensor_msgs/msg/JointState",
        "trajectory_msgs/msg/JointTrajectory",
        "std_msgs/msg/Float64MultiArray",
        "std_msgs/msg/Float64",
        "geometry_msgs/msg/Twist",
        "geometry_msgs/msg/TwistStamped",
        "geometry_msgs/msg/PoseStamped",
    ]
    source: Literal["commands", "measured", "leader"] = "commands"
    delay_s: _NotNegative | None = None

    @model_validator(mode="after")
    def _refuse_delay(self) -> Self:
        if self.delay_s is not None and self.source != "leader":
            raise ValueError(
                f"delay_s is how late a robot follows its leader, the source is {self.source}: "
                "leave it out; what is measured is learned latency_s ahead"
            )
        return self


def _no_effort(kind: Any) -> Any:
    """Refuse what would be a force or a torque."""
    if isinstance(kind, str) and any(word in kind for word in ("effort", "torque", "wrench")):
        raise ValueError(
            f"efforts are read, not commanded, got {kind!r}: command positions or velocities, and "
            "observe efforts as a stream with field effort"
        )
    return kind


class ActionFile(BaseModel):
    """A command that is learned and sent, on a topic of its own.

    Attributes:
        name: Name of the output, for example arm or gripper; each in `actions` needs one.
        topic: Topic or action name, relative to the namespace of the controller; what is
            recorded and what is published.
        type: Message type or action type.
        kind: What the columns command: positions or velocities of joints, or a twist or a pose
            of the end effector.
        names: Names of the commanded joints, in the order that a policy plans; of a twist
            linear.x to angular.z, of a pose x, y, z, rx, ry, rz.
        units: Unit of each column, for example rad or m.
        period_s: Time between two rows of a plan, s; the same for all, so the others may leave
            it out.
        rate_hz: Rate at which it is published, Hz, at most the control rate; every tick when left
            out, and 10 Hz for an action.
        latency_s: Time from sending to the motion, as `ddpm calibrate-latency` measured, s; 0:
            unknown.
        prefix: What the names have in front here and not in the messages, for two arms whose
            drivers use the same names: with `left/`, left/waist is sent as waist.
        relative_to: What the columns are learned relative to: none, or the measured or the
            commanded state at the time of the plan; what is sent is absolute.
        frame_id: Frame of a twist or a pose.
        reference: Orientation x, y, z, w that the rotation vector of a pose counts from.
        dead_band: Change of a gripper below which nothing is sent, in the unit of the joint.
        binary: The two places of a gripper that knows no others; any position when left out.
        max_effort: Force or torque with which a gripper may grip, N or N m.
        recorded: Where the commands are found in recordings; as they are sent when left out,
            and `<topic>/command` as joint states for an action.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = "action"
    topic: str
    type: Literal[
        "trajectory_msgs/msg/JointTrajectory",
        "std_msgs/msg/Float64MultiArray",
        "std_msgs/msg/Float64",
        "sensor_msgs/msg/JointState",
        "geometry_msgs/msg/Twist",
        "geometry_msgs/msg/TwistStamped",
        "geometry_msgs/msg/PoseStamped",
        "control_msgs/action/GripperCommand",
        "control_msgs/action/ParallelGripperCommand",
    ]
    kind: Annotated[ActionKind, BeforeValidator(_no_effort)] = "joint_position"
    names: tuple[str, ...]
    units: tuple[str, ...]
    period_s: _Positive | None = None
    rate_hz: _Positive | None = None
    latency_s: Latency = 0.0
    prefix: str = ""
    relative_to: RelativeTo = "none"
    frame_id: str = ""
    reference: tuple[FiniteFloat, FiniteFloat, FiniteFloat, FiniteFloat] = (0.0, 0.0, 0.0, 1.0)
    dead_band: _NotNegative = 0.0
    binary: BinaryFile | None = None
    max_effort: _Positive | None = None
    recorded: RecordedFile | None = None


class BoxFile(BaseModel):
    """The box that the end effector must not leave, in the frame of the root link.

    Attributes:
        lower: Lowest x, y and z, m.
        upper: Highest x, y and z, m.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    lower: tuple[float, float, float]
    upper: tuple[float, float, float]


class RecordingRules(BaseModel):
    """How recordings of the robot are read.

    Attributes:
        glitches: What becomes of single numbers that no robot can have had, as an encoder sends
            them: refuse the recording with the moment, joint and value, or leave_out these
            messages.
        uncommanded: What becomes of a part in which the joints go away from the last command while
            no other comes, as when a robot is guided by hand: leave_out that part, refuse the
            recording, or learn from what is measured there.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    glitches: Literal["refuse", "leave_out"] = "refuse"
    uncommanded: Literal["leave_out", "refuse", "measured"] = "leave_out"


class RobotFile(BaseModel):
    """A robot file.

    Attributes:
        robot: Name of the robot.
        streams: Observation streams by name, in the order in which a policy takes them.
        action: The command, where all of it goes to one topic.
        actions: The commands where there are several topics, as of an arm and a gripper; a plan
            has the columns of all, in this order.
        joint_limits: Joint-limits file, relative to the robot file.
        descriptions: Topics of the robot description, where it is not robot_description: topic ->
            what stands before the names of its joints and links here, for two arms with one
            description each, for example left/robot_description -> left/.
        end_effector: Link of the robot description whose path is drawn and held inside the box;
            empty: the last link.
        end_effector_box: Box that the end effector must not leave; without it there is none.
        stand: Positions to which a stop leads, joint by joint, in the unit of the command, of a
            robot on legs: it would fall where it stops; a chunk then counts at once, without a
            fade. Without it a robot rests where it stops.
        recordings: How recordings are read.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    robot: str
    streams: dict[str, AnyStreamFile]
    action: ActionFile | None = None
    actions: Annotated[tuple[ActionFile, ...], Field(min_length=1)] | None = None
    joint_limits: str | None = None
    descriptions: Annotated[dict[str, str], Field(min_length=1)] = {"robot_description": ""}
    end_effector: str = ""
    end_effector_box: BoxFile | None = None
    stand: Annotated[dict[str, FiniteFloat], Field(min_length=1)] | None = None
    recordings: RecordingRules = RecordingRules()

    @model_validator(mode="after")
    def _refuse_both(self) -> Self:
        if (self.action is None) == (self.actions is None):
            raise ValueError(
                "action or actions, one of them: a robot with one command topic has action, one "
                "with several has actions, a list"
            )
        return self

    @field_validator("descriptions")
    @classmethod
    def _refuse_same_prefix(cls, given: dict[str, str]) -> dict[str, str]:
        if len(set(given.values())) < len(given):
            raise ValueError(f"each needs a prefix of its own, got {given}")
        return given

    @property
    def outputs(self) -> tuple[ActionFile, ...]:
        """What is commanded, one for each topic."""
        return (self.action,) if self.action is not None else self.actions or ()


KEYS = frozenset(
    key
    for model in (
        RobotFile,
        ActionFile,
        BinaryFile,
        RecordedFile,
        BoxFile,
        RecordingRules,
        *STREAM_FILES,
    )
    for key in model.model_fields
)
"""All keys of a robot file, for a suggestion where one is misspelt."""
