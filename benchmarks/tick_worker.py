"""Cost of a tick of the process that commands: single points, trajectories that end at rest.

python benchmarks/command_cost.py
python benchmarks/command_cost.py --quick

Each row is one real command process, which takes an order each tick, ticks on its own clock and
publishes to a listener. CPU time is that of all its threads, by the kernel, per tick. The
processes take turns, a second or so each, and rest otherwise; a ratio is that of two neighbouring
turns. Between the 25 % and 75 % quantiles there is the spread.
"""

import math
import os
import time
from dataclasses import dataclass, field, replace

import numpy as np
import rclpy
import tyro
from rclpy.qos import QoSProfile
from rich.console import Console
from rich.table import Table
from trajectory_msgs.msg import JointTrajectory
from trajectory_stream import CHUNK_S, LIMITS, NUM_ROWS, ROW_S, wish

from ddpm_controller.control.moving.motion_loop import Order
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.control.moving.stream_settings import StreamSettings
from ddpm_controller.control.states import State, Verdict
from ddpm_controller.robots.outputs import JOINT_TRAJECTORY, RobotOutput
from ddpm_controller.ros.commanding.command_link import CommandLink
from ddpm_controller.ros.commanding.command_messages import CommandSettings
from ddpm_controller.types import ActionChunk

TARGETS = {7: 1.3, 29: 2.0}
"""Number of joints -> CPU time of a streamed tick, as a multiple of that of a single point."""
RATES_HZ = (100, 500)
FORMS = ("single_point", "rest_ended")
WARM_S = 0.8
"""Of a turn, that is not measured: a run begins at rest, with a message of its own."""
PATIENCE_S = 60.0
RUNNING, WAITING = Verdict(State.RUNNING), Verdict(State.WAITING)


@dataclass(frozen=True)
class Options:
    """Cost of a tick of the command process.

    Attributes:
        seconds: Measured in each turn.
        rounds: Turns of each process.
        joints: Numbers of joints.
        quick: Short turns, within a minute.
    """

    seconds: float = 2.0
    rounds: int = 9
    joints: tuple[int, ...] = (7, 29)
    quick: bool = False


def limits_of(num_joints: int) -> JointLimits:
    """Return those of a Franka, over and over again."""
    rows = {
        name: np.resize(row, num_joints) for name, row in vars(LIMITS).items() if row is not None
    }
    return JointLimits(**rows)


@dataclass
class Commander:
    """One command process.

    Attributes:
        form: Form of its commands.
        num_joints: Number of joints.
        rate_hz: Ticks per second.
        costs_s: CPU time of a tick, turn by turn.
    """

    form: str
    num_joints: int
    rate_hz: int
    costs_s: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._names = tuple(f"joint{i + 1}" for i in range(self.num_joints))
        self._limits = limits_of(self.num_joints)
        self._period_s = 1 / self.rate_hz
        units = ("rad",) * self.num_joints
        settings = CommandSettings(
            node_name=f"commands_{self.name}",
            namespace="/",
            outputs=(RobotOutput("arm", f"/{self.name}", JOINT_TRAJECTORY, self._names, units),),
            status_topic=f"/{self.name}_status",
            period_s=self._period_s,
            fade_s=0.2,
            stop_s=0.2,
            silence_s=2.0,
            priority=0,
            stream=None if self.form == "single_point" else StreamSettings(),
        )
        self._link = CommandLink(settings)

    @property
    def name(self) -> str:
        """Of the row."""
        return f"{self.form}_{self.num_joints}_joints_{self.rate_hz}_hz"

    def until_ready(self) -> None:
        """Wait until it has begun."""
        end_s = time.monotonic() + PATIENCE_S
        while not self._link.is_ready:
            if time.monotonic() > end_s:
                raise SystemExit(f"{self.name} has not begun within {PATIENCE_S:g} s")
            time.sleep(0.05)
            self._link.heard()

    def take_turn(self, seconds: float) -> None:
        """Move for ``seconds`` and rest."""
        begin_s = time.time()
        self._lead(begin_s, begin_s + WARM_S)
        before_s = cpu_s(self._link.pid)
        ticks = self._lead(begin_s, begin_s + WARM_S + seconds)
        self.costs_s.append((cpu_s(self._link.pid) - before_s) / ticks)
        self._link.send(Order(WAITING), self._limits)
        while not self._link.is_quiet:
            time.sleep(0.01)
            self._link.heard()

    def close(self) -> None:
        """End it."""
        self._link.close()

    def _lead(self, begin_s: float, end_s: float) -> int:
        """Send an order each tick until ``end_s``; return how many commands were made."""
        count, chunk_s = 0, -math.inf
        due_s = time.time()
        begins = due_s - begin_s < WARM_S / 2
        while due_s < end_s:
            time.sleep(max(due_s - time.time(), 0.0))
            chunk = begin_at = None
            if due_s >= chunk_s + CHUNK_S:
                chunk_s = due_s
                rows = [self._wish(due_s - begin_s + i * ROW_S) for i in range(NUM_ROWS)]
                chunk = ActionChunk(due_s, ROW_S, self._names, np.array(rows))
                begin_at = rows[0] if begins else None
                begins = False
            self._link.send(Order(RUNNING, chunk, begin_at), self._limits)
            count += sum(bool(told.motion) for told in self._link.heard())
            due_s += self._period_s
        return count

    def _wish(self, passed_s: float) -> np.ndarray:
        return np.resize(wish(passed_s), self.num_joints)


