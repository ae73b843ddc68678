"""Real processes that are killed or stopped while a robot moves by streamed trajectories.

python benchmarks/stream_kills.py
python benchmarks/stream_kills.py --quick

A simulated arm behind a trajectory controller of 500 Hz, and the controller with its command
process at 100 Hz, begun afresh for each injection. A victim is killed, or stopped for a while,
or the link between the two is cut while both run, when a joint is fast; then the set points
count: how far they went and for how long until they rested (or the motion resumed), and the
largest acceleration as a share of the limit. Times are of the wall clock. A busy machine makes
messages later than a lead now and then, killed or not.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import rclpy
import tyro
from live_processes import command_processes, cut_link, descendants, words_of
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rich.console import Console
from rich.table import Table
from trajectory_msgs.msg import JointTrajectory
from trajectory_stream import farthest_way

from ddpm_controller.bags.conversions import seconds
from ddpm_controller.control.moving.stream_settings import StreamSettings
from ddpm_controller.robots.robot import load_robot
from ddpm_controller.ros.graph.own_graph import parameter_file, use_own_domain
from ddpm_controller.ros.graph.supervisor import started
from ddpm_controller.share import share_path
from ddpm_controller.simulation.worlds import WORLDS

WORLD = "reach"
FAST, REST = 0.3, 1e-4
AFTER_S = 3.0
PATIENCE_S = 90.0
NOTHING, COMMANDS, CONTROLLER = "nothing", "command process", "controller"
LINK = "link"
EVERYTHING = "both, and the one that stands by"
ENDS = {NOTHING: "", LINK: "cut"}


@dataclass(frozen=True)
class Options:
    """Kills of real processes.

    Attributes:
        repeats: Injections of each kind.
        victims: What is killed, or cut.
        rate_hz: Control rate.
        holes_ms: For how long the command process is stopped.
        quick: One kill, within a minute.
    """

    repeats: int = 5
    victims: tuple[str, ...] = (NOTHING, CONTROLLER, COMMANDS, EVERYTHING, LINK)
    rate_hz: float = 100.0
    holes_ms: tuple[int, ...] = (60, 250, 1000)
    quick: bool = False


class SetPoints(Node):
    """Keeps all set points of the simulated controller, update by update."""

    def __init__(self) -> None:
        super().__init__("stream_kills")
        self.moments_s: list[float] = []
        self.rows: list[tuple] = []
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self)
        deep = QoSProfile(depth=2000)
        self.create_subscription(JointTrajectory, "simulation/set_points", self._on_points, deep)

    def _on_points(self, message: JointTrajectory) -> None:
        begin_s = seconds(message.header.stamp)
        for point in message.points:
            self.moments_s.append(begin_s + seconds(point.time_from_start))
            self.rows.append((point.positions, point.velocities, point.accelerations))

    @property
    def speed(self) -> float:
        """Of the fastest joint at the newest update."""
        return float(np.abs(self.rows[-1][1]).max()) if self.rows else 0.0

    def listen(self, duration_s: float) -> None:
        """Take what comes for ``duration_s``."""
        end_s = time.monotonic() + duration_s
        while (left_s := end_s - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left_s)

    def until_fast(self) -> None:
        """Listen until a joint is fast."""
        end_s = time.monotonic() + PATIENCE_S
        while self.speed < FAST:
            if time.monotonic() > end_s:
                raise SystemExit(f"the robot has not moved within {PATIENCE_S:g} s")
            self.listen(0.01)


@contextmanager
def running(rate_hz: float) -> Iterator[tuple[SetPoints, dict[str, list[int]]]]:
    """Have a robot that moves; yield its set points, and the processes behind each name."""
    parameters = {
        "command.stream": "rest_ended",
        "control_rate_hz": rate_hz,
        "start.distance": "any",
        "run_on_activate": True,
    }
    simulation = {"world": WORLD, "driver": "controllers", "log_level": "error"}
    with ExitStack() as stack:
        stack.enter_context(started("simulation", simulation))
        params_file = stack.enter_context(parameter_file(parameters))
        folder = str(Path(share_path(f"models/{WORLD}")).resolve())
        controller = {"checkpoint": folder, "params_file": params_file, "log_level": "fatal"}
        graph = stack.enter_context(started("controller", controller))
        rclpy.init()
        stack.callback(rclpy.try_shutdown)
        set_points = SetPoints()
        set_points.until_fast()
        family = list(descendants(graph.pid))
        commands = command_processes(graph.pid)
        controllers = [pid for pid in family if "__node:=controller" in words_of(pid)]
        yield (
            set_points,
            {
                NOTHING: [],
                COMMANDS: commands[:1],
                LINK: commands[:1],
                CONTROLLER: controllers,
                EVERYTHING: [*controllers, *commands],
            },
        )


@dataclass(frozen=True)
class Outcome:
    """What one injection did.

    Attributes:
        rest_s: Time until the set points rested first; NaN: they moved on.
        way: Largest way of a joint until then, rad or m.
        share: Largest share of the way that the limits allow.
        peak: Largest acceleration as a share of the limit.
    """

    rest_s: float
    way: float
    share: float
    peak: float


def injected(victim: str, hole_s: float, rate_hz: float) -> Outcome:
    """Kill a victim while the robot moves, or stop it for a while, or cut the link."""
    with running(rate_hz) as (set_points, pids):
        at_s = time.time()
        for pid in pids[victim]:
            if victim == LINK:
                cut_link(pid)
            else:
                os.kill(pid, signal.SIGSTOP if hole_s else signal.SIGKILL)
        if hole_s:
            time.sleep(hole_s)
            for pid in pids[victim]:
                os.kill(pid, signal.SIGCONT)
        set_points.listen(AFTER_S)
    moments_s, rows = np.array(set_points.moments_s), np.array(set_points.rows)
    limits = load_robot(share_path(WORLDS[WORLD].robot)).limits(
        WORLDS[WORLD].world.robot_description()
    )
    peak = float((np.abs(rows[:, 2]) / limits.acceleration).max())
    after = moments_s >= at_s
    moves = np.abs(rows[after, 1]).max(axis=1) > REST
    rests = int(np.argmin(moves)) if not moves.all() else -1
    way = np.abs(rows[after, 0][: rests or None] - rows[after, 0][0]).max(axis=0)
    period_s, lead_s = 1 / rate_hz, StreamSettings().lead_s
    allowed = farthest_way(rows[after, 1][0], period_s, lead_s, limits)
    rest_s = float(moments_s[after][rests] - at_s) if rests > 0 else float("nan")
    return Outcome(rest_s, float(way.max()), float((way / allowed).max()), peak)


def main() -> None:
    """Print the table, and its figures as ``name: value``."""
    options = tyro.cli(Options)
    kinds = [(victim, 0.0) for victim in options.victims]
    kinds += [(COMMANDS, hole_ms / 1e3) for hole_ms in options.holes_ms]
    if options.quick:
        options, kinds = replace(options, repeats=1), kinds[3:4]
    use_own_domain()
    table = Table("victim", "stopped for", "times", "rest after, ms", "way", "of allowed", "a/A")
    lines = [f"load: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"]
    for victim, hole_s in kinds:
        found = [injected(victim, hole_s, options.rate_hz) for _ in range(options.repeats)]
        is_final = victim in (CONTROLLER, EVERYTHING, LINK)
        cells = {
            "rest_ms": f"{1e3 * max(each.rest_s for each in found):.0f}" if is_final else "",
            "way": f"{max(each.way for each in found):.3f}" if is_final else "",
            "of_allowed": f"{max(each.share for each in found):.3f}" if is_final else "",
            "peak": f"{max(each.peak for each in found):.3f}",
        }
        length = f"{1e3 * hole_s:.0f} ms" if hole_s else ENDS.get(victim, "killed")
        table.add_row(victim, length, f"{len(found)}", *cells.values())
        key = f"{victim} {length}".strip().replace(",", "").replace(" ", "_")
        lines += [f"{key}_{name}: {value}" for name, value in cells.items() if value]
        print(victim, length, *found, flush=True)
    Console(width=120).print(table)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
