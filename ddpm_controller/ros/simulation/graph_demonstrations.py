"""Demonstrations recorded from the ROS graph: the `simulation` node with its expert, lockstep."""

import math
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from subprocess import Popen
from typing import Self

import rclpy
from builtin_interfaces.msg import Time
from ddpm_msgs.msg import EpisodeMark
from ddpm_msgs.srv import ResetWorld
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile
from rclpy.signals import SignalHandlerOptions
from rosgraph_msgs.msg import Clock

from ddpm_controller.bags.files import BagError
from ddpm_controller.bags.storages import Storage
from ddpm_controller.bags.writer_thread import Recording
from ddpm_controller.robots.outputs import RobotOutput
from ddpm_controller.ros.asking import ask
from ddpm_controller.ros.output_messages import recorded_types
from ddpm_controller.ros.recorder import Recorder
from ddpm_controller.ros.simulation.demonstrations import demonstration_provenance
from ddpm_controller.simulation.world import World

TICK_HZ = 50.0
CAMERA_HZ = 25.0
_TOPICS = {
    "/clock": "rosgraph_msgs/msg/Clock",
    "joint_states": "sensor_msgs/msg/JointState",
    "episode": "ddpm_msgs/msg/EpisodeMark",
    "success": "std_msgs/msg/Bool",
    "robot_description": "std_msgs/msg/String",
}
_PATIENCE_S = 30.0
_STANDSTILL_S = 10.0  # an expert that has given up: the lockstep clock stands still
_QUIET_S, _QUIET_SPINS = 0.1, 5
_ATTEMPTS = 3


