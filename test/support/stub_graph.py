"""Runs a graph of stub processes under the supervisor: ``stub_graph.py NAME [NAME:=VALUE]``."""

import sys
from pathlib import Path

from ddpm_controller.ros.graph.description import Argument, Environment, Graph, Process, Setting
from ddpm_controller.ros.graph.process_command import command_of
from ddpm_controller.ros.graph.resolution import ResolvedProcess
from ddpm_controller.ros.graph.supervisor import Timing, run

STUBS = dict.fromkeys(("controller", "demo"), "stub_process:main")


def node(*words: str, **how: object) -> Process:
    return Process("controller", name=words[0], arguments=words, **how)


LIFECYCLE = node(
    "lifecycle",
    parameters=(("text", Setting("text")), ("refuse", Setting("refuse"))),
    params_file=Setting("params_file"),
    lifecycle=True,
    autostart=Setting("autostart"),
)
GRAPHS = {
    "required": (node("wait"), Process("demo", arguments=("end", "7"), required=True)),
    "required_killed": (node("wait"), node("wait", required=True)),
    "stubborn": (node("stubborn"),),
    "respawn": (node("end", "0", respawn=True), node("wait")),
    "failing": (node("end", "5"),),
    "lifecycle": (LIFECYCLE,),
    "missing": (node("wait"), Process("controller", name="missing")),
}
ARGUMENTS = (
    Argument("text", "", "A text."),
    Argument("refuse", "false", "Refuse.", bool),
    Argument("autostart", "true", "Bring up.", bool),
    Argument("params_file", "", "A file."),
    Argument("namespace", "", "A namespace."),
)


def stub_command(process: ResolvedProcess, folder: Path) -> list[str]:
    """The real command line, with the stub in the place of the executable."""
    if process.name == "missing":
        return ["/no/such/program"]
    return command_of(process, folder, STUBS)


if __name__ == "__main__":
    described = Graph(
        sys.argv[1],
        "Stubs.",
        ARGUMENTS,
        GRAPHS[sys.argv[1]],
        (Environment("PYTHONUNBUFFERED", "1"),),
    )
    given = dict(word.split(":=", 1) for word in sys.argv[2:])
    timing = Timing(respawn_delay_s=0.01, interrupt_s=0.3, terminate_s=0.3)
    sys.exit(run(described, given, timing, stub_command))
