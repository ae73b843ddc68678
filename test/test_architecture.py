"""The rooms, the arrows between them, and the house rules that a machine can check.

Rules name folders, never files: a new file is under the rules of the folder that it lies in.
Imports inside functions and under TYPE_CHECKING count as any other.
"""

import ast
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "ddpm_controller"
NAME = PACKAGE.name
SOURCES = sorted(PACKAGE.rglob("*.py"))

LEARNED = {"types", "given_files", "policy", "checkpoint", "diffusion", "networks", "inference"}
EVERYTHING_BUT_CLI = {
    *LEARNED,
    *("systems", "policies", "planners", "dynamics", "rewards", "data", "training", "control"),
    *("messages", "robots", "bags", "replay", "identification", "survey", "lerobot", "lint"),
    *("simulation", "evaluation", "share", "ros"),
}
MAY_IMPORT: Mapping[str, set[str]] = {
    "types": set(),
    "share": set(),
    "given_files": set(),
    "policy": {"types"},
    "checkpoint": {"types", "given_files"},
    "diffusion": {"given_files"},
    "networks": {"diffusion", "given_files"},
    "inference": {"diffusion", "networks", "given_files"},
    "policies": LEARNED,
    "planners": LEARNED | {"dynamics", "rewards"},
    "dynamics": {"types", "networks", "diffusion"},
    "rewards": {"types", "given_files", "checkpoint", "diffusion", "networks"},
    "systems": {"policy", "checkpoint", "policies", "planners", "inference"},
    "data": {"types"},
    "training": {"types", "given_files", "checkpoint", "data", "networks", "systems"},
    "control": {"types", "policy"},
    "simulation": {"types"},
    "messages": {"types", "control"},
    "robots": {"types", "given_files", "control", "data", "messages", "share"},
    "bags": {"types", "given_files", "control", "data", "messages", "robots"},
    "replay": {
        *("types", "given_files", "policy", "checkpoint", "systems", "control", "robots", "bags"),
    },
    "identification": {
        *("types", "checkpoint", "control", "data", "diffusion", "networks", "training"),
        *("robots", "bags"),
    },
    "survey": {"types", "control", "messages", "robots", "bags"},
    "lerobot": {"types", "given_files", "data", "messages", "robots", "bags"},
    "lint": {"types", "given_files", "control", "data", "robots", "bags"},
    "evaluation": {"types", "policy", "systems", "control", "simulation", "data", "robots"},
    "ros": EVERYTHING_BUT_CLI,
    "cli": EVERYTHING_BUT_CLI,
}
"""Room -> rooms that it may import, beside itself. A room is a folder or a file of the package."""

OTHERS = "others"
SUB_ROOMS: Mapping[str, Mapping[str, set[str]]] = {
    "bags": {"": {"reading"}, "reading": set()},
    "control": {
        "": {"planning", "observing", "moving"},
        "planning": {"observing", "moving", ""},
        "observing": {""},
        "moving": {""},
    },
    "policies": {
        "": set(),
        "seams": {"memory"},
        "memory": set(),
        "inputs": set(),
        "monitors": set(),
        "diff_control": {"diffusion_policy", "seams", "memory", "inputs", "monitors", ""},
        "consistency_policy": {"diffusion_policy", "seams", "memory", "inputs", "monitors", ""},
        "mip": {"diffusion_policy", "seams", "memory", "inputs", "monitors", ""},
        OTHERS: {"seams", "memory", "inputs", "monitors", ""},
    },
    "simulation": {"drivers": set(), OTHERS: {""}},
    "ros": {
        "": set(),
        "graph": {""},
        "commanding": {"graph", ""},
        "neighbours": {"commanding", "graph", ""},
        "controller": {"neighbours", "commanding", "graph", ""},
        "simulation": {"graph", ""},
        "trainer": {""},
    },
}
"""Room -> its folder -> other folders of the room that it may import.

"" is the room's own files, and OTHERS a folder that is not named: a system, a family of worlds.
The files of a room that has OTHERS may import them all; that no circle arises is another test.
"""


def may_import(room: str, folder: str) -> set[str] | None:
    """Return the folders that a folder may import; None: all."""
    rules = SUB_ROOMS[room]
    if folder not in rules and OTHERS not in rules:
        return set()
    return rules.get(folder, None if folder == "" else rules.get(OTHERS, set()))


