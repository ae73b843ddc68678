"""What the `simulation` node says and hears, as ROS messages."""

import numpy as np
import simplejpeg
from builtin_interfaces.msg import Duration, Time
from ddpm_msgs.msg import EpisodeMark
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, JointState
from std_msgs.msg import Float64MultiArray, Header
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from ddpm_controller.ros.conversions import byte_array
from ddpm_controller.simulation.arm import JOINT_NAMES, PUBLISHED_JOINT_NAMES
from ddpm_controller.simulation.cameras import CameraSpec
from ddpm_controller.simulation.session import Tick

_JPEG_QUALITY = 95
_PUBLISHED = [JOINT_NAMES.index(name) for name in PUBLISHED_JOINT_NAMES]


class CommandError(ValueError):
    """A command that a position controller would refuse."""


def time_from(stamp_ns: int) -> Time:
    """Return a stamp in ns as a message."""
    return Time(sec=stamp_ns // 1_000_000_000, nanosec=stamp_ns % 1_000_000_000)


def nanoseconds(stamp: Time) -> int:
    """Return a message as ns."""
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def joint_state_message(tick: Tick) -> JointState:
    """Return the measured joints in the driver's order."""
    return JointState(
        header=Header(stamp=time_from(tick.stamp_ns)),
        name=list(PUBLISHED_JOINT_NAMES),
        position=tick.positions[_PUBLISHED].tolist(),
        velocity=tick.velocities[_PUBLISHED].tolist(),
    )


def image_message(tick: Tick, camera: CameraSpec) -> Image:
    """Return the picture of a camera at this tick, rgb8."""
    return Image(
        header=_camera_header(tick, camera),
        height=camera.height,
        width=camera.width,
        encoding="rgb8",
        step=3 * camera.width,
        data=byte_array(tick.images[camera.name]),
    )


def compressed_message(tick: Tick, camera: CameraSpec) -> CompressedImage:
    """Return the picture of a camera at this tick as JPEG, colours at full resolution."""
    jpeg = simplejpeg.encode_jpeg(
        tick.images[camera.name], quality=_JPEG_QUALITY, colorsubsampling="444"
    )
    return CompressedImage(
        header=_camera_header(tick, camera),
        format="rgb8; jpeg compressed bgr8",  # as image_transport writes it
        data=byte_array(np.frombuffer(jpeg, dtype=np.uint8)),
    )


def camera_info_message(tick: Tick, camera: CameraSpec) -> CameraInfo:
    """Return the pinhole model of a camera."""
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


def trajectory_message(command: np.ndarray, stamp_ns: int, tick_s: float) -> JointTrajectory:
    """Return the expert's command (7,) as any controller would send it."""
    point = JointTrajectoryPoint(
        positions=command.tolist(), time_from_start=Duration(nanosec=round(tick_s * 1e9))
    )
    return JointTrajectory(
        header=Header(stamp=time_from(stamp_ns)), joint_names=list(JOINT_NAMES), points=[point]
    )


def command_from_trajectory(message: JointTrajectory) -> np.ndarray:
    """Return the positions of the first point in the order of ``JOINT_NAMES``, (7,).

    Raises:
        CommandError: No points, other joints, or not finite.
    """
    names = list(message.joint_names)
    if sorted(names) != sorted(JOINT_NAMES):
        raise CommandError(f"a command names {names}, but the joints are {list(JOINT_NAMES)}")
    if not message.points or len(message.points[0].positions) != len(names):
        raise CommandError(f"a command needs a first point with {len(names)} positions")
    positions = np.array(message.points[0].positions)
    return _finite(positions[[names.index(name) for name in JOINT_NAMES]])


def command_from_array(message: Float64MultiArray) -> np.ndarray:
    """Return a command in the order of ``JOINT_NAMES``, (7,).

    Raises:
        CommandError: Another length, or not finite.
    """
    if len(message.data) != len(JOINT_NAMES):
        raise CommandError(
            f"a command has {len(message.data)} positions, but the joints are {list(JOINT_NAMES)}"
        )
    return _finite(np.array(message.data))


def _finite(command: np.ndarray) -> np.ndarray:
    if not np.isfinite(command).all():
        wrong = {n: float(p) for n, p in zip(JOINT_NAMES, command, strict=True) if p - p != 0}
        raise CommandError(f"a command must be finite, got {wrong}")
    return command


def _camera_header(tick: Tick, camera: CameraSpec) -> Header:
    return Header(stamp=time_from(tick.stamp_ns), frame_id=f"{camera.name}_optical_frame")
