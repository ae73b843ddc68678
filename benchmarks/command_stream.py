"""Listens to a running controller: when each command was published, and what it was."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import rclpy
from ddpm_msgs.msg import ControllerStatus
from followed_robot import FollowedRobot
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from robot_source import BEGIN, ROBOT_SOURCE, write_robot
from trajectory_msgs.msg import JointTrajectory

from ddpm_controller.ros.graph.own_graph import parameter_file, use_own_domain
from ddpm_controller.ros.graph.supervisor import started


class CommandStream(Node):
    """Keeps publication times (of the publisher's own clock) and what a robot makes of commands.

    Attributes:
        published_s: When each message was published.
        led: A robot that is led by them.
        status: The newest one.
    """

    def __init__(self) -> None:
        super().__init__("command_stream")
        self.published_s: list[float] = []
        self.led = FollowedRobot(BEGIN)
        self.status: ControllerStatus | None = None
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self)
        self.create_subscription(
            JointTrajectory, "joint_trajectory", self._on_command, QoSProfile(depth=1000)
        )
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.create_subscription(ControllerStatus, "controller/status", self._on_status, latched)

    def _on_command(self, message: JointTrajectory, info: dict) -> None:
        published_s = info["source_timestamp"] * 1e-9
        self.published_s.append(published_s)
        self.led.advance(published_s)
        self.led.receive(message, published_s)

    def _on_status(self, message: ControllerStatus) -> None:
        self.status = message

    def listen(self, duration_s: float) -> None:
        """Take what comes for ``duration_s``."""
        end_s = time.monotonic() + duration_s
        while time.monotonic() < end_s:
            self._executor.spin_once(timeout_sec=0.05)

    def wait_for(self, state: int, patience_s: float = 60.0) -> None:
        """Listen until the controller is in ``state``."""
        end_s = time.monotonic() + patience_s
        while self.status is None or self.status.state != state:
            if time.monotonic() > end_s:
                raise SystemExit(f"the controller did not reach state {state}: {self.status}")
            self.listen(0.1)

    def wait(self, future, patience_s: float = 60.0):
        """Listen until a future is done; return its result."""
        end_s = time.monotonic() + patience_s
        while not future.done():
            if time.monotonic() > end_s:
                raise SystemExit("a service did not answer")
            self.listen(0.02)
        return future.result()

    def forget(self) -> None:
        """Begin a new measurement."""
        self.published_s.clear()
        self.led.forget()


@contextmanager
def running_arm(world: str, checkpoint: Path, control_rate_hz: float) -> Iterator[CommandStream]:
    """Have the simulated arm in real time with a controller that runs, and a listener."""
    simulation = {"world": world, "log_level": "error"}
    use_own_domain()
    with (
        started("simulation", simulation),
        running_controller(checkpoint, {"control_rate_hz": control_rate_hz}, {}) as stream,
    ):
        yield stream


@contextmanager
def running_beside(
    checkpoint: Path, control_rate_hz: float, own_process: bool
) -> Iterator[CommandStream]:
    """Have the stand-in robot of ``robot_source`` with a controller that runs, and a listener."""
    use_own_domain()
    # The pictures do not show the arm where it is: the first action may be anywhere.
    parameters = {
        "control_rate_hz": control_rate_hz,
        "command.process": own_process,
        "start.distance": "any",
    }
    with tempfile.TemporaryDirectory() as folder:
        robot = write_robot(Path(folder))
        source = subprocess.Popen([sys.executable, str(ROBOT_SOURCE)])
        try:
            with running_controller(checkpoint, parameters, {"robot": str(robot)}) as stream:
                yield stream
        finally:
            source.terminate()
            source.wait()


@contextmanager
def running_controller(
    checkpoint: Path, parameters: dict[str, object], arguments: dict[str, object]
) -> Iterator[CommandStream]:
    """Have a controller that runs, on whatever robot there is, and a listener."""
    with parameter_file({**parameters, "run_on_activate": True}) as params_file:
        controller = {
            "checkpoint": str(checkpoint.resolve()),
            "params_file": params_file,
            "log_level": "error",
            **arguments,
        }
        with started("controller", controller):
            rclpy.init()
            try:
                stream = CommandStream()
                stream.wait_for(ControllerStatus.STATE_RUNNING)
                stream.forget()
                yield stream
            finally:
                rclpy.try_shutdown()


def controller_memory_mb() -> float:
    """Largest resident memory of the controller process, MB."""
    try:
        lines = (_controller_folder() / "status").read_text().splitlines()
    except OSError:
        return float("nan")
    peak = next(line for line in lines if line.startswith("VmHWM"))
    return int(peak.split()[1]) / 1024


def controller_cpu_s() -> float:
    """CPU time that the controller process has used so far, all its threads, s.

    Raises:
        OSError: There is none.
    """
    fields = (_controller_folder() / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _controller_folder() -> Path:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if any(b"__node:=controller" in word for word in words):
            return folder
    raise FileNotFoundError("no controller process runs")
