"""Everything about a running controller into one bag."""

import json
import math
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import parameter_value_to_python
from rclpy.parameter_client import AsyncParameterClient
from rclpy.task import Future

from ddpm_controller.bags.camera_infos import CAMERA_INFO, camera_info_topics
from ddpm_controller.bags.storages import Storage
from ddpm_controller.bags.writer_thread import Recording
from ddpm_controller.replay.recorded_run import PARAMETERS_KEY
from ddpm_controller.robots.lead import ACTION_LATENCY_KEY
from ddpm_controller.robots.outputs import JOINT_TRAJECTORY
from ddpm_controller.robots.robot import Robot
from ddpm_controller.ros.output_messages import recorded_types
from ddpm_controller.ros.recorder import Recorder, Stamps

_QUIET_S = 0.3
"""So long without a message after the stop, and none is on its way any more."""
_LONGEST_WAIT_S = 3.0
"""The same where messages do not end: of a machine whose clock is behind they seem earlier."""
_ASK_S, _ASK_AGAIN_S = 0.2, 2.0
"""The controller is looked for so often; on a busy machine a request or its answer can be lost."""


def run_topics(robot: Robot) -> dict[str, str]:
    """Return relative topic -> type of all that a replay and a look at a run need."""
    topics = {each.topic: s.type for s in robot.streams for each in s.sources}
    topics |= dict.fromkeys(camera_info_topics(robot), CAMERA_INFO)
    topics |= dict(output.in_bags for output in robot.outputs) | recorded_types(robot.outputs)
    topics |= {robot.commands_topic: JOINT_TRAJECTORY}
    topics |= dict.fromkeys(robot.descriptions, "std_msgs/msg/String")
    return topics | {
        "/clock": "rosgraph_msgs/msg/Clock",
        "/parameter_events": "rcl_interfaces/msg/ParameterEvent",
        "/diagnostics": "diagnostic_msgs/msg/DiagnosticArray",
        "controller/action_chunk": "ddpm_msgs/msg/ActionChunk",
        "controller/memory": "ddpm_msgs/msg/Memory",
        "controller/status": "ddpm_msgs/msg/ControllerStatus",
        "episode": "ddpm_msgs/msg/EpisodeMark",
        "success": "std_msgs/msg/Bool",
    }


def record_run(
    robot: Robot,
    folder: Path,
    namespace: str,
    should_stop: Callable[[], bool],
    on_begin: Callable[[tuple[str, ...]], None],
    *,
    duration_s: float,
    lockstep: bool,
    storage: Storage,
) -> Recording:
    """Record until ``should_stop`` or the duration is over; ROS must be initialized.

    Args:
        robot: Streams and the command topic.
        folder: The bag; must not exist.
        namespace: Namespace of the robot and its controller.
        should_stop: Asked several times a second.
        on_begin: Called once, while it records already, when no further topic is found; with
            the topics without a publisher. From then on nothing is missed of the others.
        duration_s: Longest recording.
        lockstep: Order the bag by the messages' own stamps.
        storage: Format of the bag.

    Raises:
        BagError: The disk refuses.
    """
    node = rclpy.create_node("record", namespace=namespace)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        stamps: Stamps = "header" if lockstep else "received"
        recorder = Recorder(node, run_topics(robot), stamps, storage)
        recorder.begin(folder, {"recorded_by": "ddpm_controller, record", "robot": robot.name})
        note = partial(_note_parameters, recorder, robot)
        note({})
        reader = _ParameterReader(node, note)
        end_s = time.monotonic() + duration_s
        is_announced = False
        while not should_stop() and time.monotonic() < end_s and recorder.error is None:
            executor.spin_once(timeout_sec=0.1)
            if not is_announced and recorder.has_settled:
                is_announced = True
                on_begin(recorder.unseen)
        recorder.ignore_after(time.time_ns())
        take_what_has_come(executor, recorder)
        reader.wait(executor)
        return recorder.finish()
    finally:
        executor.shutdown()
        node.destroy_node()


def _note_parameters(recorder: Recorder, robot: Robot, parameters: dict[str, object]) -> None:
    # The robot file may be calibrated again before the bag is replayed.
    known = parameters | {ACTION_LATENCY_KEY: robot.latency_s}
    recorder.note({PARAMETERS_KEY: json.dumps(known)})


def take_what_has_come(executor: SingleThreadedExecutor, recorder: Recorder) -> None:
    """Spin until what was published before the stop has come, also from a busy machine."""
    came_s = time.monotonic()
    end_s = came_s + _LONGEST_WAIT_S
    while time.monotonic() < min(came_s + _QUIET_S, end_s):
        before = recorder.arrivals
        executor.spin_once(timeout_sec=0.02)
        if recorder.arrivals > before:
            came_s = time.monotonic()


class _ParameterReader:
    """Asks the controller for its parameters as soon as there is one, until it answers.

    Args:
        node: Node that asks.
        on_values: Called with the parameters by name, once.
    """

    def __init__(self, node: Node, on_values: Callable[[dict[str, object]], None]) -> None:
        self._node, self._on_values = node, on_values
        self._client = AsyncParameterClient(node, "controller")
        self._asked_s, self._has_answer = -math.inf, False
        node.create_timer(_ASK_S, self._ask)

    def wait(self, executor: SingleThreadedExecutor) -> None:
        """Give a controller that is there a last chance to answer; log if it never has."""
        end_s = time.monotonic() + _LONGEST_WAIT_S
        while self._is_waiting and time.monotonic() < end_s:
            executor.spin_once(timeout_sec=0.1)
        if self._asked_s > 0.0 and not self._has_answer:
            self._node.get_logger().error(
                "the controller did not answer a request for its parameters: they are not in the "
                "bag, and its commands cannot be replayed"
            )

    @property
    def _is_waiting(self) -> bool:
        return not self._has_answer and self._client.services_are_ready()

    def _ask(self) -> None:
        if time.monotonic() - self._asked_s > _ASK_AGAIN_S and self._is_waiting:
            self._asked_s = time.monotonic()
            self._client.list_parameters(callback=self._on_names)

    def _on_names(self, future: Future) -> None:
        answer = future.result()
        if answer is not None and not self._has_answer:
            names = list(answer.result.names)
            self._client.get_parameters(names, callback=partial(self._on_answer, names))

    def _on_answer(self, names: list[str], future: Future) -> None:
        answer = future.result()
        if answer is None or self._has_answer or len(answer.values) != len(names):
            return
        self._has_answer = True
        values = map(parameter_value_to_python, answer.values)
        self._on_values(dict(zip(names, values, strict=True)))
