"""The processes of a fault campaign: a robot in parts, a controller, and a listener to both."""

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from ddpm_msgs.msg import ActionChunk, ControllerStatus
from ddpm_msgs.srv import LoadCheckpoint
from faulty_robot import Part
from followed_robot import FollowedRobot
from live_processes import command_processes
from rcl_interfaces.srv import SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from robot_source import BEGIN, write_robot
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

from ddpm_controller.bags.conversions import seconds
from ddpm_controller.control.moving.stream_settings import StreamSettings
from ddpm_controller.robots.robot import joint_limits, load_robot
from ddpm_controller.ros.graph.own_graph import parameter_file
from ddpm_controller.ros.graph.supervisor import started
from ddpm_controller.simulation.arm.robot_description import robot_description

RATE_HZ = 100.0
START_PATIENCE_S = 90.0
_LEAP_S = 1.0


class FaultGraphError(RuntimeError):
    """The graph does not do what it must before a fault can be injected."""


class FaultGraph(Node):
    """A robot and its controller that run, and everything that they say.

    Attributes:
        parts: Process of each part of the robot.
        robot: Path of the robot file.
        folder: For files of the faults; goes with the graph.
        limits: Of the joints.
        commands: (time of publication in s, message) of each command as they came.
        statuses: Likewise, but the time is that of the stamp; under a simulated time, which
            leaps, that of the publication.
        led: A robot that is led by the commands.
        led_s: Time in s, as of the publications, of each set point of it.
        chunks: What was taken over, since the last ``forget``.
        recorder: A process that records, where a fault has begun one.
    """

    def __init__(
        self, variant: str, folder: Path, stack: ExitStack, checkpoint: Path, light: bool
    ) -> None:
        super().__init__("fault_campaign")
        self.folder, self.checkpoint = folder, checkpoint.resolve()
        self.robot = write_robot(folder, compressed=variant == "compressed", light=light)
        self._simulated = variant == "simulated"
        names = load_robot(self.robot).action_spec.joint_names
        given = load_robot(self.robot).given_limits
        self.limits = joint_limits(robot_description(), names, given)
        self.commands: list[tuple[float, JointTrajectory]] = []
        self.led = FollowedRobot(BEGIN)
        self.led_s: list[float] = []
        self._ahead_s = 0.0
        self.statuses: list[tuple[float, ControllerStatus]] = []
        self.chunks: list[ActionChunk] = []
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self)
        latched = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        deep = QoSProfile(depth=2000)
        self.create_subscription(JointTrajectory, "joint_trajectory", self._on_command, deep)
        self.create_subscription(ControllerStatus, "controller/status", self._on_status, latched)
        self.create_subscription(
            ActionChunk, "controller/action_chunk", self.chunks.append, QoSProfile(depth=100)
        )
        self._loading = self.create_client(LoadCheckpoint, "controller/load_checkpoint")
        self._resetting = self.create_client(Trigger, "controller/reset")
        self._setting = self.create_client(SetParameters, "controller/set_parameters")
        self.recorder: subprocess.Popen[bytes] | None = None
        self.parts: dict[str, Part] = {}
        for kind in ("clock", "joints", "cameras") if self._simulated else ("joints", "cameras"):
            simulated = self._simulated and kind != "clock"
            self.parts[kind] = Part(kind, self.robot, use_sim_time=simulated)
            stack.callback(self.parts[kind].kill)
        parameters = {
            "control_rate_hz": RATE_HZ,
            "run_on_activate": True,
            # The pictures do not show the arm where it is: plans may begin far from there.
            "start.distance": "any",
        }
        arguments = {
            "checkpoint": str(self.checkpoint),
            "params_file": stack.enter_context(parameter_file(parameters)),
            "robot": str(self.robot),
            "use_respawn": "true",
            "use_sim_time": str(self._simulated).lower(),
            "log_level": "error",
        }
        self._child = stack.enter_context(started("controller", arguments))

    # What is heard

    def _on_command(self, message: JointTrajectory, info: dict[str, Any]) -> None:
        published_s = info["source_timestamp"] * 1e-9
        arrived_s = self._by_robot_clock(message) if self._simulated else published_s
        ahead_s = published_s - arrived_s
        if (
            self.commands and abs(ahead_s - self._ahead_s) > _LEAP_S
        ):  # its clock went on until then
            self._advance(published_s, self._ahead_s)
        self._ahead_s = ahead_s
        self.commands.append((published_s, message))
        self._advance(published_s, ahead_s)
        self.led.receive(message, arrived_s)

    def _advance(self, published_s: float, ahead_s: float) -> None:
        """Lead the robot on; its clock is ``ahead_s`` behind that of the publications."""
        self.led.advance(published_s - ahead_s)
        new = self.led.moments_s[len(self.led_s) :]
        self.led_s += [moment_s + ahead_s for moment_s in new]

    def _by_robot_clock(self, message: JointTrajectory) -> float:
        """Return when a message was sent by a clock that is not heard here."""
        begin_s = seconds(message.header.stamp)
        ahead_s = StreamSettings.past_s if len(message.points) > 1 else -StreamSettings.begin_s
        return begin_s + ahead_s

    def _on_status(self, message: ControllerStatus, info: dict[str, Any]) -> None:
        self.statuses.append((self._moment(message, info), message))

    def _moment(self, message: Any, info: dict[str, Any]) -> float:
        published_s: float = info["source_timestamp"] * 1e-9
        return published_s if self._simulated else seconds(message.header.stamp)

    def listen(self, duration_s: float) -> None:
        """Take what comes for ``duration_s``."""
        end_s = time.monotonic() + duration_s
        while (left_s := end_s - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=min(left_s, 0.05))

    def forget(self) -> None:
        """Keep only the newest of what was heard."""
        del self.commands[:-1], self.statuses[:-1], self.chunks[:], self.led_s[:-1]
        self.led.forget()

    def wait_until_moving(self, share: float, patience_s: float = START_PATIENCE_S) -> None:
        """Return while it runs and a joint is faster than this share of its limit.

        Raises:
            FaultGraphError: Not within the patience.
        """
        end_s = time.monotonic() + patience_s
        while not self._moves(share):
            if time.monotonic() > end_s:
                said = self.statuses[-1][1] if self.statuses else None
                raise FaultGraphError(f"the robot does not move: {said}")
            self.listen(0.02)

    def _moves(self, share: float) -> bool:
        if not self.statuses or not self.commands:
            return False
        told_s, status = self.statuses[-1]
        sent_s, _ = self.commands[-1]
        is_new = time.time() - told_s < 0.5 and time.time() - sent_s < 0.1
        is_running = status.state == ControllerStatus.STATE_RUNNING
        if not self.led.points:
            return False
        speed = np.abs(self.led.points[-1].completed().velocity) / self.limits.velocity
        return is_new and is_running and bool(speed.max() > share)

    # What is asked for

    def load(self, folder: Path) -> float:
        """Swap to a checkpoint; return when it was in use."""
        self._answer(self._loading.call_async(LoadCheckpoint.Request(path=str(folder))))
        return time.time()

    def reset(self) -> None:
        """Let the run begin again."""
        self._answer(self._resetting.call_async(Trigger.Request()))

    def ask_for(self, folder: Path) -> None:
        """Set the parameter `checkpoint` without waiting for what comes of it."""
        parameters = [Parameter("checkpoint", value=str(folder)).to_parameter_msg()]
        self._setting.call_async(SetParameters.Request(parameters=parameters))

    def _answer(self, future: Any) -> Any:
        end_s = time.monotonic() + START_PATIENCE_S
        while not future.done():
            if time.monotonic() > end_s:
                raise FaultGraphError("a service of the controller did not answer")
            self.listen(0.02)
        return future.result()

    # Processes

    @property
    def controller_pid(self) -> int:
        """Of the process that plans."""
        return self._pids(b"__node:=controller")[-1]

    @property
    def command_pid(self) -> int:
        """Of the process that commands."""
        return command_processes(self._child.pid)[0]

    @property
    def processes(self) -> dict[str, int]:
        """Name -> number of each process that belongs to the controller."""
        commanding = command_processes(self._child.pid)
        names = ("command process", "standby")
        return {"controller": self.controller_pid, **dict(zip(names, commanding, strict=False))}

    def wait_for_part(self, kind: str) -> None:
        """Listen until a part that was begun again sends."""
        while not self.parts[kind].is_ready:
            self.listen(0.02)

    def _pids(self, word: bytes) -> list[int]:
        """Return the processes below ours whose command line has ``word``, oldest first."""
        found = []
        for pid in _descendants(self._child.pid):
            try:
                if word in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append((_begun(pid), pid))
            except OSError:
                continue
        if not found:
            raise FaultGraphError(f"there is no process {word.decode()}")
        return [pid for _, pid in sorted(found)]

    def close(self) -> None:
        """Leave the graph."""
        self._executor.shutdown()
        self.destroy_node()


def _begun(pid: int) -> int:
    """Return when a process was begun, in ticks of the kernel."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(words[19])


def _descendants(pid: int) -> list[int]:
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = path.read_text().rpartition(")")[2].split()
            parents[int(path.parent.name)] = int(words[1])
        except OSError:
            continue
    found = [pid]
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return found[1:]


@contextmanager
def fault_graph(variant: str, checkpoint: Path, light: bool) -> Iterator[FaultGraph]:
    """Have the graph; variant is plain, compressed or simulated; ROS must be initialized."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="faults_")))
        graph = FaultGraph(variant, folder, stack, checkpoint, light)
        stack.callback(graph.close)
        yield graph


def send_signal(pid: int, number: int) -> float:
    """Signal a process; return when."""
    moment_s = time.time()
    os.kill(pid, number)
    return moment_s
