"""The page of topics, services and actions: asked of real nodes, which are made and removed."""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import rclpy
from rclpy.action import get_action_server_names_and_types_by_node
from rclpy.node import Node
from rclpy.qos import QoSProfile
from tables import code, table

from ddpm_controller.ros.controller.node import Controller
from ddpm_controller.ros.simulation.node import Simulation
from ddpm_controller.ros.trainer.node import Trainer
from ddpm_controller.simulation.worlds import WORLDS

_NAMESPACE = "/here"
_OF_EVERY_NODE = ("rcl_interfaces", "lifecycle_msgs", "type_description_interfaces")
"""Packages of what rclpy gives a node by itself."""

_MEANINGS = {
    "controller": {
        "<camera>/camera_info": "Calibration of a camera, compared with that of the training.",
        "/diagnostics": "Health of the checkpoint, the streams, the plans and the commands.",
        "arm_controller/joint_trajectory": "Commands of an output of the robot file that has "
        "several; these are of `sim_arm_gripper.yaml`.",
        "arm_controller/joint_trajectory/claim": "Which controller commands there; see "
        "`ddpm_msgs/CommandClaim`.",
        "controller/command": "All columns of the commands of several outputs, or of one that is "
        "not a trajectory: for recordings, while there is a subscriber.",
        "gripper_controller/gripper_cmd/claim": "The same, of goals of a gripper.",
        "gripper_controller/gripper_cmd/command": "The goals of a gripper, for recordings.",
        "controller/action_chunk": "The chunk in force, when it is taken over.",
        "controller/load_checkpoint": "Swap policies while the robot moves.",
        "controller/memory": "What the policy remembered when the plan was requested.",
        "controller/predicted_path": "Path of the end effector along the chunk, for RViz.",
        "controller/predicted_trajectory": "The chunk as a trajectory.",
        "controller/reset": "Begin the run again: forget the chunk and what is remembered.",
        "controller/run_policy": "Run the policy until success or a time-out.",
        "controller/status": "State and reason, and the figures of the run.",
        "joint_trajectory": "Commands, where the robot file names this topic, as `sim_arm.yaml`.",
        "joint_trajectory/claim": "Which controller commands there.",
        "robot_description": "URDF, for the joint limits and the drawn path.",
        "success": "True ends a RunPolicy goal; the parameter `success_topic`.",
    },
    "trainer": {
        "trainer/status": "Progress of the training.",
        "trainer/train": "Train from bags.",
    },
    "simulation": {
        "/clock": "Simulated time; published last in each tick.",
        "<camera>/camera_info": "Calibration of a camera.",
        "<camera>/image_raw": "Picture of a camera.",
        "<camera>/image_raw/compressed": "The same as JPEG, with `compressed`.",
        "block_corners": "Corners of the block.",
        "cmd_vel": "Requested velocity: that of the episode, while nothing else publishes there.",
        "episode": "Begin and end of an episode.",
        "goal": "Goal of the episode, as numbers.",
        "imu": "Orientation and angular velocity of the base.",
        "instruction": "Goal of the episode, in words.",
        "joint_commands": "Position targets, of the type that the robot file has.",
        "joint_states": "Measured joints.",
        "joint_trajectory": "Commands, of the name and type that the robot file has; with "
        "`expert` published instead.",
        "joint_velocity": "Measured joint velocities.",
        "light": "State of the light.",
        "object": "Pose of the object.",
        "odom": "Velocity of the base in its own frame, and its height.",
        "robot_description": "URDF of the simulated robot.",
        "score": "Score of the episode so far.",
        "simulation/reset": "Begin an episode with a seed.",
        "simulation/set_points": "Set points of the driver between two ticks, where there is one.",
        "success": "Whether the task is done.",
        "tabs": "State of the tabs.",
        "tally": "Counts of the episode.",
    },
}


class Endpoint(NamedTuple):
    """One use of a topic, service or action by a node.

    Attributes:
        kind: publishes, subscribes, service or action.
        name: Name, relative to the namespace where it has no slash in front.
        type: Full type name.
        qos: Quality of service in words; empty for a service or an action.
    """

    kind: str
    name: str
    type: str
    qos: str


