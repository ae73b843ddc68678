"""One side of ``tick.py``: a checkout whose ticks are measured, asked line by line.

Each line of the standard input is a JSON list, a name and its arguments; the answer is a line of
JSON behind ``ANSWER``. The process imports the package of its own environment.
"""

import json
import math
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import rclpy
from rclpy.node import Node
from rclpy.qos import QoSProfile
from trajectory_msgs.msg import JointTrajectory
from trajectory_stream import CHUNK_S, LIMITS, NUM_ROWS, ROW_S, wish

from ddpm_controller.control.moving.governor import Governor
from ddpm_controller.control.moving.leading_motion import LeadingMotion, tick_of
from ddpm_controller.control.moving.motion_loop import MotionLoop, Order
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.control.moving.stream_settings import StreamSettings
from ddpm_controller.control.states import State, Verdict
from ddpm_controller.robots.outputs import JOINT_TRAJECTORY, RobotOutput
from ddpm_controller.ros.commanding.command_link import CommandLink
from ddpm_controller.ros.commanding.command_messages import CommandSettings
from ddpm_controller.types import ActionChunk

ANSWER = "@answer "
WARM_S = 0.8
"""Of a turn, that is not measured: a run begins at rest, with a message of its own."""
PATIENCE_S = 60.0
BEGIN_S = 1.7e9
RUNNING, WAITING = Verdict(State.RUNNING), Verdict(State.WAITING)


def limits_of(num_joints: int) -> JointLimits:
    """Return those of a Franka, over and over again."""
    rows = {
        name: np.resize(row, num_joints) for name, row in vars(LIMITS).items() if row is not None
    }
    return JointLimits(**rows)


