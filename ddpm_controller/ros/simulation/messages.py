"""What the `simulation` node publishes and receives, as ROS messages."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import simplejpeg
from builtin_interfaces.msg import Duration, Time
from ddpm_msgs.msg import EpisodeMark
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, JointState
from std_msgs.msg import Float64MultiArray, Header
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from ddpm_controller.bags.command_messages import command_from
from ddpm_controller.bags.conversions import ConversionError, byte_array, seconds
from ddpm_controller.robots.outputs import JOINT_TRAJECTORY, MULTI_ARRAY, RobotOutput
from ddpm_controller.ros.stamps import duration_from
from ddpm_controller.simulation.drivers.forward_controller import Targets
from ddpm_controller.simulation.drivers.interpolation import Point
from ddpm_controller.simulation.session import Tick
from ddpm_controller.simulation.world import Camera, World
from ddpm_controller.types import Trajectory

_JPEG_QUALITY = 95
SCORE_NAMES = ("best",)
"""Of the one number in a score's message: the best of the episode so far."""


class CommandError(ValueError):
    """A command that a position controller would refuse."""


def time_from(stamp_ns: int) -> Time:
    """Return a stamp in ns as a message."""
    return Time(sec=stamp_ns // 1_000_000_000, nanosec=stamp_ns % 1_000_000_000)


def nanoseconds(stamp: Time) -> int:
    """Return a message as ns."""
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def joint_state_message(tick: Tick, world: type[World]) -> JointState:
    """Return the measured joints in the driver's order."""
    names = world.published_joint_names
    order = [world.joint_names.index(name) for name in names]
    return JointState(
        header=Header(stamp=time_from(tick.stamp_ns)),
        name=list(names),
        position=tick.positions[order].tolist(),
        velocity=tick.velocities[order].tolist(),
    )


def vector_message(names: Sequence[str], values: np.ndarray, stamp_ns: int) -> JointState:
    """Return named values (D,), SI units, as positions."""
    return JointState(
        header=Header(stamp=time_from(stamp_ns)), name=list(names), position=values.tolist()
    )


def image_message(tick: Tick, camera: Camera) -> Image:
    """Return the picture of a camera at this tick, rgb8."""
    return Image(
        header=_camera_header(tick, camera),
        height=camera.height,
        width=camera.width,
        encoding="rgb8",
        step=3 * camera.width,
        data=byte_array(tick.images[camera.name]),
    )


def compressed_message(tick: Tick, camera: Camera) -> CompressedImage:
    """Return the picture of a camera at this tick as JPEG, colours at full resolution."""
    jpeg = simplejpeg.encode_jpeg(
        tick.images[camera.name], quality=_JPEG_QUALITY, colorsubsampling="444"
    )
    return CompressedImage(
        header=_camera_header(tick, camera),
        format="rgb8; jpeg compressed bgr8",  # as image_transport writes it
        data=byte_array(np.frombuffer(jpeg, dtype=np.uint8)),
    )


def camera_info_message(tick: Tick, camera: Camera) -> CameraInfo:
    """Return the pinhole model of a camera, or the one nearest to it."""
    intrinsics = camera.intrinsics
    return CameraInfo(
        header=_camera_header(tick, camera),
        height=camera.height,
        width=camera.width,
        distortion_model="plumb_bob",
        d=[0.0] * 5,
        k=intrinsics.reshape(-1),
        r=np.eye(3).reshape(-1),
        p=np.hstack([intrinsics, np.zeros((3, 1))]).reshape(-1),
    )


def mark_message(tick: Tick, mark: int, world: str) -> EpisodeMark:
    """Return the mark of an episode's begin or end."""
    return EpisodeMark(
        header=Header(stamp=time_from(tick.stamp_ns)),
        mark=mark,
        episode=tick.episode,
        world=world,
        seed=tick.seed,
        success=tick.success,
        note=tick.note,
    )


def set_point_from(message: Any, output: RobotOutput) -> np.ndarray:
    """Return what a message sets the joints of an output to at once, (D,).

    Raises:
        CommandError: Other joints, another number of points or values, or not finite.
    """
    if output.type == JOINT_TRAJECTORY:
        return command_from_trajectory(message, output.message_names)
    if output.type == MULTI_ARRAY:
        return command_from_array(message, output.message_names)
    try:
        row = command_from(message, output, output.type)
    except ConversionError as error:
        raise CommandError(str(error)) from None
    if row is None:
        wanted = list(output.message_names)
        raise CommandError(f"a command names {list(message.name)}, not {wanted}")
    return _finite(row, output.names)


def targets_from(message: Any, output: RobotOutput) -> Trajectory | Targets:
    """Return a message as what the controller of an output takes, whatever is wrong with it.

    Raises:
        CommandError: See ``trajectory_from``; or it is no command of this output at all.
    """
    if output.type == JOINT_TRAJECTORY:
        return trajectory_from(message)
    if output.type == MULTI_ARRAY:
        return Targets(np.array(message.data))
    return Targets(set_point_from(message, output))


def trajectory_message(
    command: np.ndarray, stamp_ns: int, tick_s: float, joint_names: Sequence[str]
) -> JointTrajectory:
    """Return the expert's command (Da,) as any controller would send it."""
    point = JointTrajectoryPoint(
        positions=command.tolist(), time_from_start=Duration(nanosec=round(tick_s * 1e9))
    )
    return JointTrajectory(
        header=Header(stamp=time_from(stamp_ns)), joint_names=list(joint_names), points=[point]
    )


def command_from_trajectory(message: JointTrajectory, joint_names: Sequence[str]) -> np.ndarray:
    """Return the positions of the only point in the order of ``joint_names``, (D,).

    Raises:
        CommandError: No or several points, other joints, or not finite.
    """
    names = list(message.joint_names)
    if sorted(names) != sorted(joint_names):
        raise CommandError(f"a command names {names}, but the joints are {list(joint_names)}")
    if not message.points or len(message.points[0].positions) != len(names):
        raise CommandError(f"a command needs a first point with {len(names)} positions")
    if len(message.points) > 1:
        raise CommandError(
            f"a trajectory of {len(message.points)} points needs a driver that follows it: start "
            "with driver:=joint_trajectory_controller, or send command.stream single_point"
        )
    positions = np.array(message.points[0].positions)
    return _finite(positions[[names.index(name) for name in joint_names]], joint_names)


def trajectory_from(message: JointTrajectory) -> Trajectory:
    """Return a message as points, whatever is wrong with it.

    Raises:
        CommandError: Some points have velocities or accelerations and others none, or a number
            is not finite.
    """
    points = message.points
    rows: list[np.ndarray | None] = []
    for name in ("positions", "velocities", "accelerations"):
        lengths = {len(getattr(point, name)) for point in points}
        if len(lengths) > 1:
            raise CommandError(f"points have {sorted(lengths)} {name}: each needs as many")
        has = name == "positions" or lengths - {0}
        rows.append(np.array([getattr(point, name) for point in points]) if has else None)
    positions = rows[0]
    assert positions is not None
    if not all(np.isfinite(each).all() for each in rows if each is not None):
        raise CommandError("a trajectory must be finite")
    return Trajectory(
        seconds(message.header.stamp),
        tuple(message.joint_names),
        np.array([seconds(point.time_from_start) for point in points]),
        positions,
        rows[1],
        rows[2],
    )


def set_points_message(
    set_points: Sequence[tuple[float, Point]], joint_names: Sequence[str]
) -> JointTrajectory:
    """Return the set points of a tick, each at its moment."""
    begin_s = set_points[0][0]
    points = []
    for moment_s, point in set_points:
        velocity, acceleration = (
            np.zeros_like(point.position) if rates is None else rates
            for rates in (point.velocity, point.acceleration)
        )
        points.append(
            JointTrajectoryPoint(
                positions=point.position.tolist(),
                velocities=velocity.tolist(),
                accelerations=acceleration.tolist(),
                time_from_start=duration_from(moment_s - begin_s),
            )
        )
    header = Header(stamp=time_from(round(begin_s * 1e9)))
    return JointTrajectory(header=header, joint_names=list(joint_names), points=points)


def command_from_array(message: Float64MultiArray, joint_names: Sequence[str]) -> np.ndarray:
    """Return a command in the order of ``joint_names``, (D,).

    Raises:
        CommandError: Another length, or not finite.
    """
    if len(message.data) != len(joint_names):
        raise CommandError(
            f"a command has {len(message.data)} positions, but the joints are {list(joint_names)}"
        )
    return _finite(np.array(message.data), joint_names)


def _finite(command: np.ndarray, joint_names: Sequence[str]) -> np.ndarray:
    if not np.isfinite(command).all():
        wrong = {n: float(p) for n, p in zip(joint_names, command, strict=True) if p - p != 0}
        raise CommandError(f"a command must be finite, got {wrong}")
    return command


def _camera_header(tick: Tick, camera: Camera) -> Header:
    return Header(stamp=time_from(tick.stamp_ns), frame_id=f"{camera.name}_optical_frame")
