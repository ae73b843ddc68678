"""A live pick_place beside two busy loops: does it need OMP_NUM_THREADS from its user?

Simulation and controller run with the shipped policy in real time. As soon as the arm moves, two
processes that only compute take what they can of the cores, and for a while the plans are counted
and the time in RUNNING is taken. Once with OMP_NUM_THREADS=1 in the environment, once without
any such variable, in turn. Where a pool of threads had a thread a core, it would plan far slower.

    python benchmarks/busy_machine.py
    python benchmarks/busy_machine.py --quick
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

import psutil
import tyro
from command_stream import running_arm
from ddpm_msgs.msg import ActionChunk, ControllerStatus
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rich.console import Console
from rich.table import Table

POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Variables by which a user bounds the pools of threads of numpy and torch."""
ARMS = {"one": "OMP_NUM_THREADS=1", "unset": "unset"}
BUSY = "while True: pass"
WARM_UP_S = 2.0


@dataclass(frozen=True)
class Options:
    """Count plans on a busy machine.

    Attributes:
        checkpoint: Folder of the policy that runs.
        repeats: Measurements with the variable, and as many without it.
        duration_s: Length of each measurement.
        loops: Processes that only compute.
        control_rate_hz: Rate of the controller.
        quick: One short measurement of each, within a minute.
    """

    checkpoint: Path = Path("models/pick_place")
    repeats: int = 5
    duration_s: float = 30.0
    loops: int = 2
    control_rate_hz: float = 50.0
    quick: bool = False


@dataclass(frozen=True)
class Figures:
    """One measurement.

    Attributes:
        plans_per_s: Chunks taken over in a second.
        running: Share of the time in RUNNING.
        threads: Threads of the controller and the simulation.
    """

    plans_per_s: float
    running: float
    threads: int


class Listener(Node):
    """Counts what a controller takes over, and how long it runs."""

    def __init__(self) -> None:
        super().__init__("busy_machine")
        self.plans = 0
        self.states: list[tuple[float, int]] = []
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self)
        deep = QoSProfile(depth=500)
        self.create_subscription(ActionChunk, "controller/action_chunk", self._on_chunk, deep)
        self.create_subscription(ControllerStatus, "controller/status", self._on_status, deep)

    def _on_chunk(self, message: ActionChunk) -> None:
        self.plans += 1

    def _on_status(self, message: ControllerStatus) -> None:
        stamp = message.header.stamp
        self.states.append((stamp.sec + stamp.nanosec * 1e-9, message.state))

    def listen(self, duration_s: float) -> None:
        """Take what comes for ``duration_s``."""
        end_s = time.monotonic() + duration_s
        while (left_s := end_s - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=min(left_s, 0.05))

    def measured(self, duration_s: float) -> Figures:
        """Return what happens from now on."""
        self.plans = 0
        self.states.clear()
        begin_s = time.monotonic()
        self.listen(duration_s)
        passed_s = time.monotonic() - begin_s
        return Figures(self.plans / passed_s, share_running(self.states), threads_of_nodes())


def share_running(states: list[tuple[float, int]]) -> float:
    """Return the share of the time in RUNNING, each state lasting until the next status."""
    spans = [
        (after_s - before_s, state == ControllerStatus.STATE_RUNNING)
        for (before_s, state), (after_s, _) in pairwise(states)
    ]
    whole_s = sum(span_s for span_s, _ in spans)
    return sum(span_s for span_s, runs in spans if runs) / whole_s if whole_s > 0 else float("nan")


def threads_of_nodes() -> int:
    """Return how many threads the nodes below this process have."""
    found = 0
    for each in psutil.Process().children(recursive=True):
        try:
            if any(word.startswith("__node:=") for word in each.cmdline()):
                found += each.num_threads()
        except psutil.NoSuchProcess:
            continue
    return found


@contextmanager
def environment(arm: str) -> Iterator[None]:
    """Have the variable as one finds it in the environment of a user."""
    before = {name: os.environ.pop(name, None) for name in POOLS}
    try:
        if arm == "one":
            os.environ["OMP_NUM_THREADS"] = "1"
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


@contextmanager
def busy(loops: int) -> Iterator[None]:
    """Have processes that take all that they can of the cores."""
    children = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(loops)]
    try:
        yield
    finally:
        for child in children:
            child.kill()
        for child in children:
            child.wait()


def measured(options: Options, arm: str, duration_s: float) -> Figures:
    """Return the figures of one graph from its beginning."""
    with (
        environment(arm),
        running_arm("pick_place", options.checkpoint, options.control_rate_hz),
        busy(options.loops),
    ):
        listener = Listener()
        try:
            listener.listen(WARM_UP_S)
            return listener.measured(duration_s)
        finally:
            listener.destroy_node()


def main() -> None:
    """Run the command."""
    options = tyro.cli(Options)
    repeats, duration_s = (1, 6.0) if options.quick else (options.repeats, options.duration_s)
    found: dict[str, list[Figures]] = {arm: [] for arm in ARMS}
    for repeat in range(repeats):
        # In turn the one and the other first: a machine that becomes busier hits both alike.
        for arm in list(ARMS)[:: 1 if repeat % 2 == 0 else -1]:
            found[arm].append(measured(options, arm, duration_s))
    show(options, found, duration_s)


def show(options: Options, found: dict[str, list[Figures]], duration_s: float) -> None:
    """Print the table and the figures."""
    repeats = len(found["one"])
    table = Table(
        "environment", "plans a second", "share running", "threads",
        title=f"pick_place beside {options.loops} busy loops on {os.cpu_count()} cores: median "
        f"(least to most) of {repeats} x {duration_s:g} s",
    )  # fmt: skip
    for arm, label in ARMS.items():
        table.add_row(label, *(spread([getattr(e, name) for e in found[arm]]) for name in NAMES))
    Console(width=110).print(table)
    for name in NAMES:
        middle = {arm: median(getattr(each, name) for each in found[arm]) for arm in ARMS}
        for arm in ARMS:
            print(f"{name}_{arm}: {middle[arm]:.3f}")
        apart = middle["unset"] / middle["one"] if middle["one"] else float("nan")
        print(f"{name}_unset_to_one: {apart:.3f}")


NAMES = ("plans_per_s", "running", "threads")


def spread(values: list[float]) -> str:
    """Return median, least and most."""
    return f"{median(values):.3f} ({min(values):.3f} to {max(values):.3f})"


if __name__ == "__main__":
    main()
