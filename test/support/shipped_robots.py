"""A shipped robot file, a controller on it, and what is seen of both."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
import yaml
from controller_driver import GOALS, LOST_S, begun
from ddpm_msgs.msg import ControllerStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from random_checkpoint import CONFIG, save_random_network
from rcl_interfaces.msg import Log
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile
from robot_driver import driver_of
from std_msgs.msg import String

from ddpm_controller.robots.robot import Robot
from ddpm_controller.ros.asking import ask
from ddpm_controller.types import StreamSpec

ROBOTS = Path(__file__).parents[2] / "config" / "robots"
PATIENCE_S = 60.0
LATCHED = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
WARNING = Log.WARN
OF_THE_MACHINE = (
    *("PLAN_LATE", "CONTROLLER_LOST", "behind their arrival", "no chunk has been planned yet"),
    *("nothing is subscribed to", "nothing serves"),
    *("no joint limits yet", "the run begins with a rest"),
)
"""Words of warnings that a machine is too busy, or that not all have found each other yet."""


def robot_file(folder: Path, name: str, *, cameras: bool, max_age_s: float | None = None) -> Path:
    """The shipped file, or the same without its cameras, and patient on a busy machine."""
    shipped = ROBOTS / f"{name}.yaml"
    content = yaml.safe_load(shipped.read_text())
    images = [key for key, each in content["streams"].items() if "Image" in each["type"]]
    if (cameras or not images) and max_age_s is None:
        return shipped
    for key in images:
        del content["streams"][key]
    for each in content["streams"].values():
        each["max_age_s"] = max_age_s or each["max_age_s"]
    content["joint_limits"] = str(ROBOTS / content["joint_limits"])
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def small_checkpoint(folder: Path, robot: Robot, name: str) -> Path:
    """Write a policy of random weights that plans near where the robot begins."""
    driver = driver_of(name)
    limits = robot.limits(driver.urdf)
    names = robot.action_spec.joint_names
    if driver.odometry is not None:
        begin, room = np.zeros(len(names)), 0.1 * limits.of_joints.velocity
    else:
        begin = np.array([driver.joint(n).begin for n in names])
        room = 0.1 * limits.velocity * robot.period_s  # what it plans jumps from row to row
    near = {"min": (begin - room).tolist(), "max": (begin + room).tolist()}
    vectors = [each.spec for each in robot.streams if each.spec.kind == "vector"]
    statistics = {each.name: _wide(each, driver) for each in vectors}
    save_random_network(folder, CONFIG, robot, {**statistics, "action": near})
    return folder


def _wide(spec: StreamSpec, driver) -> dict[str, list[float]]:
    if spec.names[0].startswith("pose."):
        return {"min": [-10.0] * len(spec.names), "max": [10.0] * len(spec.names)}
    joints = [driver.joint(name) for name in spec.names]
    return {"min": [j.lower for j in joints], "max": [j.upper for j in joints]}


@contextmanager
def controller_process(
    file: Path, checkpoint: Path, namespace: str, more: dict[str, str] | None = None
) -> Iterator[Any]:
    """The controller with a robot file and more parameters, in the namespace of the robot."""
    parameters = {
        **(more or {}),
        "robot": file,
        "checkpoint": checkpoint,
        "command.standby": False,
    }
    words = [word for key, value in parameters.items() for word in ("-p", f"{key}:={value}")]
    space = ["-r", f"__ns:=/{namespace}"]
    process = begun("controller", ["--ros-args", *words, *space])
    try:
        yield process
        process.terminate()
        assert process.wait(PATIENCE_S) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


class Watcher:
    """Hears the controller's status, everybody's warnings and what the robot has taken."""

    def __init__(self, name: str) -> None:
        rclpy.init()
        self.node = rclpy.create_node("watcher", namespace=f"/{driver_of(name).namespace}")
        self.statuses: list[ControllerStatus] = []
        self.warnings: list[str] = []
        self._reports: dict[str, dict] = {}
        create = self.node.create_subscription
        create(ControllerStatus, "controller/status", self.statuses.append, LATCHED)
        create(Log, "/rosout", self._on_log, LATCHED)
        for side in driver_of(name).sides.values():
            create(String, f"/{side}/scripted_robot".replace("//", "/"), self._on_report, LATCHED)
        self._change = self.node.create_client(ChangeState, "controller/change_state")
        self._get_state = self.node.create_client(GetState, "controller/get_state")
        self._spinner = SingleThreadedExecutor()
        self._spinner.add_node(self.node)

    def _on_log(self, message: Log) -> None:
        if message.level >= WARNING and not any(word in message.msg for word in OF_THE_MACHINE):
            self.warnings.append(f"{message.name}: {message.msg}")

    def _on_report(self, message: String) -> None:
        report = json.loads(message.data)
        self._reports[report["of"]] = report

    @property
    def taken(self) -> dict[str, int]:
        """Topic -> commands that the robot has taken."""
        return {topic: n for each in self._reports.values() for topic, n in each["taken"].items()}

    @property
    def refused(self) -> list[str]:
        """What the robot did not take, and why."""
        return [text for each in self._reports.values() for text in each["refused"]]

    def spin(self) -> None:
        self._spinner.spin_once(timeout_sec=0.05)

    def until(self, happened) -> None:
        deadline_s = time.monotonic() + PATIENCE_S
        while not happened():
            last = self.statuses[-1] if self.statuses else None
            assert time.monotonic() < deadline_s, (last, self.warnings, self._reports)
            self.spin()

    def change(self, transition: int) -> None:
        request = ChangeState.Request(transition=Transition(id=transition))
        self.until(self._change.service_is_ready)
        # An answer may be lost, and the transition be over when it is asked for again.
        answer = ask(self._change, request, self.spin, PATIENCE_S, LOST_S)
        assert answer.success or self._state() == GOALS[transition], self.warnings

    def _state(self) -> str:
        request = GetState.Request()
        return ask(self._get_state, request, self.spin, PATIENCE_S, LOST_S).current_state.label

    def close(self) -> None:
        self._spinner.shutdown()
        self.node.destroy_node()
        rclpy.shutdown()
