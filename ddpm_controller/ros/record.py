"""The command `record`: everything about a running controller into one bag, until Ctrl-C."""

import json
import math
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import rclpy
import tyro
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import parameter_value_to_python
from rclpy.parameter_client import AsyncParameterClient
from rclpy.signals import SignalHandlerOptions
from rich.console import Console
from rich.table import Table

from ddpm_controller.ros.bag_files import BagError
from ddpm_controller.ros.bag_writer import Storage
from ddpm_controller.ros.controller_parameters import found_path
from ddpm_controller.ros.recorded_run import PARAMETERS_KEY
from ddpm_controller.ros.recorder import Recorder, Recording, Stamps
from ddpm_controller.ros.robot import Robot, RobotError, load_robot

_PATIENCE_S = 10.0


@dataclass(frozen=True)
class RecordOptions:
    """Record streams, commands, plans and status of a controller into a bag.

    Attributes:
        output: The bag; must not exist.
        robot: Robot file with the streams and the command topic.
        namespace: Of the robot and its controller.
        duration_s: Stop after this time; 0: at Ctrl-C.
        lockstep: The graph runs in lockstep: order the bag by the messages' own stamps.
        storage: Format of the bag.
    """

    output: Path
    robot: Path = Path("config/robots/sim_arm.yaml")
    namespace: str = ""
    duration_s: float = 0.0
    lockstep: bool = False
    storage: Storage = "mcap"


def run_topics(robot: Robot) -> dict[str, str]:
    """Return relative topic -> type of all that a replay and a look at a run need."""
    topics = {stream.topic: stream.type for stream in robot.streams}
    topics[robot.action.topic] = robot.action.type
    return topics | {
        "/clock": "rosgraph_msgs/msg/Clock",
        "/parameter_events": "rcl_interfaces/msg/ParameterEvent",
        "/diagnostics": "diagnostic_msgs/msg/DiagnosticArray",
        "controller/action_chunk": "ddpm_msgs/msg/ActionChunk",
        "controller/status": "ddpm_msgs/msg/ControllerStatus",
        "episode": "ddpm_msgs/msg/EpisodeMark",
        "success": "std_msgs/msg/Bool",
        "robot_description": "std_msgs/msg/String",
    }


def record(
    options: RecordOptions,
    should_stop: Callable[[], bool],
    on_begin: Callable[[tuple[str, ...]], None] = lambda unseen: None,
) -> Recording:
    """Record until ``should_stop`` or the duration is over; ROS must be initialized.

    Args:
        options: What and where.
        should_stop: Asked several times a second.
        on_begin: Called once recording, with the topics that nobody publishes yet.

    Raises:
        BagError: The disk refuses.
        RobotError: The robot file cannot be read.
    """
    robot = load_robot(found_path(str(options.robot)))
    node = rclpy.create_node("record", namespace=options.namespace)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        stamps: Stamps = "header" if options.lockstep else "received"
        recorder = Recorder(node, run_topics(robot), stamps, options.storage)
        parameters = _controller_parameters(node, executor, should_stop)
        provenance = {"recorded_by": "ddpm_controller record", "robot": robot.name}
        recorder.begin(options.output, {**provenance, PARAMETERS_KEY: json.dumps(parameters)})
        on_begin(recorder.unseen)
        end_s = time.monotonic() + (options.duration_s or math.inf)
        while not should_stop() and time.monotonic() < end_s and recorder.error is None:
            executor.spin_once(timeout_sec=0.1)
        return recorder.finish()
    finally:
        executor.shutdown()
        node.destroy_node()


def main() -> int:
    """Run the command."""
    options = tyro.cli(RecordOptions)
    console = Console()
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    try:
        recording = record(options, ended.is_set, partial(_tell_begin, console, options))
    except (BagError, RobotError) as error:
        console.print(f"[red]{error}[/red]")
        return 1
    finally:
        rclpy.try_shutdown()
    _tell_end(console, recording)
    return 1 if recording.lost else 0


def _controller_parameters(
    node: Node, executor: SingleThreadedExecutor, should_stop: Callable[[], bool]
) -> dict[str, object]:
    """Return the parameters of the controller; empty when there is none to ask."""
    client = AsyncParameterClient(node, "controller")
    deadline_s = time.monotonic() + _PATIENCE_S
    while not client.services_are_ready() and not should_stop():
        if time.monotonic() > deadline_s:
            node.get_logger().warning("no controller answers: its parameters are not recorded")
            return {}
        executor.spin_once(timeout_sec=0.1)
    listed = client.list_parameters()
    executor.spin_until_future_complete(listed, _PATIENCE_S)
    if not listed.done() or listed.result() is None:
        return {}
    names = list(listed.result().result.names)
    asked = client.get_parameters(names)
    executor.spin_until_future_complete(asked, _PATIENCE_S)
    if not asked.done() or asked.result() is None:
        return {}
    return {
        name: parameter_value_to_python(value)
        for name, value in zip(names, asked.result().values, strict=True)
    }


def _tell_begin(console: Console, options: RecordOptions, unseen: tuple[str, ...]) -> None:
    console.print(f"recording to {options.output}; stop with Ctrl-C")
    if unseen:
        console.print(f"nobody publishes yet: {', '.join(unseen)}")


def _tell_end(console: Console, recording: Recording) -> None:
    table = Table("topic", "messages", "lost", title=str(recording.folder))
    for topic, count in sorted(recording.counts.items()):
        table.add_row(topic, str(count), str(recording.lost.get(topic, 0)))
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