def page(root: Path) -> str:
    """Return the page."""
    lines = [
        "# Topics, services and actions",
        "",
        "Names without a slash in front are relative to the namespace of the node. Left out is "
        "what every node has: parameter services, life cycle, `/rosout`.",
        "",
        "## controller",
        "",
        "Configured with `config/robots/sim_arm.yaml`: the topics and types of streams and "
        "commands are those of the robot file. A stream of sentences is latched. In lockstep the "
        "node also subscribes to `/clock`, and all subscriptions are reliable and deep. With "
        "`command.process` a second process publishes the commands.",
        "",
        _table("controller", _controller(), {}),
        "## trainer",
        "",
        _table("trainer", _of("trainer", Trainer), {}),
        "## simulation",
        "",
        "`<camera>` is the name of each camera of the world.",
        "",
    ]
    worlds = {name: _simulation(name) for name in WORLDS}
    where: dict[Endpoint, list[str]] = {}
    for name, endpoints in worlds.items():
        for each in endpoints:
            where.setdefault(each, []).append(name)
    shown = {
        each: "all" if len(of) == len(worlds) else ", ".join(of) for each, of in where.items()
    }
    lines.append(_table("simulation", where, shown))
    return "\n".join(lines)


def _table(node: str, endpoints: Iterable[Endpoint], worlds: dict[Endpoint, str]) -> str:
    rows = []
    for each in sorted(endpoints):
        meaning = _MEANINGS[node].get(each.name)
        if meaning is None and node == "controller" and each.kind == "subscribes":
            meaning = "Observation stream of the robot file."
        if meaning is None:
            raise KeyError(f"_MEANINGS[{node!r}] of {__file__} has no {each.name!r}")
        rows.append((code(each.name), each.kind, each.type, each.qos, meaning))
    header = ("name", "use", "type", "quality of service", "meaning")
    if not worlds:
        return table(header, rows)
    more = (worlds[each] for each in sorted(endpoints))
    rows = [(*row, world) for row, world in zip(rows, more, strict=True)]
    return table((*header, "worlds"), rows)


def _controller() -> set[Endpoint]:
    def configured() -> Controller:
        node = Controller()
        node.trigger_configure()
        return node

    found = set()
    for name in ("sim_arm", "sim_arm_gripper"):
        robot = f"config/robots/{name}.yaml"
        found |= _of("controller", configured, **{"command.process": "false"}, robot=robot)
    return found


def _simulation(world: str) -> set[Endpoint]:
    return _of("simulation", Simulation, world=world, compressed="true")


def _of(name: str, make: Callable[[], Any], **parameters: str) -> set[Endpoint]:
    """Return the endpoints of a node that is made for it."""
    with _ros(parameters):
        node = make()
        found = set(_endpoints(node, name))
        node.close()
    return found


@contextmanager
def _ros(parameters: dict[str, str]) -> Iterator[None]:
    words = [word for pair in parameters.items() for word in ("-p", "{}:={}".format(*pair))]
    rclpy.init(args=["--ros-args", "-r", f"__ns:={_NAMESPACE}", "--log-level", "error", *words])
    try:
        yield
    finally:
        rclpy.shutdown()


def _endpoints(node: Node, name: str) -> Iterator[Endpoint]:
    for use, topics in (("publishes", node.publishers), ("subscribes", node.subscriptions)):
        for each in topics:
            if each.topic_name not in ("/rosout", "/parameter_events"):
                qos = _words(each.qos_profile)
                yield Endpoint(use, _shown(each.topic_name), _type(each.msg_type), qos)
    for each in node.services:
        kind = _type(each.srv_type)
        if not kind.startswith(_OF_EVERY_NODE):
            yield Endpoint("service", _shown(node.resolve_service_name(each.srv_name)), kind, "")
    for action, kinds in get_action_server_names_and_types_by_node(node, name, _NAMESPACE):
        yield Endpoint("action", _shown(action), kinds[0], "")


def _shown(resolved: str) -> str:
    relative = resolved.removeprefix(f"{_NAMESPACE}/")
    return re.sub(r"^camera_\w+/", "<camera>/", relative)


def _type(kind: type) -> str:
    package, folder, *_ = kind.__module__.split(".")
    return f"{package}/{folder}/{kind.__name__}"


def _words(qos: QoSProfile) -> str:
    words = (qos.reliability.name, qos.durability.name)
    shown = [word.lower().replace("_", " ") for word in words if word != "VOLATILE"]
    return ", ".join([*shown, f"depth {qos.depth}"])
