"""How long everything takes to begin, what memory it takes, and how fast a death is taken over.

python benchmarks/startup.py --before ../earlier
python benchmarks/startup.py --quick

The help of each command; a controller from `ddpm start controller` to its first RUNNING, beside a
simulation that runs; the memory of each of its processes then (resident; proportional: what is
shared counts once in all; and the peak); and the longest time without a command, in control
periods, after the process that commands is killed while the robot moves, and again half a
second later. With another checkout, which has an environment of its own, both are measured in
turn. Medians, with the largest in brackets.
"""

import os
import resource
import signal
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import rclpy
import tyro
from ddpm_msgs.msg import ControllerStatus
from live_processes import descendants, name_of, words_of
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rich.console import Console
from rich.table import Table
from trajectory_msgs.msg import JointTrajectory

from ddpm_controller.cli.main import COMMANDS, shown
from ddpm_controller.ros.graph.own_graph import parameter_file, use_own_domain
from ddpm_controller.ros.graph.supervisor import started

HERE = Path(__file__).resolve().parents[1]
PATIENCE_S = 120.0
SETTLED_S, SECOND_S, AFTER_S = 5.0, 0.5, 8.0
KINDS = ("controller", "zygote", "commands", "standby")


@dataclass(frozen=True)
class Options:
    """Start, memory and takeovers.

    Attributes:
        before: Another checkout to compare with.
        world: Task, whose shipped checkpoint is run.
        rate_hz: Control rate, 100 at the most.
        helps: Repetitions of the help of each command.
        starts: Starts of a controller, each with two kills.
        quick: Once each, and the help of some commands, within a minute.
    """

    before: Path | None = None
    world: str = "reach"
    rate_hz: float = 100.0
    helps: int = 3
    starts: int = 5
    quick: bool = False


class Listener(Node):
    """Notes when commands and states arrive, monotonic time."""

    def __init__(self) -> None:
        super().__init__("startup")
        self.commands_s: list[float] = []
        self.running_s: float | None = None
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self)
        latched = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.create_subscription(
            JointTrajectory,
            "joint_trajectory",
            lambda message: self.commands_s.append(time.monotonic()),
            QoSProfile(depth=1000),
        )
        self.create_subscription(ControllerStatus, "controller/status", self._on_status, latched)

    def _on_status(self, message: ControllerStatus) -> None:
        if message.state == ControllerStatus.STATE_RUNNING and self.running_s is None:
            self.running_s = time.monotonic()

    def listen(self, duration_s: float) -> None:
        """Take what comes for ``duration_s``."""
        end_s = time.monotonic() + duration_s
        while (left_s := end_s - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left_s)

    def longest_gap_s(self, since_s: float) -> float:
        """Return the longest time without a command since ``since_s``, and until now."""
        moments_s = [each for each in self.commands_s if each > since_s]
        ends_s = [*moments_s, time.monotonic()]
        return max(b - a for a, b in zip([since_s, *moments_s], ends_s, strict=True))


def python_of(checkout: Path) -> str:
    """Return the interpreter of a checkout, or this one."""
    own = checkout / ".venv" / "bin" / "python"
    return str(own) if own.exists() else sys.executable


def environment_of(checkout: Path) -> dict[str, str]:
    """Return the environment in which a checkout's own package is found."""
    return {**os.environ, "PYTHONPATH": str(checkout)}


