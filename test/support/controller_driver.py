"""A client of a controller process, and a robot whose every message a test decides."""

import os
import signal
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import contextmanager
from typing import Any

import numpy as np
import rclpy
from ddpm_msgs.action import RunPolicy
from ddpm_msgs.msg import ActionChunk, ControllerStatus, Memory
from ddpm_msgs.srv import LoadCheckpoint, ResetWorld
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from prepared_process import PREPARED, PreparedProcess
from rcl_interfaces.srv import DescribeParameters, GetParameters, SetParameters
from rclpy.action import ActionClient
from rclpy.clock import Clock, ClockType
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter, parameter_value_to_python
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.task import Future
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Bool, Float64MultiArray, String
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

from benchmarks.followed_robot import LONGEST_STOP_S, FollowedRobot
from ddpm_controller.bags.conversions import byte_array, seconds
from ddpm_controller.control.states import Reason, State
from ddpm_controller.ros.asking import ask
from ddpm_controller.ros.graph.process_command import python_command
from ddpm_controller.simulation.arm.arm import JOINT_NAMES, PUBLISHED_JOINT_NAMES
from ddpm_controller.simulation.arm.robot_description import robot_description

PATIENCE_S = 90.0
LOST_S = 10.0
LOST_REQUESTS = 3
PRIMARY = ("unconfigured", "inactive", "active", "finalized")
GOALS = {
    Transition.TRANSITION_CONFIGURE: "inactive",
    Transition.TRANSITION_ACTIVATE: "active",
    Transition.TRANSITION_DEACTIVATE: "inactive",
    Transition.TRANSITION_CLEANUP: "unconfigured",
    Transition.TRANSITION_UNCONFIGURED_SHUTDOWN: "finalized",
    Transition.TRANSITION_INACTIVE_SHUTDOWN: "finalized",
    Transition.TRANSITION_ACTIVE_SHUTDOWN: "finalized",
}
DEEP = QoSProfile(depth=2000)
LATCHED = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
BEGIN = (0.0, -0.5, 1.0, 0.5, 0.0, 0.0, 0.03)
LED_UPDATE_S = 0.004
LONGEST_GAP_S = 5.0
"""A longer one is a jump of the clock."""
SILENCE_S = 1.0
"""After which no message is on its way any more."""
STEADY = Clock(clock_type=ClockType.STEADY_TIME)