def chunk_at(now_s: float, begin_s: float, names: tuple[str, ...], kind: str) -> ActionChunk:
    """Return a plan: ``smooth`` sines within the limits, or larger ones ``with jumps``.

    It begins a row before ``now_s``, as one whose observation is past.
    """
    now_s -= ROW_S
    moments_s = now_s - begin_s + ROW_S * np.arange(NUM_ROWS)
    if kind == "smooth":
        joints = np.arange(7)
        rows = 0.05 * (2 + joints) * np.sin(2 * np.pi * np.outer(moments_s, 0.3 + 0.05 * joints))
    else:
        rows = np.array([wish(each_s) for each_s in moments_s])
    wide = np.tile(rows, (1, -(-len(names) // 7)))[:, : len(names)]
    return ActionChunk(now_s, ROW_S, names, wide)


class TimedGovernor(Governor):
    """A governor that counts the CPU time of its steps."""

    spent_ns = 0

    def step(self, *arguments: Any, **more: Any) -> Any:
        """As the governor, with its time."""
        begin_ns = time.thread_time_ns()
        found = super().step(*arguments, **more)
        self.spent_ns += time.thread_time_ns() - begin_ns
        return found


def in_process(
    num_joints: int, rate_hz: int, form: str, kind: str, seconds: float
) -> dict[str, float]:
    """Return the CPU time of a tick of the governor and of the motion around it, in µs.

    ``limited`` is the share of ticks that count as limited.
    """
    names = tuple(f"joint{i + 1}" for i in range(num_joints))
    limits, period_s = limits_of(num_joints), 1 / rate_hz
    leads = form == "rest_ended"
    motion: LeadingMotion | MotionLoop
    if leads:
        motion = LeadingMotion(names, limits, period_s, StreamSettings())
        inner = motion.motion
    else:
        motion = inner = MotionLoop(limits, period_s)
    governor = TimedGovernor(motion.stream._limits if leads else limits, period_s)
    inner._governor = governor
    chunk_s, begin_at = -math.inf, chunk_at(0.0, 0.0, names, kind).actions[0]
    count = limited = spent_ns = 0
    for i in range(round((WARM_S + seconds) * rate_hz)):
        now_s = BEGIN_S + i * period_s
        chunk = None
        if now_s >= chunk_s + CHUNK_S:
            chunk_s, chunk = now_s, chunk_at(now_s, BEGIN_S, names, kind)
        order = Order(RUNNING, chunk, begin_at)
        begin_at = None
        begin_ns = time.thread_time_ns()
        commands = tick_of(motion, now_s, order).commands
        if i * period_s < WARM_S:
            governor.spent_ns = 0
            continue
        spent_ns += time.thread_time_ns() - begin_ns
        count += len(commands)
        limited += sum(bool(each.limited) for each in commands)
    return {
        "governor": governor.spent_ns / count / 1e3,
        "motion": spent_ns / count / 1e3,
        "limited": limited / count,
    }


class Commander:
    """One command process, which takes an order each tick and ticks on its own clock.

    Args:
        node: Has the listener.
        name: Of its topic.
        form: Form of its commands.
        num_joints: Number of joints.
        rate_hz: Ticks per second.
    """

    def __init__(self, node: Node, name: str, form: str, num_joints: int, rate_hz: int) -> None:
        self._names = tuple(f"joint{i + 1}" for i in range(num_joints))
        self._limits, self._period_s = limits_of(num_joints), 1 / rate_hz
        qos = QoSProfile(depth=1)
        node.create_subscription(JointTrajectory, f"/{name}", lambda message: None, qos)
        units = ("rad",) * num_joints
        settings = CommandSettings(
            node_name=f"commands_{name}",
            namespace="/",
            outputs=(RobotOutput("arm", f"/{name}", JOINT_TRAJECTORY, self._names, units),),
            status_topic=f"/{name}_status",
            period_s=self._period_s,
            fade_s=0.2,
            stop_s=0.2,
            silence_s=2.0,
            priority=0,
            stream=None if form == "single_point" else StreamSettings(),
        )
        self._link = CommandLink(settings)
        end_s = time.monotonic() + PATIENCE_S
        while not self._link.is_ready:
            if time.monotonic() > end_s:
                raise SystemExit(f"{name} has not begun within {PATIENCE_S:g} s")
            time.sleep(0.05)
            self._link.heard()

    def turn(self, kind: str, seconds: float) -> float:
        """Move for ``seconds`` and rest; return the CPU time of a tick, µs."""
        begin_s = time.time()
        self._lead(kind, begin_s, begin_s + WARM_S)
        before_s = cpu_s(self._link.pid)
        ticks = self._lead(kind, begin_s, begin_s + WARM_S + seconds)
        cost_s = (cpu_s(self._link.pid) - before_s) / ticks
        self._link.send(Order(WAITING), self._limits)
        while not self._link.is_quiet:
            time.sleep(0.01)
            self._link.heard()
        return 1e6 * cost_s

    def close(self) -> None:
        """End it."""
        self._link.close()

    def _lead(self, kind: str, begin_s: float, end_s: float) -> int:
        """Send an order each tick until ``end_s``; return how many commands were made."""
        count, chunk_s = 0, -math.inf
        due_s = time.time()
        begins = due_s - begin_s < WARM_S / 2
        while due_s < end_s:
            time.sleep(max(due_s - time.time(), 0.0))
            chunk = begin_at = None
            if due_s >= chunk_s + CHUNK_S:
                chunk_s, chunk = due_s, chunk_at(due_s, begin_s, self._names, kind)
                begin_at = chunk.actions[0] if begins else None
                begins = False
            self._link.send(Order(RUNNING, chunk, begin_at), self._limits)
            count += sum(bool(told.motion) for told in self._link.heard())
            due_s += self._period_s
        return count


def cpu_s(pid: int) -> float:
    """Return the CPU time of all threads of a process, by the clock that Linux has for it."""
    return time.clock_gettime((~pid << 3) | 2)


def main() -> None:
    """Answer until the input ends; the only argument is a word for the names of topics."""
    rclpy.init()
    node = rclpy.create_node(f"ticks_{sys.argv[1]}")
    commander: Commander | None = None
    try:
        for line in sys.stdin:
            kind, arguments = json.loads(line)
            answer: Any = None
            if kind == "in_process":
                answer = in_process(*arguments)
            elif kind == "open":
                form, num_joints, rate_hz = arguments
                name = f"{sys.argv[1]}_{form}_{num_joints}_joints_{rate_hz}_hz"
                commander = Commander(node, name, form, num_joints, rate_hz)
            elif commander is not None:
                calls: dict[str, Callable[..., Any]] = {
                    "turn": commander.turn,
                    "close": commander.close,
                }
                answer = calls[kind](*arguments)
            print(ANSWER + json.dumps(answer), flush=True)
    finally:
        if commander is not None:
            commander.close()
        node.destroy_node()
        rclpy.shutdown()


if __name__ == "__main__":
    main()
