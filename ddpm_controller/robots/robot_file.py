"""What may stand in a robot file, config/robots/<robot>.yaml. No rclpy."""

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from ddpm_controller.control.observing.stream_rules import WhenStale
from ddpm_controller.data.text_features import FEWEST_FEATURES, MOST_FEATURES
from ddpm_controller.robots.recording_rules import RecordingRules

LONGEST_LATENCY_S = 2.0
"""More is a clock that is wrong, not a latency."""

_Latency = Annotated[float, Field(ge=0, lt=LONGEST_LATENCY_S, allow_inf_nan=False)]


class StreamFile(BaseModel):
    """An observation stream of joint values or images.

    Attributes:
        topic: Topic name, relative to the namespace of the controller.
        type: Message type.
        rate_hz: Rate at which the messages come, Hz; where several messages bring the joints,
            that of the slowest.
        max_age_s: Age from which the newest message is stale, by stamp and by arrival, s; above
            latency_s. It counts for each joint by itself.
        field: Field of a JointState that is observed.
        names: Names of the values of a JointState, in the order that a policy sees.
        units: Unit of each value, for example rad or m.
        wraps: Joints that turn without end and whose driver reports them within one turn: a jump
            from pi to -pi is no motion then. Positions only.
        height: Rows of an image message, pixels.
        width: Columns of an image message, pixels.
        crop: Part of an image message that is kept, before the resize: top, left, height and
            width, pixels of the message; all of it when left out.
        resize: Height and width that a policy sees; as the message or the crop when left out.
        depth_range_m: Nearest and farthest distance of a depth image, m, which a policy sees as
            grey from 1 to 255, with 0 for no measurement; an image of colour or grey when left
            out.
        latency_s: Time from acquisition to arrival, as `ddpm calibrate-latency` measured, s; 0:
            unknown.
        when_stale: What the robot does meanwhile: hold and resume by itself, stop until a reset,
            or mask: plan without the stream, where the policy can.
        frozen_after_s: Time after a motion of the joints from which an unchanged picture counts
            as frozen, s; 0: never; 0.5 when left out. Images only.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    topic: str
    type: Literal[
        "sensor_msgs/msg/JointState", "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
    ]
    rate_hz: PositiveFloat
    max_age_s: PositiveFloat
    field: Literal["position", "velocity", "effort"] = "position"
    names: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    wraps: tuple[str, ...] = ()
    height: PositiveInt | None = None
    width: PositiveInt | None = None
    crop: tuple[NonNegativeInt, NonNegativeInt, PositiveInt, PositiveInt] | None = None
    resize: tuple[PositiveInt, PositiveInt] | None = None
    depth_range_m: tuple[float, float] | None = None
    latency_s: _Latency = 0.0
    when_stale: WhenStale = "hold"
    frozen_after_s: NonNegativeFloat | None = None


class TextFile(BaseModel):
    """An observation stream of sentences; the newest one holds, whatever its age.

    Attributes:
        topic: Topic name, relative to the namespace of the controller.
        type: Message type; the topic is latched.
        text_features: Numbers that a sentence becomes; three times the words and pairs in use.
        when_stale: What the robot does before the first sentence, as for other streams.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    topic: str
    type: Literal["std_msgs/msg/String"]
    text_features: Annotated[int, Field(ge=FEWEST_FEATURES, le=MOST_FEATURES)]
    when_stale: WhenStale = "hold"

    @model_validator(mode="before")
    @classmethod
    def _refuse_times(cls, given: dict[str, Any]) -> dict[str, Any]:
        if wrong := sorted({"rate_hz", "max_age_s", "latency_s"} & set(given)):
            raise ValueError(f"{wrong} are not for a text, which is published once and then holds")
        return given


class ActionFile(BaseModel):
    """The command that is learned and sent: absolute positions.

    Attributes:
        topic: Topic name of the recorded command, relative to the namespace of the controller.
        type: Message type of the recorded command.
        names: Names of the commanded joints, in the order that a policy plans.
        units: Unit of each joint: rad or m.
        period_s: Time between two rows of a plan, s.
        latency_s: Time from sending to the motion, as `ddpm calibrate-latency` measured, s; 0:
            unknown.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    topic: str
    type: Literal["trajectory_msgs/msg/JointTrajectory", "std_msgs/msg/Float64MultiArray"]
    names: tuple[str, ...]
    units: tuple[str, ...]
    period_s: PositiveFloat
    latency_s: _Latency = 0.0


class BoxFile(BaseModel):
    """The box that the end effector must not leave, in the frame of the root link.

    Attributes:
        lower: Lowest x, y and z, m.
        upper: Highest x, y and z, m.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    lower: tuple[float, float, float]
    upper: tuple[float, float, float]


class RobotFile(BaseModel):
    """A robot file.

    Attributes:
        robot: Name of the robot.
        streams: Observation streams by name, in the order in which a policy takes them.
        action: The command.
        joint_limits: Joint-limits file, relative to the robot file.
        end_effector: Link of the robot description whose path is drawn and held inside the box;
            empty: the last link.
        end_effector_box: Box that the end effector must not leave; without it there is none.
        recordings: How recordings are read.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    robot: str
    streams: dict[str, Annotated[StreamFile | TextFile, Discriminator("type")]]
    action: ActionFile
    joint_limits: str | None = None
    end_effector: str = ""
    end_effector_box: BoxFile | None = None
    recordings: RecordingRules = RecordingRules()


KEYS = frozenset(
    key
    for model in (RobotFile, ActionFile, BoxFile, RecordingRules, StreamFile, TextFile)
    for key in model.model_fields
)
"""All keys of a robot file, for a suggestion where one is misspelt."""
