"""The command `calibrate_latency`: how late a robot is seen and how late it moves."""

import math
import signal
import statistics
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import tyro
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ddpm_controller.identification.dead_time import DeadTimeError
from ddpm_controller.identification.excitation import ExcitationError
from ddpm_controller.identification.latency_picture import JointTrace, draw_latencies
from ddpm_controller.identification.picture_lag import PictureLag
from ddpm_controller.identification.stream_latency import (
    StreamLatency,
    StreamLatencyError,
)
from ddpm_controller.robots.robot import Robot, RobotError, load_robot
from ddpm_controller.robots.robot_file_latencies import write_latencies
from ddpm_controller.robots.stream_file import LONGEST_LATENCY_S
from ddpm_controller.share import found_path


@dataclass(frozen=True)
class CalibrationOptions:
    """Measure latencies on a running robot and write them to its robot file.

    Streams: the age of every message when it arrives, arrival minus header stamp. The stamp must
    be the time of acquisition, by a clock that is synchronized with this machine's (chrony, PTP):
    a constant offset between the clocks looks like a latency; a negative one is refused.

    Actuation: with --yes-move one joint after the other moves a few degrees to both sides of where
    it is, slowly, inside the limits of robot_description and the joint-limits file; the lag of the
    measured motion behind the commands is found by least squares. Cameras that see the joints move
    show how much later than its stamp a picture is. Keep the emergency stop at hand,
    keep clear of the arm, and deactivate the controller before. Ctrl-C stops smoothly.

    The medians become latency_s of each stream (of a camera with what its stamps hide) and of each
    action that was moved; comments in the file stay. What
    the controller does with them is in docs/explanation/timing.md. Example:

      ddpm calibrate-latency config/robots/sim_arm.yaml --yes-move --joints shoulder_pan elbow

    Attributes:
        robot: Robot file; it is edited in place.
        yes_move: The robot may move. Without it only the streams are measured.
        joints: Joints that are moved; when none is named all of the actions but grippers that are
            sent goals, or only larger changes.
        duration_s: How long the streams are listened to.
        amplitude_deg: Amplitude of a revolute joint's motion to both sides, degrees.
        amplitude_mm: Amplitude of a prismatic joint's, mm.
        period_s: Period of the motion; three periods per joint.
        rate_hz: Commands per second.
        longest_s: Longest actuation latency that is looked for.
        namespace: Namespace of the robot.
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
    # Imported here: the help needs no ROS.
    from ddpm_controller.ros.commanding.latency_measurement import MeasurementError
    from ddpm_controller.ros.own_signals import own_signals

    console = Console(soft_wrap=True)
    ended = threading.Event()
    try:
        options = tyro.cli(CalibrationOptions, args=arguments)
        path = Path(found_path(str(options.robot)))
        robot = load_robot(path)
        _refuse_joints(options, robot)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: ended.set())
        with own_signals():
            _calibrate(options, path, robot, ended, console)
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
    # Imported here: the help needs no ROS.
    from ddpm_controller.ros.commanding.latency_calibration import Motions, calibrated

    amplitudes = {unit: options.amplitude(unit) for unit in robot.action_spec.units}
    motions = Motions(
        options.joints, amplitudes, options.period_s, options.rate_hz, options.longest_s
    )
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        found = calibrated(
            robot,
            options.namespace,
            options.duration_s,
            motions if options.yes_move else None,
            ended.is_set,
            partial(_progress_of, bar),
        )
    _tell(robot, found.streams, found.joints, console)
    _tell_lags(found.lags, console)
    draw_latencies(options.picture, f"latencies of {robot.name}", found.ages_s, found.joints)
    console.print(f"picture: {options.picture}")
    if not options.yes_move:
        console.print("the robot was not moved: with --yes-move the actuation is measured too")
    delays_s = {name: trace.found.delay_s for name, trace in found.joints.items()}
    if not options.dry_run:
        hidden_s = {name: max(_median_s(each), 0.0) for name, each in found.lags.items() if each}
        found_s = {
            name: each.median_s + hidden_s.get(name, 0.0) for name, each in found.streams.items()
        }
        write_latencies(path, found_s, _of_outputs(robot, delays_s))
        console.print(f"written to {path}")


def _progress_of(bar: Progress, label: str, total_s: float) -> Callable[[float], None]:
    task = bar.add_task(label, total=total_s)
    return lambda passed_s: bar.update(task, completed=passed_s)


def _of_outputs(robot: Robot, delays_s: Mapping[str, float]) -> dict[str, float]:
    """Return name of an output -> the median of its joints that were moved, s."""
    found = {
        output.name: [delays_s[name] for name in output.names if name in delays_s]
        for output in robot.outputs
    }
    return {name: statistics.median(each) for name, each in found.items() if each}


def _median_s(lags: Mapping[str, PictureLag]) -> float:
    return statistics.median(each.delay_s for each in lags.values())


def _refuse_joints(options: CalibrationOptions, robot: Robot) -> None:
    known = robot.action_spec.joint_names
    if unknown := sorted(set(options.joints) - set(known)):
        raise ExcitationError(f"joints {unknown} are not among those of the action: {list(known)}")
    followed = [name for each in robot.outputs if each.follows for name in each.names]
    if still := sorted(set(options.joints) - set(followed)):
        raise ExcitationError(
            f"joints {still} do not follow small changes of their commands, so no latency can be "
            f"measured; those that do are {followed}"
        )


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