WITHOUT_TORCH = {
    *("types", "policy", "control", "simulation", "evaluation", "messages", "robots", "bags"),
    *("survey", "lerobot"),
}
WITHOUT_CLOCK = {
    *("types", "policy", "control", "diffusion", "networks", "policies", "simulation", "replay"),
    *("planners", "dynamics", "rewards", "messages"),
}
CLOCK_READERS = {"time", "datetime"}
ROS = {
    *("rclpy", "launch", "launch_ros", "ament_index_python", "ddpm_msgs", "sensor_msgs"),
    *("std_msgs", "std_srvs", "trajectory_msgs", "builtin_interfaces", "rosgraph_msgs"),
    *("lifecycle_msgs", "rcl_interfaces", "diagnostic_msgs", "geometry_msgs"),
    *("visualization_msgs", "action_msgs", "nav_msgs", "tf2_msgs"),
    *("control_msgs", "unique_identifier_msgs"),
}
READS_BAGS = {"bags", "replay", "identification", "survey", "lint", "ros", "cli"}
FORBIDDEN_NAMES = {"utils", "util", "common", "helpers", "helper", "base", "misc", "manager"}
THREE_LEVELS = {"ros", "policies", "control", "simulation", "diffusion", "bags", "cli"}
MOST_FILES = 18  # design: about twelve in a folder
LONGEST_FILE = 500  # design: usual 100, ask at 300
LONGEST_FUNCTION = 40


def module_of(path: Path) -> str:
    """Return the dotted name of a file, a package's for its __init__."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in SOURCES}


def imports_of(path: Path) -> list[tuple[str, int]]:
    """Modules that a file imports, with the lines; of this package the very file that is meant."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            names = [f"{module}.{alias.name}" for alias in node.names]
            found += [(name if name in MODULES else module, node.lineno) for name in names]
    return found


def own_imports(path: Path) -> list[tuple[str, int]]:
    return [(name, line) for name, line in imports_of(path) if name in MODULES]


def room_of(module: str) -> str:
    """Return the room of a module; empty for the package itself."""
    return [*module.split("."), ""][1]


def folder_of(module: str) -> str:
    """Return the folder of a module inside its room; empty for the room's own files."""
    inside = MODULES[module].relative_to(PACKAGE).parts[1:-1]
    return inside[0] if inside else ""


def where(path: Path, line: int) -> str:
    return f"{path.relative_to(PACKAGE.parent)}:{line}"


def importing(rooms: Iterable[str], packages: set[str]) -> list[str]:
    """Return where a file of these rooms imports one of these packages."""
    rooms = set(rooms)
    return [
        f"{where(path, line)} imports {name}"
        for module, path in MODULES.items()
        if room_of(module) in rooms
        for name, line in imports_of(path)
        if name.split(".")[0] in packages
    ]


def circles(arrows: Mapping[str, set[str]]) -> list[list[str]]:
    """Return the groups of names that can reach each other."""
    reached: dict[str, set[str]] = {}
    for name in arrows:
        seen: set[str] = set()
        ahead = list(arrows[name])
        while ahead:
            if (next_one := ahead.pop()) not in seen:
                seen.add(next_one)
                ahead += arrows.get(next_one, set())
        reached[name] = seen
    groups = {
        tuple(sorted(other for other in reached[name] if name in reached.get(other, set())))
        for name in arrows
        if name in reached[name]
    }
    return [list(group) for group in sorted(groups)]


