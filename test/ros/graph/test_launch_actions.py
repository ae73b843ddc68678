"""What is told to launch, noted by stand-ins that only remember how they were called.

`test_graph.py` does the same with the real launch where it is installed.
"""

import importlib
import sys
from types import ModuleType

import pytest

from ddpm_controller.ros.graph.graphs import GRAPHS
from ddpm_controller.ros.graph.resolution import resolve


class Noted:
    """Stands for any class of launch: keeps its arguments."""

    def __init__(self, *words, **named):
        self.words, self.named = words, named


def stand_in(name: str, classes: tuple[str, ...], **attributes: object) -> ModuleType:
    module = ModuleType(name)
    for one in classes:
        setattr(module, one, type(one, (Noted,), {}))
    for key, value in attributes.items():
        setattr(module, key, value)
    return module


@pytest.fixture
def launch_description(monkeypatch):
    actions = (
        *("DeclareLaunchArgument", "EmitEvent", "ExecuteProcess", "OpaqueFunction"),
        *("RegisterEventHandler", "SetEnvironmentVariable", "Shutdown"),
    )
    modules = [
        stand_in("launch", ("LaunchContext", "LaunchDescription", "LaunchDescriptionEntity")),
        stand_in("launch.actions", actions),
        stand_in("launch.event_handlers", ("OnProcessStart",)),
        stand_in("launch.events", (), matches_action=lambda action: action),
        stand_in("launch_ros", ()),
        stand_in("launch_ros.actions", ("LifecycleNode", "Node")),
        stand_in("launch_ros.event_handlers", ("OnStateTransition",)),
        stand_in("launch_ros.events.lifecycle", ("ChangeState",)),
        stand_in("launch_ros.events", ()),
        stand_in("launch_ros.substitutions", ("ExecutableInPackage",)),
    ]
    for module in modules:
        monkeypatch.setitem(sys.modules, module.__name__, module)
    name = "ddpm_controller.ros.graph.launch_actions"
    monkeypatch.delitem(sys.modules, name, raising=False)
    yield importlib.import_module(name).launch_description
    del sys.modules[name]


def actions_of(description, **given):
    """What the launch file does once its arguments have their values."""
    *declared, opaque = description.words[0]
    texts = {one.words[0]: one.named["default_value"] for one in declared} | given
    return opaque.named["function"](type("Context", (), {"launch_configurations": texts}))


def of_kind(actions, *names):
    return [action for action in actions if type(action).__name__ in names]


@pytest.mark.parametrize("name", sorted(GRAPHS))
def test_launch_is_told_all_that_the_description_says(name, launch_description, monkeypatch):
    monkeypatch.delenv("RMW_IMPLEMENTATION", raising=False)
    given = {"namespace": "left", "use_respawn": "true", "log_level": "warn"}
    actions = actions_of(launch_description(GRAPHS[name]), **given)
    resolved = resolve(GRAPHS[name], given, {})
    expected = [process for process in resolved.processes if process.name]
    for node, process in zip(of_kind(actions, "Node", "LifecycleNode"), expected, strict=True):
        assert node.named["executable"] == process.executable
        assert node.named["name"] == process.name
        assert node.named["namespace"] == "left"
        assert node.named["respawn"] == process.respawn
        assert node.named["ros_arguments"] == ["--log-level", "warn"]
        assert dict(node.named["remappings"]) == dict(process.remappings)
        files = [process.params_file] if process.params_file else []
        values = [process.parameters] if process.parameters else []
        assert node.named["parameters"] == files + values
        assert (type(node).__name__ == "LifecycleNode") == process.lifecycle
    variables = dict(one.words for one in of_kind(actions, "SetEnvironmentVariable"))
    assert variables.keys() == resolved.environment.keys()
    assert variables["RMW_IMPLEMENTATION"] == "rmw_fastrtps_cpp"


def test_rviz_comes_from_its_own_package(launch_description):
    actions = actions_of(launch_description(GRAPHS["arm"]), rviz="true")
    packages = {each.named["name"]: each.named["package"] for each in of_kind(actions, "Node")}
    assert packages == {"simulation": "ddpm_controller", "rviz": "rviz2"}


def test_the_end_of_the_demo_shuts_everything_down(launch_description):
    actions = actions_of(launch_description(GRAPHS["demo"]))
    (command,) = of_kind(actions, "ExecuteProcess")
    assert command.named["cmd"][0].named == {"executable": "demo", "package": "ddpm_controller"}
    assert command.named["cmd"][1] == "--attach"
    assert type(command.named["on_exit"]).__name__ == "Shutdown"
    for node in of_kind(actions, "Node", "LifecycleNode"):
        assert node.named["on_exit"] is None


def test_the_controller_is_activated_once_for_each_start_of_its_process(launch_description):
    """Otherwise it would be activated after every transition by hand."""
    (handler,) = of_kind(actions_of(launch_description(GRAPHS["arm"])), "RegisterEventHandler")
    activation, configuration = handler.words[0].named["on_start"]
    transition = activation.words[0].named
    assert transition["start_state"] == "configuring"
    assert transition["goal_state"] == "inactive"
    assert transition["handle_once"] is True
    steps = [configuration, transition["entities"][0]]
    assert [one.named["event"].named["transition_id"] for one in steps] == [1, 3]


def test_without_autostart_nothing_is_configured(launch_description):
    actions = actions_of(launch_description(GRAPHS["arm"]), autostart="false")
    assert not of_kind(actions, "RegisterEventHandler")
