"""The message of each type of output, made of its columns of a command."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from geometry_msgs.msg import Point, Pose, PoseStamped, Quaternion, Twist, TwistStamped, Vector3
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64, Float64MultiArray, Header
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from ddpm_controller.robots.outputs import (
    FLOAT64,
    JOINT_STATE,
    JOINT_TRAJECTORY,
    MULTI_ARRAY,
    POSE_STAMPED,
    TWIST,
    TWIST_STAMPED,
    RobotOutput,
    numbers_of,
)
from ddpm_controller.ros.stamps import duration_from, time_from


@dataclass(frozen=True)
class Part:
    """The columns of one output in a command.

    Attributes:
        stamp_s: The tick.
        position: (D,), of whatever kind the output is.
        velocity: (D,) at ``position``; None: not known.
        acceleration: (D,) at ``position``; None: not known.
        period_s: Time in which ``position`` is to be reached.
    """

    stamp_s: float
    position: np.ndarray
    velocity: np.ndarray | None
    acceleration: np.ndarray | None
    period_s: float


def message_of(output: RobotOutput, part: Part) -> Any:
    """Return the message with which an output is sent its columns."""
    return MESSAGES[output.type][1](output, part)


def _header(output: RobotOutput, part: Part) -> Header:
    return Header(stamp=time_from(part.stamp_s), frame_id=output.frame_id)


def _trajectory(output: RobotOutput, part: Part) -> JointTrajectory:
    """Return one point, to be reached after a period."""
    point = JointTrajectoryPoint(
        positions=part.position.tolist(),
        velocities=_numbers(part.velocity),
        accelerations=_numbers(part.acceleration),
        time_from_start=duration_from(part.period_s),
    )
    return JointTrajectory(
        header=_header(output, part), joint_names=list(output.message_names), points=[point]
    )


def _array(output: RobotOutput, part: Part) -> Float64MultiArray:
    return Float64MultiArray(data=part.position.tolist())


def _number(output: RobotOutput, part: Part) -> Float64:
    return Float64(data=float(part.position[0]))


def _joint_state(output: RobotOutput, part: Part) -> JointState:
    """Return positions, or velocities where these are what is commanded."""
    message = JointState(header=_header(output, part), name=list(output.message_names))
    if output.kind == "joint_velocity":
        message.velocity = part.position.tolist()
    else:
        message.position = part.position.tolist()
        message.velocity = _numbers(part.velocity)
    return message


def _twist(output: RobotOutput, part: Part) -> Twist:
    numbers = numbers_of(output, part.position).tolist()
    return Twist(linear=_vector(numbers[:3]), angular=_vector(numbers[3:]))


def _twist_stamped(output: RobotOutput, part: Part) -> TwistStamped:
    return TwistStamped(header=_header(output, part), twist=_twist(output, part))


def _pose(output: RobotOutput, part: Part) -> PoseStamped:
    x, y, z, *turn = numbers_of(output, part.position).tolist()
    pose = Pose(
        position=Point(x=x, y=y, z=z),
        orientation=Quaternion(x=turn[0], y=turn[1], z=turn[2], w=turn[3]),
    )
    return PoseStamped(header=_header(output, part), pose=pose)


def _vector(numbers: list[float]) -> Vector3:
    return Vector3(x=numbers[0], y=numbers[1], z=numbers[2])


def _numbers(values: np.ndarray | None) -> list[float]:
    return [] if values is None else values.tolist()


MESSAGES: dict[str, tuple[type, Callable[[RobotOutput, Part], Any]]] = {
    JOINT_TRAJECTORY: (JointTrajectory, _trajectory),
    MULTI_ARRAY: (Float64MultiArray, _array),
    FLOAT64: (Float64, _number),
    JOINT_STATE: (JointState, _joint_state),
    TWIST: (Twist, _twist),
    TWIST_STAMPED: (TwistStamped, _twist_stamped),
    POSE_STAMPED: (PoseStamped, _pose),
}
"""Type of an output -> its class, and what makes its message."""


def recorded_messages(
    outputs: Sequence[RobotOutput],
    command: np.ndarray,
    joint_names: Sequence[str],
    stamp_s: float,
    period_s: float,
) -> Iterator[tuple[str, Any]]:
    """Yield topic and message of each output for a command (D,) without velocities.

    As any controller would send it, and as recordings have it: goals are mirrored.

    Args:
        outputs: What is commanded.
        command: Positions in the order of ``joint_names``.
        joint_names: Names of the columns.
        stamp_s: The tick.
        period_s: Time in which the command is to be reached.
    """
    for output in outputs:
        row = command[[joint_names.index(name) for name in output.names]]
        part = Part(stamp_s, row, None, None, period_s)
        if output.is_action:
            yield output.mirror_topic, mirror_of(output, stamp_s, float(row[0]))
        else:
            yield output.topic, message_of(output, part)


def mirror_of(output: RobotOutput, stamp_s: float, place: float) -> JointState:
    """Return the message that shows a goal of a gripper, for recordings."""
    message = JointState(
        header=Header(stamp=time_from(stamp_s)), name=list(output.message_names), position=[place]
    )
    if output.gripper is not None and output.gripper.max_effort is not None:
        message.effort = [output.gripper.max_effort]
    return message


def recorded_types(outputs: Sequence[RobotOutput]) -> dict[str, str]:
    """Return topic -> type of what ``recorded_messages`` yields."""
    return {
        **{each.topic: each.type for each in outputs if not each.is_action},
        **{each.mirror_topic: JOINT_STATE for each in outputs if each.is_action},
    }