def help_s(checkout: Path, command: str) -> tuple[float, float]:
    """Return wall and CPU time of a command's help."""
    before_s, began_s = _children_s(), time.monotonic()
    subprocess.run(
        [python_of(checkout), "-P", "-m", "ddpm_controller.cli.main", command, "--help"],
        env=environment_of(checkout),
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.monotonic() - began_s, _children_s() - before_s


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@contextmanager
def controller(checkout: Path, options: Options, params_file: str) -> Iterator[int]:
    """Have a controller; yield the number of what has begun it."""
    folder = HERE / "models" / options.world
    command = [python_of(checkout), "-P", "-m", "ddpm_controller.cli.main", "start", "controller"]
    command += [f"checkpoint:={folder}", f"params_file:={params_file}", "log_level:=fatal"]
    child = subprocess.Popen(
        command,
        env=environment_of(checkout),
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield child.pid
    finally:
        child.send_signal(signal.SIGINT)
        child.wait()


def processes(pid: int) -> dict[str, list[int]]:
    """Return the processes of a controller by what they do, those that are older first."""
    found = defaultdict[str, list[int]](list)
    for each in sorted(descendants(pid), key=_begun):
        words, name = words_of(each), name_of(each)
        if "__node:=controller" in words:
            found["controller"].append(each)
        elif name in KINDS:
            found[name].append(each)
        elif "command_process" in words:  # each begun by itself, without a name
            found["standby" if found["commands"] else "commands"].append(each)
    return found


def _begun(pid: int) -> int:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    return int(stat.rpartition(")")[2].split()[19])


def memory_mb(pid: int) -> dict[str, float]:
    """Return what a process has: resident, proportional (shared parts divided), and its peak."""
    folder = Path("/proc") / str(pid)
    lines = (folder / "status").read_text() + (folder / "smaps_rollup").read_text()
    kilobytes = {}
    for line in lines.splitlines():
        name, _, text = line.partition(":")
        if text.strip().endswith("kB"):
            kilobytes[name] = int(text.split()[0])
    names = {"RSS": "Rss", "PSS": "Pss", "peak": "VmHWM"}
    return {name: kilobytes[key] / 1024 for name, key in names.items()}


def one_start(checkout: Path, options: Options, figures: dict[str, list[float]]) -> None:
    """Start a controller, measure it, kill twice."""
    parameters = {
        "run_on_activate": True,
        "start.distance": "any",
        "control_rate_hz": options.rate_hz,
    }
    with parameter_file(parameters) as params_file:
        listener = Listener()
        began_s = time.monotonic()
        with controller(checkout, options, params_file) as pid:
            while listener.running_s is None:
                if time.monotonic() - began_s > PATIENCE_S:
                    raise SystemExit(f"{checkout}: it does not run within {PATIENCE_S:g} s")
                listener.listen(0.01)
            figures["ready, s"].append(listener.running_s - began_s)
            listener.listen(SETTLED_S)
            _note_memory(processes(pid), figures)
            for name in ("first", "second"):
                killed_s = time.monotonic()
                os.kill(processes(pid)["commands"][0], signal.SIGKILL)
                listener.listen(SECOND_S if name == "first" else AFTER_S)
                ticks = listener.longest_gap_s(killed_s) * options.rate_hz
                figures[f"{name} death, periods without a command"].append(ticks)
        listener.destroy_node()


def _note_memory(found: dict[str, list[int]], figures: dict[str, list[float]]) -> None:
    sums = defaultdict[str, float](float)
    for kind in KINDS:
        each_mb = [memory_mb(pid) for pid in found[kind]]
        for what in ("RSS", "PSS", "peak"):
            mb = sum(each[what] for each in each_mb)
            if each_mb:
                figures[f"{kind}, {what}, MB"].append(mb)
            sums[f"all, {what}, MB"] += mb
            if kind != "controller":
                sums[f"all that command or stand by, {what}, MB"] += mb
    for name, mb in sums.items():
        figures[name].append(mb)


def main() -> None:
    """Print the table, and its figures as ``name: value``."""
    options = tyro.cli(Options)
    checkouts = {"after": HERE}
    if options.before is not None:
        checkouts = {"before": options.before.resolve(), **checkouts}
    commands = [name for group in COMMANDS.values() for name in group]
    helps, starts = options.helps, options.starts
    if options.quick:
        commands, helps, starts = ["status", "train", "controller"], 1, 1
    figures = {name: defaultdict[str, list[float]](list) for name in checkouts}
    for _ in range(helps):
        for command in map(shown, commands):
            for name, checkout in checkouts.items():
                wall_s, cpu_s = help_s(checkout, command)
                figures[name][f"{command} --help, s"].append(wall_s)
                figures[name][f"{command} --help, CPU s"].append(cpu_s)
    use_own_domain()
    with ExitStack() as stack:
        world = {"world": options.world, "driver": "controllers", "log_level": "error"}
        stack.enter_context(started("simulation", world))
        rclpy.init()
        stack.callback(rclpy.try_shutdown)
        for _ in range(starts):
            for name, checkout in checkouts.items():
                one_start(checkout, options, figures[name])
    show(figures)


def show(figures: dict[str, dict[str, list[float]]]) -> None:
    """Print the table and the lines."""
    table = Table("", *figures)
    lines = [f"load: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"]
    names = dict.fromkeys(name for each in figures.values() for name in each)
    for name in names:
        row = []
        for side, found in figures.items():
            values = found.get(name, [])
            if not values:
                row.append("")
                continue
            middle, most = statistics.median(values), max(values)
            row.append(f"{middle:.2f} ({most:.2f})")
            key = name.replace(",", "").replace(" ", "_").replace("-", "_").strip("_")
            lines.append(f"{side}_{key}: {middle:.3f}")
        table.add_row(name, *row)
    Console(width=110).print(table)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
