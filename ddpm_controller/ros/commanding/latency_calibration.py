"""Latencies of a running robot: its streams are listened to, then it is moved joint by joint."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import rclpy

from ddpm_controller.identification.dead_time import DeadTimeError, dead_time
from ddpm_controller.identification.excitation import Excitation, safe_amplitude
from ddpm_controller.identification.latency_picture import JointTrace
from ddpm_controller.identification.picture_lag import PictureLag, picture_lag
from ddpm_controller.identification.stream_latency import StreamLatency, stream_latency
from ddpm_controller.robots.robot import Robot
from ddpm_controller.robots.stream_file import LONGEST_LATENCY_S
from ddpm_controller.ros.commanding.latency_measurement import LatencyMeasurement, Recorded

_FARTHEST = 4.0
"""Amplitudes that a joint may be away from its command before the robot is stopped."""

ProgressOf = Callable[[str, float], Callable[[float], None]]
"""(label, duration in s) -> what is called with the seconds that have passed."""


@dataclass(frozen=True)
class Motions:
    """How the joints are moved.

    Attributes:
        joints: Joints that are moved; all that can be when none is named.
        amplitudes: Unit -> motion to both sides, rad or m.
        period_s: Time of one period.
        rate_hz: Commands per second.
        longest_s: Longest actuation latency that is looked for.
    """

    joints: tuple[str, ...]
    amplitudes: Mapping[str, float]
    period_s: float
    rate_hz: float
    longest_s: float


@dataclass(frozen=True, eq=False)
class Calibration:
    """What was measured.

    Attributes:
        streams: Stream -> age of its messages at arrival.
        ages_s: Stream -> that of every message, s.
        joints: Joint -> its motion, with the lag.
        lags: Camera -> joint -> lag of the pictures; empty for a camera that saw none of them.
    """

    streams: dict[str, StreamLatency]
    ages_s: dict[str, np.ndarray]
    joints: dict[str, JointTrace] = field(default_factory=dict)
    lags: dict[str, dict[str, PictureLag]] = field(default_factory=dict)


def followed_joints(robot: Robot) -> tuple[str, ...]:
    """Return the joints whose latency can be measured: not those of grippers with a rule."""
    return tuple(name for each in robot.outputs if each.follows for name in each.names)


def calibrated(
    robot: Robot,
    namespace: str,
    duration_s: float,
    motions: Motions | None,
    should_stop: Callable[[], bool],
    progress_of: ProgressOf,
) -> Calibration:
    """Listen to a robot and, with ``motions``, move it; ROS must be initialized.

    Args:
        robot: What to listen to.
        namespace: Namespace of the robot.
        duration_s: How long the streams are listened to.
        motions: None: the robot is not moved.
        should_stop: Asked at every tick; True stops the robot smoothly.
        progress_of: See ``ProgressOf``.

    Raises:
        MeasurementError: The robot cannot be measured, or was stopped while it was.
        StreamLatencyError: The clocks do not agree.
        DeadTimeError: A joint does not follow its commands.
        ExcitationError: A joint has no room to move.
        KeyboardInterrupt: It was asked to stop.
    """
    node = rclpy.create_node("calibrate_latency", namespace=namespace)
    measurement = LatencyMeasurement(node, robot, should_stop)
    try:
        measurement.listen(duration_s, progress_of("listening", duration_s))
        pairs = {
            name: np.array(each).reshape(-1, 2) for name, each in measurement.arrivals.items()
        }
        # Before it moves: clocks that do not agree are refused at rest.
        streams = {
            name: stream_latency(name, each[:, 0], each[:, 1], LONGEST_LATENCY_S)
            for name, each in pairs.items()
        }
        ages_s = {name: each[:, 1] - each[:, 0] for name, each in pairs.items()}
        if motions is None:
            return Calibration(streams, ages_s)
        return Calibration(streams, ages_s, *_moved(robot, measurement, motions, progress_of))
    finally:
        measurement.close()


def _moved(
    robot: Robot, measurement: LatencyMeasurement, motions: Motions, progress_of: ProgressOf
) -> tuple[dict[str, JointTrace], dict[str, dict[str, PictureLag]]]:
    """Move one joint after the other; return how late each was, and each camera that saw it."""
    spec = robot.action_spec
    excitations = _excitations(robot, measurement, motions)
    traces = {}
    cameras = [each.spec.name for each in robot.streams if each.spec.kind == "image"]
    lags: dict[str, dict[str, PictureLag]] = {name: {} for name in cameras}
    for name, motion in excitations.items():
        on_progress = progress_of(f"moving {name}", motion.duration_s)
        recorded = measurement.move(motion, _FARTHEST * motion.amplitude, on_progress)
        trace = _trace(name, spec.units[motion.joint], motion, recorded, motions.longest_s)
        traces[name] = trace
        for camera, pictures in recorded.pictures.items():
            stamps_s, thumbnails = (np.array(each) for each in zip(*pictures, strict=True))
            measured = trace.measured_s, trace.measured
            lag = picture_lag(stamps_s, thumbnails, *measured, motions.longest_s)
            if lag is not None:
                lags[camera][name] = lag
    return traces, lags


def _excitations(
    robot: Robot, measurement: LatencyMeasurement, motions: Motions
) -> dict[str, Excitation]:
    spec = robot.action_spec
    pose = measurement.begin_to_command(motions.rate_hz)
    limits = measurement.limits
    assert limits is not None  # else there is no pose
    found = {}
    for name in motions.joints or followed_joints(robot):
        joint = spec.joint_names.index(name)
        wish = motions.amplitudes[spec.units[joint]]
        amplitude = safe_amplitude(wish, pose, joint, name, limits, motions.period_s)
        found[name] = Excitation(pose, joint, amplitude, motions.period_s)
    return found


def _trace(
    name: str, unit: str, motion: Excitation, recorded: Recorded, longest_s: float
) -> JointTrace:
    joint = motion.joint
    sent, measured = np.array(recorded.sent)[:, joint], np.array(recorded.measured)[:, joint]
    columns = (np.array(recorded.sent_s), sent, np.array(recorded.measured_s), measured)
    try:
        return JointTrace(*columns, unit, dead_time(*columns, longest_s))
    except DeadTimeError as error:
        raise DeadTimeError(f"{name}: {error}") from None
