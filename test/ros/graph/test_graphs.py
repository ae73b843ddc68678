"""One description: the launch files, the supervisor and setup.py cannot part from it."""

import ast
import contextlib
import importlib.util
import json
import os
import runpy
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ddpm_controller.ros.graph.description import Graph, Share
from ddpm_controller.ros.graph.executables import EXECUTABLES, NODES
from ddpm_controller.ros.graph.graphs import ARM, GAZEBO, GRAPHS
from ddpm_controller.ros.graph.process_command import child_environment, command_of
from ddpm_controller.ros.graph.resolution import GraphArgumentError, default_text, resolve
from ddpm_controller.share import share_path
from ddpm_controller.simulation.worlds import WORLDS

ROOT = Path(__file__).parents[3]
SUPPORT = ROOT / "test" / "support"
GRAPH_NAMES = pytest.mark.parametrize("name", sorted(GRAPHS))

try:
    # An attribute, not the module: the folder launch/ of this repository is importable, too.
    from launch import LaunchService
except ImportError:
    LaunchService = None
needs_launch = pytest.mark.skipif(LaunchService is None, reason="launch_ros is not installed")


def launch_tree(name: str) -> ast.Module:
    return ast.parse((ROOT / "launch" / f"{name}.launch.py").read_text(encoding="utf-8"))


def test_there_is_one_launch_file_for_every_graph_and_no_other():
    assert {path.name.split(".")[0] for path in (ROOT / "launch").iterdir()} == set(GRAPHS)


@GRAPH_NAMES
def test_a_launch_file_does_nothing_but_return_its_graph(name):
    tree = launch_tree(name)
    docstring, *statements, function = tree.body
    assert isinstance(docstring, ast.Expr)
    assert [ast.unparse(one) for one in statements] == [
        f"from ddpm_controller.ros.graph.graphs import {name.upper()}",
        "from ddpm_controller.ros.graph.launch_actions import launch_description",
        "from launch import LaunchDescription",
    ] or sorted(map(ast.unparse, statements)) == sorted(
        [
            "from launch import LaunchDescription",
            f"from ddpm_controller.ros.graph.graphs import {name.upper()}",
            "from ddpm_controller.ros.graph.launch_actions import launch_description",
        ]
    )
    assert function.name == "generate_launch_description"
    assert ast.unparse(function.body[-1]) == f"return launch_description({name.upper()})"
    assert len(function.body) == 2


@GRAPH_NAMES
def test_every_argument_of_a_graph_is_described_and_used(name):
    graph = GRAPHS[name]
    described = repr((graph.processes, graph.environment))
    for argument in graph.arguments:
        assert argument.description.endswith("."), argument.name
        used = (
            f"Setting(name='{argument.name}')" in described
            or f"Equals(name='{argument.name}'" in described
        )
        assert used or argument.name in ("namespace", "log_level", "use_respawn"), argument.name
        if argument.choices:
            assert default_text(argument) in argument.choices
        if isinstance(argument.default, Share):
            assert Path(default_text(argument)).exists(), argument.name


def test_setup_installs_every_executable_and_every_file_of_the_graphs(monkeypatch):
    seen = {}
    monkeypatch.setattr("setuptools.setup", lambda **words: seen.update(words))
    monkeypatch.chdir(ROOT)
    runpy.run_path(str(ROOT / "setup.py"))
    installed = dict(seen["data_files"])
    names = {Path(path).name for path in installed["lib/ddpm_controller"]}
    assert names == {"ddpm", *EXECUTABLES}
    shared = {path for paths in installed.values() for path in paths}
    assert {f"launch/{name}.launch.py" for name in GRAPHS} <= shared
    assert {"config/controller.yaml", "config/fastdds.xml", "package.xml"} <= shared


@pytest.mark.parametrize("name", sorted(EXECUTABLES))
def test_every_executable_has_its_function(name):
    module, function = EXECUTABLES[name].split(":")
    path = ROOT / (module.replace(".", "/") + ".py")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@GRAPH_NAMES
def test_graphs_start_only_known_executables_and_name_only_nodes(name):
    for process in GRAPHS[name].processes:
        if process.package or process.on_path:
            continue
        assert process.executable in EXECUTABLES
        assert bool(process.name) == (process.executable in NODES)


def settings_of(graph: Graph, **given: str):
    return resolve(graph, given, {})


def test_a_lockstep_world_makes_the_controller_follow_the_clock():
    simulation, controller = settings_of(ARM, mode="lockstep").processes
    assert controller.parameters["use_sim_time"] is True
    assert controller.parameters["lockstep"] is True
    assert simulation.parameters["mode"] == "lockstep"
    assert "use_sim_time" not in simulation.parameters, "it is the clock"
    _, controller = settings_of(ARM).processes
    assert controller.parameters["use_sim_time"] is False
    assert controller.parameters["lockstep"] is False


def test_the_shipped_checkpoint_of_the_world_is_run_unless_another_is_given():
    assert settings_of(ARM, world="reach").processes[1].parameters["checkpoint"] == share_path(
        "models/reach"
    )
    given = settings_of(ARM, checkpoint="my/own").processes[1]
    assert given.parameters["checkpoint"] == "my/own"
    on_robot = settings_of(GRAPHS["controller"]).processes[0]
    assert "checkpoint" not in on_robot.parameters, "the parameter file decides"