def test_rooms_import_only_along_the_arrows():
    wrong = [
        f"{where(path, line)} imports {target}"
        for module, path in MODULES.items()
        if (room := room_of(module))
        for target, line in own_imports(path)
        if room_of(target) not in MAY_IMPORT[room] | {room}
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("room", SUB_ROOMS)
def test_folders_of_a_room_import_only_along_its_arrows(room):
    wrong = [
        f"{where(path, line)} imports {target}"
        for module, path in MODULES.items()
        if room_of(module) == room
        and (allowed := may_import(room, folder := folder_of(module))) is not None
        for target, line in own_imports(path)
        if room_of(target) == room and folder_of(target) not in allowed | {folder}
    ]
    assert not wrong, "\n".join(wrong)


def test_no_file_reaches_itself_through_what_it_imports():
    arrows = {
        module: {target for target, _ in own_imports(path)} - {module}
        for module, path in MODULES.items()
    }
    assert not circles(arrows)


def test_no_folder_reaches_itself_through_what_it_imports():
    """Files in a room beside its folders stand above or below all of them, one by one."""
    arrows: dict[str, set[str]] = {}
    for module, path in MODULES.items():
        one = f"{room_of(module)}/{folder_of(module)}" if folder_of(module) else module
        for target, _ in own_imports(path):
            two = f"{room_of(target)}/{folder_of(target)}" if folder_of(target) else target
            if one != two:
                arrows.setdefault(one, set()).add(two)
    assert not circles(arrows)


def test_a_circle_is_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == [["b", "c"]]


def test_every_room_is_on_the_plan():
    rooms = {room_of(module) for module in MODULES} - {""}
    assert rooms <= set(MAY_IMPORT)
    for room, rules in SUB_ROOMS.items():
        folders = {folder_of(module) for module in MODULES if room_of(module) == room}
        assert OTHERS in rules or folders <= set(rules), room


def test_only_the_ros_room_imports_ros():
    """Commands reach it through that room."""
    assert not importing(set(MAY_IMPORT) - {"ros"}, ROS)


def test_only_what_reads_bags_imports_rosbags():
    assert not importing(set(MAY_IMPORT) - READS_BAGS, {"rosbags"})


def test_what_moves_never_sees_torch():
    assert not importing(WITHOUT_TORCH, {"torch"})


def test_what_decides_on_commands_never_reads_a_clock():
    """Replay is bit for bit only because time comes in as an argument."""
    assert not importing(WITHOUT_CLOCK, CLOCK_READERS)


def test_imports_are_absolute():
    wrong = [
        f"{where(path, line)} imports {name}"
        for path in SOURCES
        for name, line in imports_of(path)
        if name.startswith(".")
    ]
    assert not wrong, "\n".join(wrong)


def test_nothing_is_imported_for_its_types_alone():
    """A pair of files that know each other are one file, or know a third one.

    Commands, which no file knows, import what takes long only when they have something to do.
    """
    wrong = [
        where(path, node.lineno)
        for path in SOURCES
        if "cli" not in path.relative_to(PACKAGE).parts
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if any(
            isinstance(each, ast.Import | ast.ImportFrom) and NAME in ast.unparse(each)
            for each in ast.walk(node)
        )
    ]
    assert not wrong, "\n".join(wrong)


def test_folders_are_shallow_and_small_and_nothing_is_called_utils():
    files: dict[Path, int] = {}
    for path in SOURCES:
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        assert len(parts) <= (3 if parts[0] in THREE_LEVELS else 2), path
        assert not FORBIDDEN_NAMES & {word for part in parts for word in part.split("_")}, path
        files[path.parent] = files.get(path.parent, 0) + (path.stem != "__init__")
    crowded = {str(folder): count for folder, count in files.items() if count > MOST_FILES}
    assert not crowded


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
        where(path, node.kwarg.lineno)
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.arguments) and node.kwarg is not None
    ]
    assert not wrong, f"**keyword pass-through: {wrong}"


def test_tests_lie_in_the_rooms_of_what_they_test():
    tests = Path(__file__).parent
    rooms = {path.relative_to(PACKAGE) for path in PACKAGE.rglob("*") if path.is_dir()}
    wrong = [
        str(path)
        for path in tests.rglob("test_*.py")
        if path.parent != tests and path.parent.relative_to(tests) not in rooms
    ]
    assert not wrong, "\n".join(wrong)


def test_everything_but_the_ros_room_imports_without_ros():
    """Commands too: what needs ROS they import when it is asked for."""
    modules = [
        module
        for module, path in MODULES.items()
        if room_of(module) not in ("ros", "") and path.stem != "__init__"
    ]
    program = (
        "import importlib, sys\n"
        f"sys.modules.update(dict.fromkeys({sorted(ROS)!r}))\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=PACKAGE.parent
    )
    assert answer.returncode == 0, answer.stderr
