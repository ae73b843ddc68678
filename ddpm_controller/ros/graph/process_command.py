"""The command line, the parameter file and the environment of one process of a graph."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import yaml

from ddpm_controller.ros.graph.executables import EXECUTABLES, THREADS
from ddpm_controller.ros.graph.resolution import ResolvedProcess

# A supervisor that is killed takes its processes with it: prctl(PR_SET_PDEATHSIG, SIGTERM).
# An arm must not be moved by a controller that is watched by no one any more.
_BEGIN = (
    "import ctypes, importlib, os, sys; ctypes.CDLL(None).prctl(1, 15); sys.argv[0] = {name!r}; "
    "os.environ.update({threads!r} | dict(os.environ)); "
    "from ddpm_controller.ros.graph.transports import stay_here; stay_here(); "
    "sys.exit(importlib.import_module({module!r}).{function}())"
)


def python_command(executable: str, targets: Mapping[str, str] = EXECUTABLES) -> list[str]:
    """Return the words that run an executable of this package with this Python.

    It does not depend on where scripts are installed, nor on the working folder (``-P``).

    Args:
        executable: Its name.
        targets: Name -> module and function.

    Raises:
        KeyError: When there is no such name.
    """
    module, function = targets[executable].split(":")
    name = f"ddpm {executable.replace('_', '-')}"
    begin = _BEGIN.format(name=name, threads=THREADS, module=module, function=function)
    return [sys.executable, "-P", "-c", begin]


def command_of(
    process: ResolvedProcess, folder: Path, targets: Mapping[str, str] = EXECUTABLES
) -> list[str]:
    """Return the whole command line, as launch_ros would form it; writes the parameter file.

    Args:
        process: What to run.
        folder: Where the file with the parameters of this process is written.
        targets: Name of an executable -> module and function.
    """
    if process.package or process.on_path:
        command = [_program_of(process), *process.arguments]
    else:
        command = [*python_command(process.executable, targets), *process.arguments]
    if not process.name:
        return command
    command += ["--ros-args", "--log-level", process.log_level, "-r", f"__node:={process.name}"]
    if process.namespace:
        command += ["-r", f"__ns:=/{process.namespace.strip('/')}"]
    if process.params_file:
        command += ["--params-file", process.params_file]
    if process.parameters:
        path = folder / f"{process.name}.yaml"
        sections = {process.full_name: {"ros__parameters": dict(process.parameters)}}
        path.write_text(yaml.safe_dump(sections), encoding="utf-8")
        command += ["--params-file", str(path)]
    for old, new in process.remappings:
        command += ["-r", f"{old}:={new}"]
    return command


def _program_of(process: ResolvedProcess) -> str:
    """Return the path of another package's program, else its name, which is looked for on PATH."""
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    paths = [Path(one) / "lib" / process.package / process.executable for one in prefixes if one]
    return str(next((path for path in paths if path.is_file()), process.executable))


def child_environment(extra: Mapping[str, str], surroundings: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a child: the surroundings, the graph's own, and where this is.

    The package is found from any folder, and the wheels' message types through the ament index.
    """
    package_parent = str(Path(__file__).resolve().parents[3])
    python_path = [package_parent, *surroundings.get("PYTHONPATH", "").split(os.pathsep)]
    return {
        "AMENT_PREFIX_PATH": sys.prefix,
        **surroundings,
        **extra,
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(path for path in python_path if path)),
    }