def test_the_robot_of_the_world_is_taken_unless_another_is_given():
    def robot(**given: str) -> str:
        return settings_of(ARM, **given).processes[1].parameters["robot"]

    assert robot() == share_path("config/robots/sim_arm.yaml")
    assert robot(world="drum") == share_path("config/robots/drum.yaml")
    assert robot(world="drum", robot="my/own.yaml") == "my/own.yaml"
    assert all(Path(robot(world=world)).exists() for world in WORLDS)


def test_the_simulation_has_the_robot_file_of_the_controller_and_its_drivers():
    simulation, controller = settings_of(ARM, world="drum").processes[:2]
    assert simulation.parameters["robot"] == controller.parameters["robot"]
    assert simulation.parameters["driver"] == "controllers"
    given = settings_of(ARM, driver="direct", robot="my/own.yaml").processes[0]
    assert (given.parameters["driver"], given.parameters["robot"]) == ("direct", "my/own.yaml")
    alone = settings_of(GRAPHS["simulation"], world="drum").processes[0]
    assert alone.parameters["robot"] == share_path("config/robots/drum.yaml")


@pytest.mark.parametrize("name", ["arm", "controller"])
def test_rviz_is_started_only_where_it_is_asked_for(name, tmp_path):
    assert "rviz2" not in {one.executable for one in settings_of(GRAPHS[name]).processes}
    *_, rviz = settings_of(GRAPHS[name], rviz="true", namespace="left").processes
    words = command_of(rviz, tmp_path)
    assert words[:3] == ["rviz2", "-d", share_path("config/rviz/controller.rviz")]
    assert Path(words[2]).exists()
    assert "__ns:=/left" in words, "its topics are relative"


def test_variables_that_the_user_has_set_hold():
    mine = resolve(ARM, {}, {"RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"}).environment
    assert mine["RMW_IMPLEMENTATION"] == "rmw_cyclonedds_cpp"
    assert mine["FASTRTPS_DEFAULT_PROFILES_FILE"] == share_path("config/fastdds.xml")
    assert mine["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"wrold": "reach"}, r"no argument \['wrold'\]; it has \['namespace'"),
        (
            {"world": "moon"},
            r"world:='moon' is not one of \['reach', 'pick_place', 'pusht', 'drum'",
        ),
        ({"seed": "one"}, "seed:='one' is not a int"),
        ({"autostart": "perhaps"}, "autostart:='perhaps' is not a bool"),
    ],
)
def test_a_wrong_launch_argument_is_refused_in_words(given, text):
    with pytest.raises(GraphArgumentError, match=text):
        resolve(ARM, given, {})


def test_the_command_line_of_a_node_says_all_that_the_description_says(tmp_path):
    given = {"namespace": "left", "log_level": "debug"}
    controller = resolve(ARM, given | {"seed": "7"}, {}).processes[1]
    words = command_of(controller, tmp_path)
    ros = words[words.index("--ros-args") :]
    assert ros[:7] == [
        *("--ros-args", "--log-level", "debug", "-r", "__node:=controller", "-r", "__ns:=/left"),
    ]
    assert ros[7:9] == ["--params-file", share_path("config/controller.yaml")]
    assert ros[9] == "--params-file"
    written = yaml.safe_load(Path(ros[10]).read_text())
    assert written["/left/controller"]["ros__parameters"]["seed"] == 7
    assert ros[11:] == []