class Client(Node):
    """Hears everything that a controller says and asks everything that it answers.

    Attributes:
        heard: Topic -> messages.
        clock_s: Clock of the robot; None: that of the system.
        arrived: Trajectories, each with the moment at which the robot has it: however late this
            process takes it, when it was sent.
        led: A robot that begins at ``BEGIN`` and is led by all of them, up to the newest.
    """

    def __init__(self) -> None:
        super().__init__("client")
        # rclpy.spin_once would begin a new round each time: timers first, answers never.
        self.spinner = SingleThreadedExecutor()
        self.spinner.add_node(self)
        self.heard: dict[str, list[Any]] = defaultdict(list)
        for topic, kind, qos in (
            ("simulation/set_points", JointTrajectory, DEEP),
            ("commands", Float64MultiArray, DEEP),
            ("controller/action_chunk", ActionChunk, DEEP),
            ("controller/memory", Memory, DEEP),
            ("controller/status", ControllerStatus, LATCHED),
        ):
            self.create_subscription(kind, topic, self.heard[topic].append, qos)
        self.create_subscription(JointTrajectory, "joint_trajectory", self._on_trajectory, DEEP)
        self.clock_s: Callable[[], float] | None = None
        self.arrived: list[tuple[float, JointTrajectory]] = []
        self.led = FollowedRobot(BEGIN, LED_UPDATE_S)
        self.success = self.create_publisher(Bool, "success", LATCHED)
        self.run_policy = ActionClient(self, RunPolicy, "controller/run_policy")
        self._asked = {
            kind: self.create_client(kind, name)
            for kind, name in (
                (ChangeState, "controller/change_state"),
                (GetState, "controller/get_state"),
                (SetParameters, "controller/set_parameters"),
                (GetParameters, "controller/get_parameters"),
                (DescribeParameters, "controller/describe_parameters"),
                (LoadCheckpoint, "controller/load_checkpoint"),
                (Trigger, "controller/reset"),
                (ResetWorld, "simulation/reset"),
            )
        }

    def until(self, happened: Callable[[], Any], what: str = "") -> Any:
        """Spin until ``happened`` gives something true, and return that."""
        deadline_s = time.monotonic() + PATIENCE_S
        while not (result := happened()):
            assert time.monotonic() < deadline_s, f"did not happen: {what or happened}"
            self.spin()
        return result

    def spin(self) -> None:
        self.spinner.spin_once(timeout_sec=0.05)

    def call_soon(self, request: Any, kind: type) -> Future:
        client = self._asked[kind]
        self.until(client.service_is_ready, kind.__name__)
        return client.call_async(request)

    def call(self, kind: type, **fields: Any) -> Any:
        client = self._asked[kind]
        self.until(client.service_is_ready, kind.__name__)
        return ask(client, kind.Request(**fields), self.spin, PATIENCE_S, LOST_S)

    def change(self, *transitions: int) -> bool:
        """Ask for lifecycle transitions; return whether the last one was successful."""
        return [self._change(transition) for transition in transitions][-1]

    def _change(self, transition: int) -> bool:
        """Ask for one; where nothing is answered, the state tells whether the request was lost."""
        request = ChangeState.Request(transition=Transition(id=transition))
        for _ in range(LOST_REQUESTS):
            future, lost_s = self.call_soon(request, ChangeState), time.monotonic() + LOST_S

            def is_over(future=future, lost_s=lost_s) -> bool:
                return future.done() or (time.monotonic() > lost_s and self.state() in PRIMARY)

            self.until(is_over, f"transition {transition}")
            if future.done():
                return future.result().success
            if self.state() == GOALS[transition]:
                return True
        return False

    def bring_up(self) -> None:
        assert self.change(Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE)

    def state(self) -> str:
        return self.call(GetState).current_state.label

    def set(self, name: str, value: Any) -> tuple[bool, str]:
        """Set a parameter; return whether it was accepted, and why not."""
        parameters = [Parameter(name, value=value).to_parameter_msg()]
        result = self.call(SetParameters, parameters=parameters).results[0]
        return result.successful, result.reason

    def get(self, name: str) -> Any:
        return parameter_value_to_python(self.call(GetParameters, names=[name]).values[0])

    @property
    def status(self) -> ControllerStatus:
        statuses = self.heard["controller/status"]
        return statuses[-1] if statuses else ControllerStatus()

    def until_state(
        self, state: State, reason: Reason | None = None, text: str = ""
    ) -> ControllerStatus:
        """Wait for a new status with this state, and this reason and text if they are given."""
        begin = len(self.heard["controller/status"])

        def found() -> ControllerStatus | None:
            for status in self.heard["controller/status"][begin:]:
                if (
                    status.state == state
                    and reason in (None, status.reason)
                    and text in status.text
                ):
                    return status
            return None

        return self.until(found, f"{state!r} {reason!r} {text!r}; last: {self.status}")

    def until_running(self, num_chunks: int = 2) -> None:
        """Wait until it follows chunks taken over from now on, and commands are heard."""
        chunks = self.heard["controller/action_chunk"]
        begin = len(chunks)
        self.until(lambda: len(chunks) >= begin + num_chunks, f"a chunk; {self.status}")
        self.until_commanded()

    def until_commanded(self) -> None:
        """Wait for a first command: other topics of the controller may be found earlier."""
        topics = ("joint_trajectory", "commands")
        self.until(lambda: any(self.heard[topic] for topic in topics), "a command")

    def published(self, wanted: Set[str]) -> dict[str, str]:
        """Topic -> type of what other nodes publish, once all ``wanted`` ones are found.

        Counted by endpoints: the names of nodes come by a message of their own, which may be lost.
        """
        own = {publisher.topic_name for publisher in self.publishers}
        found: dict[str, str] = {}

        def are_found() -> bool:
            for topic, types in self.get_topic_names_and_types():
                if topic not in own and self.count_publishers(topic):
                    found[topic] = types[0]
            return wanted <= set(found)

        self.until(are_found, f"publishers of {sorted(wanted)}")
        return found

    def _on_trajectory(self, message: JointTrajectory, info: dict[str, int]) -> None:
        self.heard["joint_trajectory"].append(message)
        sent_s = info["source_timestamp"] * 1e-9
        arrived_s = self.clock_s() if self.clock_s else sent_s
        self.arrived.append((arrived_s, message))
        self.led.advance(arrived_s)
        self.led.receive(message, arrived_s)

    def commands(self) -> tuple[np.ndarray, np.ndarray]:
        """Moments (N,) in s and set points (N, 7) to which a robot was led.

        Those of the simulation, or of ``led``.
        """
        told = self.heard["simulation/set_points"]
        if not told:
            return np.array(self.led.moments_s), self.led.column("position")
        moments_s = [
            seconds(each.header.stamp) + seconds(point.time_from_start)
            for each in told
            for point in each.points
        ]
        positions = [point.positions for each in told for point in each.points]
        return np.array(moments_s), np.array(positions)

    def until_rest(self) -> None:
        """Wait until the robot has come to rest by what it was sent; topics may overtake."""

        def is_at_rest() -> bool:
            if told := self.heard["simulation/set_points"]:
                return not any(told[-1].points[-1].velocities)
            return time.time() - self.arrived[-1][0] > SILENCE_S

        self.until(is_at_rest, "rest")
        self.led.advance(self.arrived[-1][0] + LONGEST_STOP_S)

    def ticks(self) -> tuple[np.ndarray, np.ndarray]:
        """Stamps (N,) in s and positions (N, 7) of single points, as in lockstep."""
        messages = self.heard["joint_trajectory"]
        assert all(len(message.points) == 1 for message in messages)
        stamps_s = np.array([seconds(message.header.stamp) for message in messages])
        return stamps_s, np.array([message.points[0].positions for message in messages])

    def hear_commands_until(self, stamp_s: float) -> None:
        """Wait for a command that begins not before ``stamp_s``; topics may overtake."""
        heard = self.heard["joint_trajectory"]
        self.until(lambda: heard and seconds(heard[-1].header.stamp) >= stamp_s, "a command")

    def start_run(self, **goal: Any) -> Any:
        """Send a RunPolicy goal; return its handle."""
        self.until(self.run_policy.server_is_ready)
        heard = self.heard["feedback"]
        heard.clear()
        future = self.run_policy.send_goal_async(
            RunPolicy.Goal(**goal), lambda message: heard.append(message.feedback)
        )
        return self.until(lambda: future.done() and future).result()

    def result(self, handle: Any) -> RunPolicy.Result:
        future = handle.get_result_async()
        return self.until(lambda: future.done() and future, "the result").result().result


