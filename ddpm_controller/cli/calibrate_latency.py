"""The command `calibrate_latency`: how late a robot is seen and how late it moves."""

import math
import signal
import statistics
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import rclpy
import tyro
from rclpy.signals import SignalHandlerOptions
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from ddpm_controller.identification.dead_time import DeadTimeError, dead_time
from ddpm_controller.identification.excitation import Excitation, ExcitationError, safe_amplitude
from ddpm_controller.identification.latency_picture import JointTrace, draw_latencies
from ddpm_controller.identification.picture_lag import PictureLag, picture_lag
from ddpm_controller.identification.stream_latency import (
    StreamLatency,
    StreamLatencyError,
    stream_latency,
)
from ddpm_controller.robots.robot import Robot, RobotError, load_robot
from ddpm_controller.robots.robot_file import LONGEST_LATENCY_S
from ddpm_controller.robots.robot_file_latencies import write_latencies
from ddpm_controller.ros.commanding.latency_measurement import LatencyMeasurement, MeasurementError
from ddpm_controller.ros.controller.parameters import found_path

_FARTHEST = 4.0
"""Amplitudes that a joint may be away from its command before the robot is stopped."""


@dataclass(frozen=True)
class CalibrationOptions:
    """Measure latencies on a running robot and write them to its robot file.

    Streams: the age of every message when it arrives, arrival minus header stamp. The stamp must
    be the time of acquisition, by a clock that is synchronized with this machine's (chrony, PTP):
    a constant offset between the clocks looks like a latency; a negative one is refused.

    Actuation: with --yes-move one joint after the other moves a few degrees to both sides of where
    it is, slowly, inside the limits of robot_description and the joint-limits file; the lag of the
    measured motion behind the commands is found by least squares. Cameras that see the joints move
    tell how much later than its stamp a picture is. Keep the emergency stop at hand,
    keep clear of the arm, and deactivate the controller before. Ctrl-C stops smoothly.

    The medians become latency_s of each stream (of a camera with what its stamps hide) and of the
    action; comments in the file stay. What
    the controller does with them is told in docs/timing.md. Example:

      ddpm calibrate-latency config/robots/sim_arm.yaml --yes-move --joints shoulder_pan elbow

    Attributes:
        robot: Robot file; it is edited in place.
        yes_move: The robot may move. Without it only the streams are measured.
        joints: Joints that are moved; all of the action when none is named.
        duration_s: How long the streams are listened to.
        amplitude_deg: Of a revolute joint's motion to both sides, degrees.
        amplitude_mm: Of a prismatic joint's, mm.
        period_s: Of the motion; three periods per joint.
        rate_hz: Commands per second.
        longest_s: Longest actuation latency that is looked for.
        namespace: Of the robot.
        picture: Where the picture is written.
        dry_run: Measure and draw, but leave the robot file as it is.
    """

    robot: tyro.conf.Positional[Path]
    yes_move: bool = False
    joints: tuple[str, ...] = ()
    duration_s: float = 5.0
    amplitude_deg: float = 3.0
    amplitude_mm: float = 5.0
    period_s: float = 2.0
    rate_hz: float = 50.0
    longest_s: float = 0.8
    namespace: str = ""
    picture: Path = Path("latency.png")
    dry_run: bool = False

    def __post_init__(self) -> None:
        for name in ("duration_s", "amplitude_deg", "amplitude_mm", "period_s", "rate_hz"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")
        if not 0 < self.longest_s < min(self.period_s / 2, LONGEST_LATENCY_S):
            raise ValueError(
                f"longest_s must be above 0 and below half of period_s {self.period_s:g}, where a "
                f"sine repeats itself, and below {LONGEST_LATENCY_S:g}, got {self.longest_s:g}"
            )

    def amplitude(self, unit: str) -> float:
        """Return the amplitude asked for, rad or m."""
        return math.radians(self.amplitude_deg) if unit == "rad" else self.amplitude_mm / 1000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, 1 after an error or 130 when it was interrupted."""
    console = Console(soft_wrap=True)
    ended = threading.Event()
    try:
        options = tyro.cli(CalibrationOptions, args=arguments)
        path = Path(found_path(str(options.robot)))
        robot = load_robot(path)
        _refuse_joints(options, robot)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: ended.set())
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        try:
            _calibrate(options, path, robot, ended, console)
        finally:
            rclpy.try_shutdown()
    except KeyboardInterrupt:
        console.print("interrupted; the robot file is as it was")
        return 130
    except (RobotError, MeasurementError, StreamLatencyError, DeadTimeError, ValueError) as error:
        console.print("[bold red]error:[/]", end=" ")
        console.print(str(error), markup=False, highlight=False)
        return 1
    return 0


def _calibrate(
    options: CalibrationOptions,
    path: Path,
    robot: Robot,
    ended: threading.Event,
    console: Console,
) -> None:
    node = rclpy.create_node("calibrate_latency", namespace=options.namespace)
    measurement = LatencyMeasurement(node, robot, ended.is_set)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    try:
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task("listening", total=options.duration_s)
            measurement.listen(options.duration_s, partial(_show, bar, task))
            streams = {name: _stream(name, measurement) for name in measurement.arrivals}
            ages_s = {name: _ages_s(measurement.arrivals[name]) for name in streams}
            joints: dict[str, JointTrace] = {}
            lags: dict[str, dict[str, PictureLag]] = {}
            if options.yes_move:
                joints, lags = _moved(options, robot, measurement, bar)
    finally:
        measurement.close()
    _tell(robot, streams, joints, console)
    _tell_lags(lags, console)
    draw_latencies(options.picture, f"latencies of {robot.name}", ages_s, joints)
    console.print(f"picture: {options.picture}")
    if not options.yes_move:
        console.print("the robot was not moved: with --yes-move the actuation is measured too")
    action_s = statistics.median(t.found.delay_s for t in joints.values()) if joints else None
    if not options.dry_run:
        hidden_s = {name: max(_median_s(each), 0.0) for name, each in lags.items() if each}
        found_s = {name: each.median_s + hidden_s.get(name, 0.0) for name, each in streams.items()}
        write_latencies(path, found_s, action_s)
        console.print(f"written to {path}")


def _show(bar: Progress, task: TaskID, passed_s: float) -> None:
    bar.update(task, completed=passed_s)


def _stream(name: str, measurement: LatencyMeasurement) -> StreamLatency:
    pairs = np.array(measurement.arrivals[name]).reshape(-1, 2)
    return stream_latency(name, pairs[:, 0], pairs[:, 1], LONGEST_LATENCY_S)


def _ages_s(pairs: list[tuple[float, float]]) -> np.ndarray:
    stamps_s, arrivals_s = np.array(pairs).T
    ages_s: np.ndarray = arrivals_s - stamps_s
    return ages_s


def _moved(
    options: CalibrationOptions, robot: Robot, measurement: LatencyMeasurement, bar: Progress
) -> tuple[dict[str, JointTrace], dict[str, dict[str, PictureLag]]]:
    """Move one joint after the other; return how late each was, and each camera that saw it.

    The second is {camera: {joint: lag}}, with an empty one for a camera that saw none of them.
    """
    spec = robot.action_spec
    pose = measurement.begin_to_command(options.rate_hz)
    limits = measurement.limits
    assert limits is not None  # else there is no pose
    traces, motions = {}, {}
    cameras = [each.spec.name for each in robot.streams if each.spec.kind == "image"]
    lags: dict[str, dict[str, PictureLag]] = {name: {} for name in cameras}
    for name in options.joints or spec.joint_names:
        joint = spec.joint_names.index(name)
        wish = options.amplitude(spec.units[joint])
        amplitude = safe_amplitude(wish, pose, joint, name, limits, options.period_s)
        motions[name] = Excitation(pose, joint, amplitude, options.period_s)
    for name, motion in motions.items():
        task = bar.add_task(f"moving {name}", total=motion.duration_s)
        farthest, on_progress = _FARTHEST * motion.amplitude, partial(_show, bar, task)
        recorded = measurement.move(motion, farthest, on_progress)
        joint = motion.joint
        sent, measured = np.array(recorded.sent), np.array(recorded.measured)
        moments = np.array(recorded.sent_s), np.array(recorded.measured_s)
        columns = (moments[0], sent[:, joint], moments[1], measured[:, joint])
        try:
            found = dead_time(*columns, options.longest_s)
        except DeadTimeError as error:
            raise DeadTimeError(f"{name}: {error}") from None
        traces[name] = JointTrace(*columns, spec.units[joint], found)
        for camera, pictures in recorded.pictures.items():
            stamps_s, thumbnails = (np.array(each) for each in zip(*pictures, strict=True))
            lag = picture_lag(stamps_s, thumbnails, *columns[2:], options.longest_s)
            if lag is not None:
                lags[camera][name] = lag
    return traces, lags


def _median_s(lags: Mapping[str, PictureLag]) -> float:
    return statistics.median(each.delay_s for each in lags.values())


def _refuse_joints(options: CalibrationOptions, robot: Robot) -> None:
    known = robot.action_spec.joint_names
    if unknown := sorted(set(options.joints) - set(known)):
        raise ExcitationError(f"joints {unknown} are not among those of the action: {list(known)}")


def _tell(
    robot: Robot,
    streams: dict[str, StreamLatency],
    joints: dict[str, JointTrace],
    console: Console,
) -> None:
    table = Table("stream", "messages", "Hz", "median, ms", "95 %, ms", "stale after, ms")
    for each in robot.streams:
        if each.spec.name not in streams:
            continue
        found = streams[each.spec.name]
        figures = (found.rate_hz, 1e3 * found.median_s, 1e3 * found.p95_s, 1e3 * each.max_age_s)
        row = (f"{figure:.1f}" for figure in figures)
        table.add_row(each.spec.name, str(found.count), *row)
    console.print(table)
    if not joints:
        return
    table = Table("joint", "lag, ms", "deviation, ms", "gain", "explained, %")
    for name, trace in joints.items():
        lag = trace.found
        figures = (1e3 * lag.delay_s, 1e3 * lag.deviation_s, lag.gain, 100 * lag.explained)
        table.add_row(name, *(f"{figure:.2f}" for figure in figures))
    console.print(table)


def _tell_lags(lags: Mapping[str, Mapping[str, PictureLag]], console: Console) -> None:
    if not lags:
        return
    table = Table("camera", "pictures behind joint states, ms", "joints that it sees")
    for camera, of_joints in lags.items():
        late = f"{1e3 * _median_s(of_joints):+.1f}" if of_joints else "not seen"
        table.add_row(camera, late, ", ".join(of_joints))
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
