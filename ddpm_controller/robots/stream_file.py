"""What may stand in a robot file under streams. No rclpy."""

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    NonNegativeInt,
    PositiveInt,
    model_validator,
)

from ddpm_controller.control.observing.stream_rules import WhenStale
from ddpm_controller.data.text_features import FEWEST_FEATURES, MOST_FEATURES

LONGEST_LATENCY_S = 2.0
"""More is a clock that is wrong, not a latency."""
TRANSFORMS = "tf2_msgs/msg/TFMessage"

_WhenMissing = Literal["hold", "stop", "mask"]
_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Latency = Annotated[float, Field(ge=0, lt=LONGEST_LATENCY_S, allow_inf_nan=False)]
_Word = Annotated[str, Field(min_length=1)]
_Words = Annotated[tuple[_Word, ...], Field(min_length=1)]
_Quaternion = tuple[float, float, float, float]


class StreamFile(BaseModel):
    """An observation stream of joint values or images.

    Attributes:
        topic: Topic name, relative to the namespace of the controller.
        topics: In place of topic, for joints that come on several topics whose messages have the
            same names, as of two arms: topic -> what stands before them in names, for example
            left/joint_states -> left/.
        type: Message type.
        rate_hz: Rate at which the messages come, Hz; where several messages bring the joints,
            that of the slowest.
        max_age_s: Age from which the newest message is stale, by stamp and by arrival, s; above
            latency_s. It counts for each joint by itself.
        field: Field of a JointState that is observed.
        names: Names of the values of a JointState, in the order that a policy sees.
        units: Unit of each value in the message: SI, or one that is converted, as deg or mm.
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
        camera_info: Topic of the calibration of an image; beside the image topic when left out.
        latency_s: Time from acquisition to arrival, as `ddpm calibrate-latency` measured, s; 0:
            unknown.
        when_stale: What the robot does meanwhile: hold and resume by itself, stop until a reset,
            or mask: plan without the stream, where the policy can.
        frozen_after_s: Time after a motion of the joints from which an unchanged picture counts
            as frozen, s; 0: never; 0.5 when left out. Images only.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    topic: _Word | None = None
    topics: Annotated[dict[_Word, str], Field(min_length=1)] | None = None
    type: Literal[
        "sensor_msgs/msg/JointState", "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
    ]
    rate_hz: _Positive
    max_age_s: _Positive
    field: Literal["position", "velocity", "effort"] = "position"
    names: tuple[_Word, ...] = ()
    units: tuple[str, ...] = ()
    wraps: tuple[str, ...] = ()
    height: PositiveInt | None = None
    width: PositiveInt | None = None
    crop: tuple[NonNegativeInt, NonNegativeInt, PositiveInt, PositiveInt] | None = None
    resize: tuple[PositiveInt, PositiveInt] | None = None
    depth_range_m: tuple[float, float] | None = None
    camera_info: _Word | None = None
    latency_s: Latency = 0.0
    when_stale: _WhenMissing = "hold"
    frozen_after_s: _NotNegative | None = None

    @model_validator(mode="after")
    def _refuse_topics(self) -> "StreamFile":
        if (self.topic is None) == (self.topics is None):
            raise ValueError("topic or topics, one of them")
        if self.topics and self.type != "sensor_msgs/msg/JointState":
            raise ValueError("topics is for joints; an image has one topic")
        return self


class FieldsFile(BaseModel):
    """An observation stream of fields of a message.

    Attributes:
        topic: Topic name, relative to the namespace of the controller.
        type: Message type. One without a header counts from when it came.
        fields: Fields that are observed, as pose.position.x or data[3]; one that leads to several
            numbers stands for all; all numbers of the message when left out. An orientation is
            six numbers, the first two columns of its rotation matrix.
        rate_hz: Rate at which the messages come, Hz.
        max_age_s: Age from which the newest message is stale, by stamp and by arrival, s; above
            latency_s.
        names: Names of the numbers, in the order that a policy sees; their fields when left out.
        units: Unit of each number in the message: SI, or one that is converted, as deg or mm;
            those of the message type when left out.
        wraps: Numbers in rad that are reported within one turn: a jump from pi to -pi is no
            motion then.
        reference: Orientation x, y, z, w: single components of an orientation, as
            pose.orientation.z, have the sign that is nearer to it.
        latency_s: Time from acquisition to arrival, s; 0: unknown.
        when_stale: What the robot does meanwhile: hold and resume by itself, stop until a reset,
            or mask: plan without the stream, where the policy can; optional: the same, and before
            its first message too, as of a requested velocity.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    topic: _Word
    type: Literal[
        "geometry_msgs/msg/AccelStamped",
        "geometry_msgs/msg/Point",
        "geometry_msgs/msg/PointStamped",
        "geometry_msgs/msg/Pose",
        "geometry_msgs/msg/PoseStamped",
        "geometry_msgs/msg/PoseWithCovarianceStamped",
        "geometry_msgs/msg/QuaternionStamped",
        "geometry_msgs/msg/TransformStamped",
        "geometry_msgs/msg/Twist",
        "geometry_msgs/msg/TwistStamped",
        "geometry_msgs/msg/TwistWithCovarianceStamped",
        "geometry_msgs/msg/Vector3",
        "geometry_msgs/msg/Vector3Stamped",
        "geometry_msgs/msg/Wrench",
        "geometry_msgs/msg/WrenchStamped",
        "nav_msgs/msg/Odometry",
        "sensor_msgs/msg/Imu",
        "sensor_msgs/msg/Joy",
        "sensor_msgs/msg/MagneticField",
        "sensor_msgs/msg/Range",
        "std_msgs/msg/Bool",
        "std_msgs/msg/Float32",
        "std_msgs/msg/Float64",
        "std_msgs/msg/Int16",
        "std_msgs/msg/Int32",
        "std_msgs/msg/Int64",
        "std_msgs/msg/UInt8",
        "std_msgs/msg/UInt16",
        "std_msgs/msg/Float32MultiArray",
        "std_msgs/msg/Float64MultiArray",
        "std_msgs/msg/Int16MultiArray",
        "std_msgs/msg/Int32MultiArray",
        "std_msgs/msg/UInt8MultiArray",
    ]
    fields: _Words | None = None
    rate_hz: _Positive
    max_age_s: _Positive
    names: _Words | None = None
    units: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    wraps: tuple[str, ...] = ()
    reference: _Quaternion = (0.0, 0.0, 0.0, 1.0)
    latency_s: Latency = 0.0
    when_stale: WhenStale = "hold"