class FakeRobot:
    """Joints where a trajectory controller leads them, two flickering cameras, and a URDF.

    Attributes:
        messages: Stream name -> function that changes its message before it is sent; it may
            return None, and then nothing is sent.
    """

    def __init__(self, node: Client, description: str = robot_description()) -> None:
        self._node = node
        self.messages: dict[str, Callable[[Any], Any]] = {}
        self._pictures = self._num_received = 0
        self._led = FollowedRobot(BEGIN, 0.02)
        self._states = node.create_publisher(JointState, "joint_states", 10)
        self._images = {
            name: node.create_publisher(Image, f"{name}/image_raw", 10)
            for name in ("camera_fixed", "camera_wrist")
        }
        self._description = node.create_publisher(String, "robot_description", LATCHED)
        if description:
            self.describe(description)
        node.create_timer(0.02, self._send_state, clock=STEADY)
        node.create_timer(0.04, self._send_images, clock=STEADY)

    def describe(self, description: str) -> None:
        self._description.publish(String(data=description))

    def _send_state(self) -> None:
        for arrived_s, sent in self._node.arrived[self._num_received :]:
            self._led.receive(sent, arrived_s)
        self._num_received = len(self._node.arrived)
        row = self._led.position  # the set point of the update before, which is for now
        self._led.advance(self._node.clock_s() if self._node.clock_s else time.time())
        message = JointState(name=list(PUBLISHED_JOINT_NAMES))
        message.position = [float(row[JOINT_NAMES.index(name)]) for name in PUBLISHED_JOINT_NAMES]
        self._send("joint_state", message, self._states)

    def _send_images(self) -> None:
        self._pictures += 1
        for name, publisher in self._images.items():
            message = Image(height=96, width=96, encoding="rgb8", step=288)
            message.data = byte_array(np.full((96, 96, 3), self._pictures % 8, np.uint8))
            self._send(name, message, publisher)

    def _send(self, name: str, message: Any, publisher: Any) -> None:
        message.header.stamp = self._node.get_clock().now().to_msg()
        message = self.messages.get(name, lambda same: same)(message)
        if message is not None:
            publisher.publish(message)


def begun(executable: str, words: Sequence[str]) -> subprocess.Popen | PreparedProcess:
    """Begin a process of this package; one whose imports are done already where that can be.

    Without a number of threads in the environment it would not be that of a user.
    """
    if executable in PREPARED and "OMP_NUM_THREADS" in os.environ:
        return PreparedProcess([executable, *words])
    return subprocess.Popen([*python_command(executable), *words])


@contextmanager
def process_of(executable: str, **parameters: Any) -> Iterator[subprocess.Popen | PreparedProcess]:
    """A node of this package as a process; it must end by SIGTERM with exit code 0.

    A controller has no second command process, which takes time to begin, unless it is asked for.
    """
    if executable == "controller":
        parameters = {"command.standby": False, **parameters}
    words = [word for name, value in parameters.items() for word in ("-p", f"{name}:={value}")]
    process = begun(executable, ["--ros-args", *words])
    try:
        yield process
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            code = process.wait(PATIENCE_S)
            assert code == 0, f"it ended with {code}"
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


@contextmanager
def client() -> Iterator[Client]:
    """A client in this process."""
    rclpy.init()
    node = Client()
    try:
        yield node
    finally:
        node.spinner.shutdown()
        node.destroy_node()
        rclpy.shutdown()


def periods_between(stamps_s: np.ndarray, period_s: float) -> np.ndarray:
    """Periods from each of (N,) commands to the next: a busy listener misses some; (N - 1, 1)."""
    spans_s = np.diff(stamps_s)
    periods = np.round(spans_s / period_s)
    return np.where((periods < 1) | (spans_s > LONGEST_GAP_S), 1, periods)[:, None]  # at a jump