class GraphDemonstrations:
    """Resets a running simulation and records what it publishes, one bag per episode.

    Args:
        world: Kind of world that the simulation was started with.
        simulation: Its process; an error names it when it has ended.
        storage: Storage format of the bags.
        keep_failures: Keep episodes without success too.
        outputs: What its robot file commands.
    """

    def __init__(
        self,
        world: type[World],
        simulation: Popen[bytes],
        storage: Storage,
        keep_failures: bool,
        outputs: Sequence[RobotOutput],
    ) -> None:
        self._world, self._commands = world, recorded_types(outputs)
        self._simulation = simulation
        self._keep_failures = keep_failures
        self._now_ns = 0
        self._seed = -1
        self._mark: EpisodeMark | None = None
        # Ctrl-C must reach the command as KeyboardInterrupt, not pull the graph from under it.
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        self._node = rclpy.create_node("demonstrate")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._reset = self._node.create_client(ResetWorld, "simulation/reset")
        deep = QoSProfile(depth=100)
        self._node.create_subscription(Clock, "/clock", self._on_clock, deep)
        self._node.create_subscription(EpisodeMark, "episode", self._on_mark, deep)
        topics = _TOPICS | self._commands
        told = world()  # an object: the class does not know which vectors there are
        topics.update(dict.fromkeys(told.vectors, "sensor_msgs/msg/JointState"))
        if told.instruction:
            topics["instruction"] = "std_msgs/msg/String"
        told.close()
        for camera in world.cameras:
            topics[f"{camera.name}/image_raw"] = "sensor_msgs/msg/Image"
            topics[f"{camera.name}/camera_info"] = "sensor_msgs/msg/CameraInfo"
        self._recorder = Recorder(self._node, topics, "header", storage)

    def wait_until_ready(self) -> None:
        """Return when the simulation answers and everything is subscribed.

        Raises:
            BagError: It does not in time.
        """
        deadline_s = time.monotonic() + _PATIENCE_S
        while self._recorder.unseen or not self._reset.service_is_ready():
            self._spin(deadline_s, f"topics {list(self._recorder.unseen)} or simulation/reset")

    def record(self, seed: int, folder: Path) -> bool:
        """Record the episode of ``seed``; return its success.

        An episode that came with gaps (a machine too busy) is recorded again.

        Raises:
            BagError: The simulation does not answer, the disk refuses, or gaps remain.
        """
        problem = ""
        for _ in range(_ATTEMPTS):
            self._recorder.begin(folder, self._provenance(seed), hold=True)
            try:
                begin_ns, end_ns, success = self._run_episode(seed)
            except BaseException:
                self._recorder.finish(keep=False)
                raise
            self._recorder.cut(begin_ns, end_ns)
            recording = self._recorder.finish(keep=success or self._keep_failures)
            if recording.folder is None:
                return success
            problem = self._gaps(recording, begin_ns, end_ns)
            if not problem:
                return success
            shutil.rmtree(folder)
        raise BagError(f"the episode of seed {seed} came with gaps {_ATTEMPTS} times: {problem}")

    def close(self) -> None:
        """Leave the graph."""
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.try_shutdown()

    def __enter__(self) -> Self:
        """Return the recorder, ready."""
        self.wait_until_ready()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the graph."""
        self.close()

    def _provenance(self, seed: int) -> dict[str, str]:
        return demonstration_provenance(self._world.name, seed, "over the ROS graph")

    def _run_episode(self, seed: int) -> tuple[int, int, bool]:
        """Return the first and the last moment of the episode, ns, and its success."""
        begin_ns = self._begin(seed)
        mark = self._wait_for_end(begin_ns)
        return begin_ns, self._now_ns if mark is None else _stamp_ns(mark), mark is not None

    def _begin(self, seed: int) -> int:
        """Reset the world and return the moment of the new start, ns."""
        self._seed, self._mark = seed, None
        deadline_s, awaited = time.monotonic() + _PATIENCE_S, "an answer of simulation/reset"
        answer = ask(
            self._reset,
            ResetWorld.Request(seed=seed),
            lambda: self._spin(deadline_s, awaited),
            math.inf,
        )
        if not answer.success:
            raise BagError(f"the simulation refused to reset: {answer.message}")
        return _nanoseconds(answer.stamp)

    def _wait_for_end(self, begin_ns: int) -> EpisodeMark | None:
        """Return the mark of the end once everything up to it has come; None if there is none."""
        latest_ns = begin_ns + round(self._world.timeout_s * 1e9)
        told_ns, deadline_s = self._now_ns, time.monotonic() + _STANDSTILL_S
        while self._now_ns < latest_ns and time.monotonic() < deadline_s:
            self._spin(math.inf, "the end of the episode")
            if self._now_ns != told_ns:
                told_ns, deadline_s = self._now_ns, time.monotonic() + _STANDSTILL_S
            if self._mark is not None and begin_ns < _stamp_ns(self._mark) <= self._now_ns:
                break
        self._drain()
        mark = self._mark  # a start that was asked for twice has an end of the first one too
        return mark if mark is not None and _stamp_ns(mark) > begin_ns else None

    def _drain(self) -> None:
        """Take what has been delivered already: the clock may overtake the rest of its tick."""
        arrivals = -1
        while arrivals != self._recorder.arrivals:
            arrivals = self._recorder.arrivals
            for _ in range(2 * _QUIET_SPINS):
                self._executor.spin_once(timeout_sec=_QUIET_S / _QUIET_SPINS)

    def _gaps(self, recording: Recording, begin_ns: int, end_ns: int) -> str:
        """Return which messages are missing between two moments, or an empty text."""
        ticks = round((end_ns - begin_ns) * 1e-9 * TICK_HZ)
        images = math.floor(ticks * CAMERA_HZ / TICK_HZ) + 1
        wanted = {"/joint_states": ticks + 1}
        wanted |= {f"/{topic}": ticks for topic in self._commands}
        wanted |= {f"/{camera.name}/image_raw": images for camera in self._world.cameras}
        missing = [
            f"{recording.counts.get(topic, 0)} of {count} on {topic}"
            for topic, count in wanted.items()
            if recording.counts.get(topic, 0) < count
        ]
        return ", ".join(missing)

    def _spin(self, deadline_s: float, awaited: str) -> None:
        """Run one callback.

        Raises:
            BagError: The simulation has ended, or the deadline is over.
        """
        self._executor.spin_once(timeout_sec=0.1)
        if self._recorder.error is not None:
            raise self._recorder.error
        code = self._simulation.poll()
        if code is not None:
            raise BagError(f"the simulation ended with code {code}; see its messages above")
        if time.monotonic() > deadline_s:
            raise BagError(f"waited {_PATIENCE_S:g} s for {awaited}; is the machine overloaded?")

    def _on_clock(self, message: Clock) -> None:
        self._now_ns = _nanoseconds(message.clock)

    def _on_mark(self, message: EpisodeMark) -> None:
        if message.mark == EpisodeMark.END and message.seed == self._seed:
            self._mark = message


def _stamp_ns(mark: EpisodeMark) -> int:
    return _nanoseconds(mark.header.stamp)


def _nanoseconds(stamp: Time) -> int:
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)
