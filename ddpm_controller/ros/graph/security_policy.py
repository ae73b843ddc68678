"""The SROS2 policy of a graph: what each node of it may publish, subscribe, answer and ask for.

In the format of the security policies of ROS 2 (version 0.2.0), from which `ros2 security
create_permission` makes the permissions of a keystore. A process has an enclave named as its node;
that of the commands belongs to the controller's.
"""

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields

from ddpm_controller.robots.robot import Robot, load_robot
from ddpm_controller.ros.graph.resolution import ResolvedGraph, ResolvedProcess
from ddpm_controller.share import found_path
from ddpm_controller.simulation.worlds import WORLDS

_KINDS = {
    "publish": ("topics", "topic"),
    "subscribe": ("topics", "topic"),
    "reply": ("services", "service"),
    "request": ("services", "service"),
    "execute": ("actions", "action"),
    "call": ("actions", "action"),
}
"""Right -> element of the policy and of each name in it."""


@dataclass(frozen=True)
class Rights:
    """Names that a node may use, relative to its namespace, ``~`` for its own name.

    Attributes:
        publish: Topics that it publishes.
        subscribe: Topics that it subscribes.
        reply: Services that it answers.
        request: Services that it asks.
        execute: Actions that it executes.
        call: Actions that it calls.
    """

    publish: tuple[str, ...] = ()
    subscribe: tuple[str, ...] = ()
    reply: tuple[str, ...] = ()
    request: tuple[str, ...] = ()
    execute: tuple[str, ...] = ()
    call: tuple[str, ...] = ()

    def __add__(self, other: "Rights") -> "Rights":
        """Return the rights of both."""
        names = [each.name for each in fields(self)]
        return Rights(**{name: getattr(self, name) + getattr(other, name) for name in names})


_EVERY_NODE = Rights(
    publish=("/rosout", "/parameter_events"),
    subscribe=("/clock", "/parameter_events"),
    reply=tuple(
        f"~/{name}"
        for name in (
            *("describe_parameters", "get_parameter_types", "get_parameters", "list_parameters"),
            *("set_parameters", "set_parameters_atomically", "get_type_description"),
        )
    ),
)
_LIFECYCLE = Rights(
    publish=("~/transition_event",),
    reply=tuple(
        f"~/{name}"
        for name in (
            *("change_state", "get_state", "get_available_states", "get_available_transitions"),
            "get_transition_graph",
        )
    ),
)
_CONTROLLER = Rights(
    publish=(
        *("/diagnostics", "~/status", "~/action_chunk", "~/memory"),
        *("~/predicted_path", "~/predicted_trajectory"),
    ),
    subscribe=("robot_description", "success"),
    reply=("~/load_checkpoint", "~/reset"),
    execute=("~/run_policy",),
)
_SIMULATION = Rights(
    publish=(
        *("/clock", "robot_description", "episode", "success", "tally", "joint_states"),
        *("joint_velocity", "goal", "instruction", "light", "object", "score", "tabs"),
        *("block_corners", "~/set_points"),
    ),
    reply=("~/reset",),
)


def _controller(process: ResolvedProcess, robot: Robot) -> Rights:
    commands = _commands(process, robot)
    claims = tuple(f"{topic}/claim" for topic in (*commands.publish, *commands.call))
    cameras = tuple(each.camera_info for each in robot.streams if each.camera_info)
    return (
        _CONTROLLER
        + _LIFECYCLE
        + commands
        # Its own commands come back to it: are there others beside them?
        + Rights(claims, (*claims, *commands.publish, *robot.sources_of_topics, *cameras))
        # What the robot's controller is set to, and whether it executes a goal of others.
        + Rights(
            subscribe=(*robot.descriptions, "*/follow_joint_trajectory/_action/status"),
            request=("*/get_parameters",),
        )
    )