def test_a_child_finds_the_package_from_any_folder(tmp_path):
    program = "import ddpm_controller; print(ddpm_controller.__file__)"
    answer = subprocess.run(
        [sys.executable, "-P", "-c", program],
        cwd=tmp_path,
        env=child_environment({}, {"PATH": os.environ["PATH"]}),
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(answer.stdout.strip()).parents[1] == ROOT


# With the real launch: the same processes with the same words.

_NOTE = """#!{python}
import json, os, sys, time
with open({folder!r} + "/" + {name!r} + ".part", "w") as file:
    words = [open(w).read() if "launch_params" in w else w for w in sys.argv[1:]]
    names = ("FASTRTPS_DEFAULT_PROFILES_FILE", "RMW_IMPLEMENTATION", "MUJOCO_GL")
    json.dump({{"words": words, "variables": {{n: os.environ.get(n) for n in names}}}}, file)
os.rename(file.name, file.name.replace(".part", ".json"))
while not all(os.path.exists({folder!r} + "/" + name + ".json") for name in {others!r}):
    time.sleep(0.01)
"""


@pytest.fixture
def prefix(tmp_path):
    """An ament prefix whose executables only note how they were called."""
    index = tmp_path / "share" / "ament_index" / "resource_index" / "packages"
    index.mkdir(parents=True)
    of_gazebo = [one.executable for one in settings_of(GAZEBO).processes]
    paths = [f"lib/ddpm_controller/{name}" for name in EXECUTABLES]
    for process in GAZEBO.processes:
        if process.package:
            paths.append(f"lib/{process.package}/{process.executable}")
    for path in map(Path, [*paths, "bin/gz"]):
        (index / path.parent.name).touch()
        script = tmp_path / path
        script.parent.mkdir(parents=True, exist_ok=True)
        # With the end of Gazebo everything ends.
        others = of_gazebo if path.name == "gz" else []
        note = _NOTE.format(
            python=sys.executable, folder=str(tmp_path), name=path.name, others=others
        )
        script.write_text(note, encoding="utf-8")
        script.chmod(0o755)
    return tmp_path


def ros_words(words: list[str]) -> tuple[list[str], dict, list[str]]:
    """Own words, parameters, and the sorted rest of what ROS takes."""
    at = words.index("--ros-args") if "--ros-args" in words else len(words)
    own, ros, parameters = words[:at], [], {}
    rest = iter(word for word in words[at:] if word != "--ros-args")
    for flag in rest:
        value = next(rest)
        if flag == "--params-file":
            text = value if "\n" in value else Path(value).read_text()
            for section in yaml.safe_load(text).values():
                parameters |= section["ros__parameters"]
        else:
            ros.append(f"{flag} {value}")
    return own, parameters, sorted(ros)


@needs_launch
@GRAPH_NAMES
def test_the_real_launch_starts_what_the_supervisor_starts(name, prefix):
    given = {"namespace": "left", "log_level": "warn"}
    if name in ("arm", "demo"):
        given |= {"world": "reach", "mode": "lockstep", "seed": "3", "autostart": "false"}
    if name in ("controller", "gazebo"):
        given |= {"checkpoint": "some/where", "autostart": "false"}
    graph = GRAPHS[name]
    words = [f"{key}:={value}" for key, value in given.items()]
    driver = [sys.executable, str(SUPPORT / "launch_driver.py")]
    prefixes = f"{prefix}{os.pathsep}{os.environ['AMENT_PREFIX_PATH']}"
    answer = subprocess.run(
        [*driver, str(ROOT / "launch" / f"{name}.launch.py"), *words],
        env={
            **child_environment({}, os.environ),
            "AMENT_PREFIX_PATH": prefixes,
            "PATH": f"{prefix / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "ROS_LOG_DIR": str(prefix / "log"),
        },
        capture_output=True,
        text=True,
    )
    resolved = resolve(graph, given, os.environ)
    for process in resolved.processes:
        note = prefix / f"{process.executable}.json"
        assert note.exists(), answer.stdout + answer.stderr
        seen = json.loads(note.read_text())
        program = process.package or process.on_path
        expected = command_of(process, prefix)
        expected = expected[1 if program else expected.index("-c") + 2 :]
        assert ros_words(seen["words"]) == ros_words(expected)
        for key, value in resolved.environment.items():
            assert seen["variables"].get(key, value) == value


@needs_launch
@GRAPH_NAMES
def test_the_real_launch_declares_the_arguments_of_the_description(name):
    path = ROOT / "launch" / f"{name}.launch.py"
    specification = importlib.util.spec_from_file_location(f"{name}_launch", path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    declared = module.generate_launch_description().get_launch_arguments()
    graph = GRAPHS[name]
    assert [(one.name, one.choices or []) for one in declared] == [
        (one.name, list(one.choices)) for one in graph.arguments
    ]
    for one, argument in zip(declared, graph.arguments, strict=True):
        assert one.description.startswith(argument.description)


@needs_launch
def test_the_real_launch_brings_a_lifecycle_node_up(prefix, tmp_path):
    script = prefix / "lib" / "ddpm_controller" / "controller"
    script.write_text(
        f"#!{sys.executable}\nimport sys; sys.path.insert(0, {str(SUPPORT)!r}); "
        "sys.argv.insert(1, 'lifecycle')\nimport stub_process; sys.exit(stub_process.main())\n"
    )
    prefixes = f"{prefix}{os.pathsep}{os.environ['AMENT_PREFIX_PATH']}"
    with subprocess.Popen(
        [
            *[sys.executable, str(SUPPORT / "launch_driver.py")],
            str(ROOT / "launch" / "controller.launch.py"),
        ],
        env={
            **child_environment({}, os.environ),
            "AMENT_PREFIX_PATH": prefixes,
            "ROS_LOG_DIR": str(prefix / "log"),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as child:
        seen = []
        try:
            for line in child.stdout:
                seen.append(line)
                if "activated" in line:
                    break
            # On SIGTERM launch ends at once and leaves its processes behind; this ends them too.
            child.send_signal(signal.SIGINT)
            seen += child.stdout.readlines()
        finally:
            with contextlib.suppress(ProcessLookupError):  # its process id is free after the wait
                os.killpg(child.pid, signal.SIGKILL)
    assert any("] configured /controller" in line for line in seen), "".join(seen)
    assert any("] activated" in line for line in seen), "".join(seen)


def test_the_graphs_can_be_read_where_there_is_no_simulator():
    code = "import sys; sys.modules['mujoco'] = None; import ddpm_controller.ros.graph.graphs"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
