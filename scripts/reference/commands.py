"""The page of the commands: what `ddpm COMMAND --help` prints."""

import contextlib
import io
import sys
from pathlib import Path

from ddpm_controller.cli.main import COMMANDS, help_text, main, shown
from ddpm_controller.ros.graph.executables import NODES
from ddpm_controller.ros.graph.graphs import GRAPHS


def page(root: Path) -> str:
    """Return the page."""
    lines = [
        "# Commands",
        "",
        "`ddpm COMMAND [OPTIONS]`; dashes and underscores in the name of a command are the same. "
        "In a colcon workspace each is an executable too, with underscores: `ros2 run "
        "ddpm_controller fit_noise` is `ddpm fit-noise`.",
        "",
        _block(help_text().rstrip()),
    ]
    for group, names in COMMANDS.items():
        lines += [f"## {group}", ""]
        for name in names:
            lines += [f"### ddpm {shown(name)}", ""]
            lines += [_node(name) if name in NODES else _block(_help(shown(name)))]
            if name == "start":
                lines += [_block(_help("start", graph)) for graph in sorted(GRAPHS)]
    return "\n".join(lines).replace(f"{root}/", "")  # files of the package have absolute paths


def _node(name: str) -> str:
    text = f"The ROS node `{name}`; its [parameters](parameters.md#{name}) and "
    return f"{text}[topics](topics.md#{name}).\n"


def _help(*words: str) -> str:
    text, arguments = io.StringIO(), sys.argv
    caught = (contextlib.redirect_stdout(text), contextlib.redirect_stderr(text))
    with caught[0], caught[1], contextlib.suppress(SystemExit):
        main([*words, "--help"])
    sys.argv = arguments
    lines = [line.rstrip() for line in text.getvalue().splitlines()]
    return "\n".join(lines).strip()


def _block(text: str) -> str:
    return f"```\n{text}\n```\n"
