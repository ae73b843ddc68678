"""Period of the commands under load: from a process of their own, in the node, and a bare timer.

A stand-in robot sends 500 Hz of joint states and two 640x480 cameras at 30 Hz; the controller
plans all the while with the shipped `pick_place` policy. Once it commands from its command
process, once from a thread beside the denoiser; each time a bare rclpy timer that does nothing
runs beside it, and a loop that only sleeps, at the command process's real-time priority: what it
misses no program on this machine keeps. Error: how far a period is from its length; trajectories
leave at 100 Hz at the most. Missed: commands that never came. Times are those at which DDS took
the commands; delays of the listener do not count.

    python benchmarks/fixed_rate.py --rates 100 200 500 --duration-s 300
"""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE

import numpy as np
import tyro
from command_stream import controller_memory_mb, running_beside
from rich.console import Console
from rich.table import Table

from ddpm_controller.control.moving.stream_settings import StreamSettings

BARE_TIMER = """
import sys, time, rclpy
from rclpy.executors import SingleThreadedExecutor
rclpy.init()
node, times, period = rclpy.create_node("bare_timer"), [], 1 / float(sys.argv[1])
node.create_timer(period, lambda: times.append(time.time()))
executor = SingleThreadedExecutor(); executor.add_node(node)
end = time.time() + float(sys.argv[2])
while time.time() < end: executor.spin_once(timeout_sec=0.1)
print(" ".join(map(repr, times)))
"""

BARE_LOOP = """
import os, sys, time
rate, duration, priority = float(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
try: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
except PermissionError: pass
times, due = [], time.monotonic()
end = due + duration
while due < end:
    due += 1 / rate
    time.sleep(max(due - time.monotonic(), 0))
    times.append(time.monotonic())
    due += max(int((times[-1] - due) * rate), 0) / rate
print(" ".join(map(repr, times)))
"""


@dataclass(frozen=True)
class Options:
    """Measure command periods.

    Attributes:
        rates: Control rates, Hz.
        duration_s: Of each measurement.
        checkpoint: What runs.
        in_node: Measure commands from the node, too.
        priority: Of the loop that only sleeps; as ``command.priority``.
    """

    rates: tuple[float, ...] = (100.0, 200.0, 500.0)
    duration_s: float = 300.0
    checkpoint: Path = Path("models/pick_place")
    in_node: bool = True
    priority: int = 50


def figures(times_s: np.ndarray, rate_hz: float) -> list[str]:
    """Count; p50, p99, p99.9 and largest error of the period in ms; commands that never came."""
    periods = np.diff(times_s)
    missed = max(round((times_s[-1] - times_s[0]) * rate_hz) - len(periods), 0)
    errors = np.abs(periods - 1 / rate_hz) * 1e3
    values = [*np.percentile(errors, [50, 99, 99.9]), errors.max()]
    return [str(len(times_s)), *(f"{value:.2f}" for value in values), str(missed)]


def main() -> int:
    """Run the measurements and print the table."""
    options = tyro.cli(Options)
    table = Table(title=f"error of the period of commands over {options.duration_s:.0f} s, ms")
    for column in ("rate, Hz", "what", "count", "p50", "p99", "p99.9", "max", "missed", "peak MB"):
        table.add_column(column, justify="right")
    for rate_hz in options.rates:
        for name, own_process in (("command process", True), ("in the node", False)):
            if not own_process and not options.in_node:
                continue
            times, timer, loop, memory = measured(options, rate_hz, own_process)
            messages_hz = min(rate_hz, 1 / StreamSettings.message_period_s)
            table.add_row(f"{rate_hz:.0f}", name, *figures(times, messages_hz), f"{memory:.0f}")
            table.add_row("", "bare timer beside", *figures(timer, rate_hz), "")
            table.add_row("", "bare real-time loop beside", *figures(loop, rate_hz), "")
    Console(width=110).print(table)
    return 0


def measured(
    options: Options, rate_hz: float, own_process: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Return times of commands, bare timer and bare loop, s, and the memory of the node, MB."""
    with running_beside(options.checkpoint, rate_hz, own_process) as stream:
        words = [str(rate_hz), str(options.duration_s), str(options.priority)]
        beside = [
            subprocess.Popen([sys.executable, "-c", program, *words], stdout=PIPE, text=True)
            for program in (BARE_TIMER, BARE_LOOP)
        ]
        stream.listen(options.duration_s)
        times = np.array(sorted(stream.published_s))
        memory = controller_memory_mb()
        timer, loop = (
            np.array([float(word) for word in each.communicate()[0].split()]) for each in beside
        )
    return times, timer, loop, memory


if __name__ == "__main__":
    raise SystemExit(main())
