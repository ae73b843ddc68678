"""What may stand in a robot file, config/robots/<robot>.yaml. No rclpy."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, PositiveFloat

from ddpm_controller.robots.stream_file import STREAM_FILES, AnyStreamFile, Latency


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
    latency_s: Latency = 0.0


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
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    robot: str
    streams: dict[str, AnyStreamFile]
    action: ActionFile
    joint_limits: str | None = None
    end_effector: str = ""
    end_effector_box: BoxFile | None = None


KEYS = frozenset(
    key for model in (RobotFile, ActionFile, BoxFile, *STREAM_FILES) for key in model.model_fields
)
"""All keys of a robot file, for a suggestion where one is misspelt."""