class FramesFile(BaseModel):
    """Two frames of tf.

    Attributes:
        parent: Frame in which the other one is observed, for example base_link.
        child: Frame that is observed, for example tool0.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    parent: _Word
    child: _Word

    @model_validator(mode="after")
    def _refuse_one_frame(self) -> "FramesFile":
        if self.parent.lstrip("/") == self.child.lstrip("/"):
            raise ValueError(f"parent and child are the same frame {self.child!r}: name two")
        return self


class TransformFile(BaseModel):
    """An observation stream of where one frame of tf is in another one.

    Attributes:
        tf: The two frames; any number of links may lie between them, moving and static.
        topic: Topic of the moving links; that of the static ones is the same with _static.
        type: Message type of both.
        fields: As above, of translation and rotation; both when left out, nine numbers.
        rate_hz: Rate of the slowest moving link, Hz.
        max_age_s: Age from which the transform is stale, s, by the latest moment at which all
            moving links between the frames are known.
        names: Names of the numbers, in the order that a policy sees; their fields when left out.
        units: Unit of each number in the messages; m and 1 when left out.
        reference: As above.
        latency_s: Time from acquisition to arrival, s; 0: unknown.
        when_stale: As above.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    tf: FramesFile
    topic: _Word = "/tf"
    type: Literal["tf2_msgs/msg/TFMessage"] = "tf2_msgs/msg/TFMessage"
    fields: _Words | None = None
    rate_hz: _Positive
    max_age_s: _Positive
    names: _Words | None = None
    units: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    reference: _Quaternion = (0.0, 0.0, 0.0, 1.0)
    latency_s: Latency = 0.0
    when_stale: _WhenMissing = "hold"


class TextFile(BaseModel):
    """An observation stream of sentences; the newest one holds, whatever its age.

    Attributes:
        topic: Topic name, relative to the namespace of the controller.
        type: Message type; the topic is latched.
        text_features: Numbers that a sentence becomes; three times the words and pairs in use.
        when_stale: What the robot does before the first sentence, as for other streams.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    topic: _Word
    type: Literal["std_msgs/msg/String"]
    text_features: Annotated[int, Field(ge=FEWEST_FEATURES, le=MOST_FEATURES)]
    when_stale: _WhenMissing = "hold"

    @model_validator(mode="before")
    @classmethod
    def _refuse_times(cls, given: dict[str, Any]) -> dict[str, Any]:
        if wrong := sorted({"rate_hz", "max_age_s", "latency_s"} & set(given)):
            raise ValueError(f"{wrong} are not for a text, which is published once and then holds")
        return given


def _with_type(given: Any) -> Any:
    """Return a stream of frames with its type, which the file may leave out."""
    if isinstance(given, dict) and "tf" in given and "type" not in given:
        return {**given, "type": TRANSFORMS}
    return given


AnyStreamFile = Annotated[
    StreamFile | FieldsFile | TransformFile | TextFile,
    Discriminator("type"),
    BeforeValidator(_with_type),
]
"""A stream, read by its type."""
STREAM_FILES = (StreamFile, FieldsFile, TransformFile, FramesFile, TextFile)
