"""Command period of the running controller, beside a bare rclpy timer in the same run.

The simulated arm runs `pick_place` in real time with both cameras; the controller plans all the
while. A command is late when it comes more than half a period after its time, and missed when it
never comes. Times are those at which DDS took the commands; delays of the listener do not count.

    python benchmarks/fixed_rate.py --rates 50 100 200 --duration-s 60
"""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from command_stream import controller_memory_mb, running_arm
from rich.console import Console
from rich.table import Table

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


@dataclass(frozen=True)
class Options:
    """Measure command periods.

    Attributes:
        rates: Control rates, Hz.
        duration_s: Of each measurement.
        checkpoint: What runs.
    """

    rates: tuple[float, ...] = (50.0, 100.0, 200.0)
    duration_s: float = 60.0
    checkpoint: Path = Path("models/pick_place")


def figures(times_s: np.ndarray, rate_hz: float) -> list[str]:
    """p50, p99, max of the period in ms; commands that never came; those that came late."""
    periods = np.diff(times_s)
    missed = round((times_s[-1] - times_s[0]) * rate_hz) - len(periods)
    late = int((periods * rate_hz > 1.5).sum())
    p50, p99 = np.percentile(periods, [50, 99]) * 1e3
    longest = periods.max() * 1e3
    return [f"{p50:.2f}", f"{p99:.2f}", f"{longest:.2f}", str(missed), str(late)]


def main() -> int:
    """Run the measurements and print the table."""
    options = tyro.cli(Options)
    table = Table(title=f"period of commands over {options.duration_s:.0f} s, ms")
    for column in ("rate, Hz", "what", "p50", "p99", "max", "missed", "late", "peak MB"):
        table.add_column(column, justify="right")
    for rate_hz in options.rates:
        with running_arm("pick_place", options.checkpoint, rate_hz) as stream:
            words = [sys.executable, "-c", BARE_TIMER, str(rate_hz), str(options.duration_s)]
            timer = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
            stream.listen(options.duration_s)
            times = np.array(sorted(stream.published_s))
            memory = f"{controller_memory_mb():.0f}"
            bare = np.array([float(word) for word in timer.communicate()[0].split()])
        table.add_row(f"{rate_hz:.0f}", "controller", *figures(times, rate_hz), memory)
        table.add_row(f"{rate_hz:.0f}", "bare rclpy timer", *figures(bare, rate_hz), "")
    Console(width=110).print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
