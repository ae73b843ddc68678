"""The page of the parameters of the nodes."""

from pathlib import Path

from tables import code, table, written

from ddpm_controller.cli.node_help import PARAMETERS, parameters_of
from ddpm_controller.ros.parameters import Declared, declarations

_TYPES = {bool: "bool", int: "integer", float: "double", str: "string", tuple: "string array"}


def page(root: Path) -> str:
    """Return the page."""
    lines = [
        "# Parameters",
        "",
        "Of the nodes, declared with type, range and text: `ros2 param describe /controller NAME` "
        "prints the same. A read-only one is given at the start of the process. "
        "`config/controller.yaml` is the parameter file that the launch files use. "
        "`chunk.fade_s` is in the group `chunk`: `-p chunk.fade_s:=0.3` on the command line, "
        "`chunk: {fade_s: 0.3}` in a file. A word among the values is given as it is, in place of "
        "a number or a path. A name that its group does not have ends the node, and so does a "
        "name of an earlier release, with the new one.",
        "",
    ]
    for node in PARAMETERS:
        kind = parameters_of(node)
        rows = [_row(each) for each in declarations(kind)]
        header = ("name", "type", "default", "values", "read-only", "meaning")
        lines += [f"## {node}", "", kind.__doc__ or "", "", table(header, rows)]
    return "\n".join(lines)


def _row(declared: Declared) -> tuple[str, ...]:
    low, high = ("" if each is None else f"{each:g}" for each in (declared.low, declared.high))
    allowed = [code(word) for word in declared.words]
    if allowed and declared.kind is str:
        allowed.append("a text")
    if low or high:
        allowed.append(f"{low} to {high}".strip())
    kind = _TYPES[declared.kind]
    return (
        code(declared.name),
        f"{kind} or string" if declared.is_dynamic else kind,
        code(written(declared.default)),
        " or ".join(allowed),
        "yes" if declared.read_only else "",
        declared.text,
    )
