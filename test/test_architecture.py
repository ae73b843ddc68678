"""The rooms, the arrows between them, and the house rules that a machine can check."""

import ast
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "ddpm_controller"
THINKING = {"types", "policy", "checkpoint", "diffusion", "networks", "inference"}
MAY_IMPORT = {
    "types": set(),
    "policy": {"types"},
    "checkpoint": {"types"},
    "systems": {"policy", "checkpoint", "policies", "planners"},
    "diffusion": set(),
    "networks": {"diffusion"},
    "policies": THINKING,
    "planners": THINKING | {"dynamics", "rewards"},
    "dynamics": {"types", "diffusion", "networks"},
    "rewards": {"types", "checkpoint", "diffusion", "networks"},
    "inference": {"diffusion", "networks"},
    "data": {"types"},
    "training": {"types", "checkpoint", "data", "networks", "systems"},
    "control": {"types", "policy"},
    "simulation": {"types"},
    "evaluation": {"types", "policy", "systems", "control", "simulation", "data"},
}
WITHOUT_TORCH = {"types", "policy", "control", "simulation", "evaluation"}
CLOCK_READERS = {"time", "datetime"}
ROS = {
    *("rclpy", "launch", "launch_ros", "ament_index_python", "ddpm_msgs", "sensor_msgs"),
    *("std_msgs", "std_srvs", "trajectory_msgs", "builtin_interfaces", "rosgraph_msgs"),
    *("lifecycle_msgs", "rcl_interfaces", "diagnostic_msgs", "geometry_msgs", "rosbags"),
    *("visualization_msgs",),
}
# Read bags, describe graphs and make messages on a machine without ROS.
ROS_ROOM_WITHOUT_RCLPY = (
    *("bag_files", "bag_writer", "bags", "conversions", "robot", "share", "train"),
    *("graph", "graph_description", "graph_resolution", "process_command"),
    *("fit_noise", "noise_report", "noise_recordings", "noise_denoiser", "evaluate_nll"),
    *("fit_out_of_distribution", "fit_state_reset"),
)
FORBIDDEN_NAMES = {"utils", "util", "common", "helpers", "helper", "base", "misc", "manager"}
LONGEST_FILE = 500  # ask at 300
LONGEST_FUNCTION = 40

SOURCES = sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(path: Path) -> list[tuple[str, int]]:
    """Dotted names that a file imports, with their lines; also those inside functions."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            found.append((module, node.lineno))
            found += [(f"{module}.{alias.name}", node.lineno) for alias in node.names]
    return found


def rooms_imported(path: Path) -> list[tuple[str, int]]:
    parts = [(name.split("."), line) for name, line in imports_of(path)]
    return [(p[1], line) for p, line in parts if p[0] == "ddpm_controller" and len(p) > 1]


def where(path: Path, line: int) -> str:
    return f"{path.relative_to(PACKAGE.parent)}:{line}"


def test_rooms_import_only_along_the_arrows():
    wrong = [
        f"{where(path, line)} imports {target}"
        for path in SOURCES
        if (room := room_of(path)) not in ("ros", "__init__")
        for target, line in rooms_imported(path)
        if target not in MAY_IMPORT[room] | {room}
    ]
    assert not wrong, "\n".join(wrong)


def test_every_room_is_on_the_plan():
    rooms = {room_of(path) for path in SOURCES} - {"ros", "__init__"}
    assert rooms <= set(MAY_IMPORT)


def test_only_the_ros_room_imports_ros():
    wrong = [
        f"{where(path, line)} imports {name}"
        for path in SOURCES
        if room_of(path) != "ros"
        for name, line in imports_of(path)
        if name.split(".")[0] in ROS
    ]
    assert not wrong, "\n".join(wrong)


def test_what_moves_never_sees_torch():
    wrong = [
        f"{where(path, line)} imports {name}"
        for path in SOURCES
        if room_of(path) in WITHOUT_TORCH
        for name, line in imports_of(path)
        if name.split(".")[0] == "torch"
    ]
    assert not wrong, "\n".join(wrong)


def test_what_decides_on_commands_never_reads_a_clock():
    """Replay is bit for bit only because time comes in as an argument."""
    rooms = {"types", "policy", "control", "diffusion", "networks", "policies", "simulation"}
    wrong = [
        f"{where(path, line)} imports {name}"
        for path in SOURCES
        if room_of(path) in rooms
        for name, line in imports_of(path)
        if name.split(".")[0] in CLOCK_READERS
    ]
    assert not wrong, "\n".join(wrong)


def test_imports_are_absolute():
    wrong = [
        f"{where(path, line)} imports {name}"
        for path in SOURCES
        for name, line in imports_of(path)
        if name.startswith(".")
    ]
    assert not wrong, "\n".join(wrong)


def test_folders_are_one_level_deep_and_nothing_is_called_utils():
    for path in SOURCES:
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        assert len(parts) <= 2, path
        assert not FORBIDDEN_NAMES & {word for part in parts for word in part.split("_")}, path


def test_files_and_functions_are_short():
    wrong = []
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        if (lines := len(text.splitlines())) > LONGEST_FILE:
            wrong.append(f"{where(path, 1)} has {lines} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = node.end_lineno - node.lineno + 1 - _docstring_lines(node)
                if length > LONGEST_FUNCTION:
                    wrong.append(f"{where(path, node.lineno)} {node.name} has {length} lines")
    assert not wrong, "\n".join(wrong)


def _docstring_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first = node.body[0]
    if ast.get_docstring(node) is None:
        return 0
    return first.end_lineno - first.lineno + 1


def test_nothing_is_passed_through_unnamed():
    wrong = [
        where(path, node.lineno)
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.arguments) and node.kwarg is not None
        for node in [node.kwarg]
    ]
    assert not wrong, f"**keyword pass-through: {wrong}"


def import_in_a_fresh_python(modules: list[str], hidden: set[str]) -> None:
    """Import the modules where the hidden packages cannot be imported."""
    program = (
        "import importlib, sys\n"
        f"sys.modules.update(dict.fromkeys({sorted(hidden)!r}))\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=PACKAGE.parent
    )
    assert answer.returncode == 0, answer.stderr


def test_everything_but_the_ros_room_imports_without_ros():
    modules = [
        "ddpm_controller." + ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        for path in SOURCES
        if room_of(path) not in ("ros", "__init__") and path.stem != "__init__"
    ]
    import_in_a_fresh_python(modules, ROS)


def test_offline_modules_of_the_ros_room_import_without_rclpy():
    """Bags are read, and graphs described, on a machine without ROS."""
    modules = [f"ddpm_controller.ros.{name}" for name in ROS_ROOM_WITHOUT_RCLPY]
    import_in_a_fresh_python(modules, ROS - {"rosbags"})