def cpu_s(pid: int) -> float:
    """Return the CPU time of all threads of a process, by the clock that Linux has for it."""
    return time.clock_gettime((~pid << 3) | 2)


def main() -> None:
    """Print the table, and the ratios as ``name: value``."""
    options = tyro.cli(Options)
    if options.quick:
        options = replace(options, seconds=1.0, rounds=2)
    rclpy.init()
    node = rclpy.create_node("cost")
    commanders = []
    for num_joints in options.joints:
        for rate_hz in RATES_HZ:
            for form in FORMS:
                each = Commander(form, num_joints, rate_hz)
                commanders.append(each)
                topic = f"/{each.name}"
                node.create_subscription(
                    JointTrajectory, topic, lambda message: None, QoSProfile(depth=1)
                )
    try:
        for each in commanders:
            each.until_ready()
        for _ in range(options.rounds):
            for each in commanders:
                each.take_turn(options.seconds)
    finally:
        for each in commanders:
            each.close()
        node.destroy_node()
        rclpy.shutdown()
    show(commanders)


def show(commanders: list[Commander]) -> None:
    """Print what was found."""
    table = Table(
        "joints", "Hz", "single point, µs", "rest ended, µs", "ratio", "target at 100 Hz"
    )
    lines = [f"cores: {os.cpu_count()}", f"load: {os.getloadavg()[0]:.1f}"]
    for single, streamed in zip(commanders[::2], commanders[1::2], strict=True):
        ratios = np.array(streamed.costs_s) / np.array(single.costs_s)
        target = f"{TARGETS.get(single.num_joints, math.inf):g}" if single.rate_hz == 100 else ""
        table.add_row(
            f"{single.num_joints}",
            f"{single.rate_hz}",
            *(spread(1e6 * np.array(each.costs_s), ".0f") for each in (single, streamed)),
            spread(ratios, ".2f"),
            target,
        )
        for each in (single, streamed):
            lines.append(f"{each.name}_us: {1e6 * np.median(each.costs_s):.1f}")
        name = f"ratio_{single.num_joints}_joints_{single.rate_hz}_hz"
        lines.append(f"{name}: {np.median(ratios):.3f}")
        if target:
            lines.append(f"{name}_target: {target}")
    Console(width=120).print(table)
    print("\n".join(lines))


def spread(values: np.ndarray, form: str) -> str:
    """Return median and quartiles."""
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return f"{middle:{form}} ({low:{form}} to {high:{form}})"


if __name__ == "__main__":
    main()
