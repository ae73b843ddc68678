"""The command `start`: begin a graph without launch.

ddpm start demo world:=reach
ddpm start controller --show-args
"""

import os
import sys

from ddpm_controller.ros.graph.description import Graph
from ddpm_controller.ros.graph.graphs import GRAPHS
from ddpm_controller.ros.graph.resolution import GraphArgumentError, default_text, resolve
from ddpm_controller.ros.graph.security_policy import policy

_POLICY = "--security-policy"


def main(words: list[str] | None = None) -> int:
    """Run ``start GRAPH [NAME:=VALUE ...]``.

    ``--show-args`` lists the arguments of a graph instead, ``--security-policy`` writes what its
    nodes may do, for `ros2 security create_permission`.
    """
    words = sys.argv[1:] if words is None else words
    if not words or words[0] not in GRAPHS:
        sys.stderr.write(
            f"usage: ddpm start GRAPH [NAME:=VALUE ...] [--show-args] [{_POLICY}]\n{_graphs()}\n"
        )
        return 0 if words in (["--help"], ["-h"]) else 2
    graph = GRAPHS[words[0]]
    if {"--show-args", "-s", "--help", "-h"} & set(words[1:]):
        sys.stdout.write(_arguments(graph) + "\n")
        return 0
    given = [word for word in words[1:] if word != _POLICY]
    wrong = [word for word in given if ":=" not in word]
    if wrong:
        sys.stderr.write(f"start: {wrong} is not of the form NAME:=VALUE\n")
        return 2
    arguments = dict(word.split(":=", 1) for word in given)
    try:
        if _POLICY in words:
            sys.stdout.write(policy(resolve(graph, arguments, os.environ)))
            return 0
        # Imported here: what a graph takes can be asked without ROS.
        from ddpm_controller.ros.graph.supervisor import run

        return run(graph, arguments)
    except GraphArgumentError as error:
        sys.stderr.write(f"start: {error}\n")
        return 2


def _graphs() -> str:
    return "\n".join(f"  {graph.name:12} {graph.description}" for graph in GRAPHS.values())


def _arguments(graph: Graph) -> str:
    lines = [graph.description]
    for argument in graph.arguments:
        choices = f" One of: {', '.join(argument.choices)}." if argument.choices else ""
        lines.append(f"  {argument.name}: {argument.description}{choices}")
        lines.append(f"      (default: {default_text(argument)!r})")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