def _commands(process: ResolvedProcess, robot: Robot) -> Rights:
    """Return what it takes to command, under the names that the process has been given."""
    renamed = dict(process.remappings)
    topics, goals = [robot.commands_topic], list[str]()
    for output in robot.outputs:
        topics.append(output.mirror_topic if output.is_action else output.topic)
        goals += [output.topic] * output.is_action

    def names(given: Iterable[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(renamed.get(name, name) for name in given))

    return Rights(publish=names(topics), call=names(goals))


def _simulation(process: ResolvedProcess, robot: Robot) -> Rights:
    cameras = [stream.topic.split("/")[0] for stream in robot.streams if not stream.spec.names]
    pictures = tuple(
        f"{camera}/{name}"
        for camera in dict.fromkeys(cameras)
        for name in ("image_raw", "image_raw/compressed", "camera_info")
    )
    messages = tuple(each.topic for each in robot.outputs if not each.is_action)
    goals = tuple(each.topic for each in robot.outputs if each.is_action)
    has_expert = process.parameters.get("expert") in (True, "true")
    commands = Rights(messages) if has_expert else Rights(subscribe=messages, execute=goals)
    fields = tuple(dict.fromkeys(each.topic for each in robot.streams if each.fields))
    # What may be left out others may publish too, as a requested velocity: it follows them then.
    requests = tuple(each.topic for each in robot.streams if each.rule.is_optional)
    observed = Rights(publish=(*pictures, *fields), subscribe=requests)
    return _SIMULATION + observed + commands


def _trainer(process: ResolvedProcess, robot: Robot) -> Rights:
    return Rights(publish=("~/status",), execute=("~/train",))


_OF: Mapping[str, Callable[[ResolvedProcess, Robot], Rights]] = {
    "controller": _controller,
    "simulation": _simulation,
    "trainer": _trainer,
}


def rights_of(process: ResolvedProcess, robot: Robot) -> dict[str, Rights]:
    """Return node -> what it may do, with full names, for the nodes of a process.

    Args:
        process: A process of one of the nodes of this package.
        robot: Robot whose streams and outputs count.
    """
    rights = _OF[process.executable](process, robot) + _EVERY_NODE
    found = {process.name: _absolute(rights, process, process.name)}
    if process.executable == "controller":
        name = f"{process.name}_commands"
        status = Rights(publish=(f"{process.full_name}/status",))
        commands = _commands(process, robot) + status + _EVERY_NODE
        found[name] = _absolute(commands, process, name)
    return found


def policy(graph: ResolvedGraph) -> str:
    """Return the policy of all nodes of this package in a graph, as XML.

    Raises:
        RobotError: The robot file cannot be used.
    """
    root = ElementTree.Element("policy", version="0.2.0")
    enclaves = ElementTree.SubElement(root, "enclaves")
    for process in graph.processes:
        if process.executable not in _OF:
            continue  # rviz2, and commands that ask the nodes
        robot = load_robot(_robot_file(process))
        enclave = ElementTree.SubElement(enclaves, "enclave", path=process.full_name)
        profiles = ElementTree.SubElement(enclave, "profiles")
        for node, rights in rights_of(process, robot).items():
            namespace = "/" + process.namespace.strip("/")
            profile = ElementTree.SubElement(profiles, "profile", ns=namespace, node=node)
            _describe(profile, rights)
    ElementTree.indent(root)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, "unicode") + "\n"
    )


def _robot_file(process: ResolvedProcess) -> str:
    """Return the robot file of a process, or that of the world that it simulates."""
    world = str(process.parameters.get("world", ""))
    shipped = WORLDS[world].robot if world in WORLDS else "config/robots/sim_arm.yaml"
    return found_path(str(process.parameters.get("robot") or shipped))


def _describe(profile: ElementTree.Element, rights: Rights) -> None:
    for right, (group, one) in _KINDS.items():
        names = getattr(rights, right)
        if names:
            element = ElementTree.SubElement(profile, group, {right: "ALLOW"})
            for name in names:
                ElementTree.SubElement(element, one).text = name


def _absolute(rights: Rights, process: ResolvedProcess, node: str) -> Rights:
    namespace = process.namespace.strip("/")
    prefix = f"/{namespace}/" if namespace else "/"

    def full(name: str) -> str:
        if name.startswith(("/", "*")):
            return name
        return prefix + (f"{node}{name[1:]}" if name.startswith("~") else name)

    return Rights(
        **{each.name: _once(map(full, getattr(rights, each.name))) for each in fields(rights)}
    )


def _once(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(names)))
