"""A graph as actions of the real launch_ros; the only file that imports launch."""

import os

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteProcess,
    OpaqueFunction,
    RegisterEventHandler,
    SetEnvironmentVariable,
    Shutdown,
)
from launch.event_handlers import OnProcessStart
from launch.events import matches_action
from launch_ros.actions import LifecycleNode, Node
from launch_ros.event_handlers import OnStateTransition
from launch_ros.events.lifecycle import ChangeState
from launch_ros.substitutions import ExecutableInPackage
from lifecycle_msgs.msg import Transition

from ddpm_controller.ros.graph.description import Graph
from ddpm_controller.ros.graph.resolution import ResolvedProcess, default_text, resolve
from ddpm_controller.share import PACKAGE

RESPAWN_DELAY_S = 2.0


def launch_description(graph: Graph) -> LaunchDescription:
    """Return what a launch file returns.

    The processes are made when it runs, because only then the arguments have their values.
    """
    arguments = [
        DeclareLaunchArgument(
            argument.name,
            default_value=default_text(argument),
            description=argument.description,
            choices=list(argument.choices) or None,
        )
        for argument in graph.arguments
    ]

    def actions(context: LaunchContext) -> list[LaunchDescriptionEntity]:
        texts = context.launch_configurations
        given = {one.name: texts[one.name] for one in graph.arguments}
        resolved = resolve(graph, given, os.environ)
        environment = [SetEnvironmentVariable(*pair) for pair in resolved.environment.items()]
        return environment + [
            action for process in resolved.processes for action in _actions_of(process)
        ]

    return LaunchDescription([*arguments, OpaqueFunction(function=actions)])


def _actions_of(process: ResolvedProcess) -> list[LaunchDescriptionEntity]:
    if not process.name:
        return [_command(process)]
    if not process.lifecycle:
        return [_node(process, Node)]
    node = _node(process, LifecycleNode)
    return [*(_autostart(node) if process.autostart else []), node]


def _command(process: ResolvedProcess) -> ExecuteProcess:
    own = ExecutableInPackage(executable=process.executable, package=PACKAGE)
    return ExecuteProcess(
        cmd=[process.executable if process.on_path else own, *process.arguments],
        name=process.executable,
        output="screen",
        emulate_tty=True,
        on_exit=Shutdown(reason=f"{process.executable} has ended") if process.required else None,
    )


def _node(process: ResolvedProcess, action: type[Node]) -> Node:
    files = [process.params_file] if process.params_file else []
    values = [dict(process.parameters)] if process.parameters else []
    return action(
        package=process.package or PACKAGE,
        executable=process.executable,
        name=process.name,
        namespace=process.namespace,
        parameters=[*files, *values],
        remappings=list(process.remappings),
        arguments=list(process.arguments),
        ros_arguments=["--log-level", process.log_level],
        output="screen",
        respawn=process.respawn,
        respawn_delay=RESPAWN_DELAY_S,
        on_exit=Shutdown(reason=f"{process.name} has ended") if process.required else None,
    )


def _autostart(node: LifecycleNode) -> list[LaunchDescriptionEntity]:
    """Configure when the process starts, also after a respawn; activate what was configured so.

    What is configured or deactivated by hand, later, stays inactive.
    """

    def change(transition: int) -> EmitEvent:
        return EmitEvent(
            event=ChangeState(
                lifecycle_node_matcher=matches_action(node), transition_id=transition
            )
        )

    activation = OnStateTransition(
        target_lifecycle_node=node,
        start_state="configuring",
        goal_state="inactive",
        entities=[change(Transition.TRANSITION_ACTIVATE)],
        handle_once=True,
    )
    steps = [RegisterEventHandler(activation), change(Transition.TRANSITION_CONFIGURE)]
    return [RegisterEventHandler(OnProcessStart(target_action=node, on_start=steps))]
