"""The page of the parameters of the nodes."""

import dataclasses
from pathlib import Path
from typing import Any

from tables import code, table, written

from ddpm_controller.cli.node_help import PARAMETERS, parameters_of

_TYPES = {bool: "bool", int: "integer", float: "double", str: "string", tuple: "string array"}


def page(root: Path) -> str:
    """Return the page."""
    lines = [
        "# Parameters",
        "",
        "Of the nodes, declared with type, range and text: `ros2 param describe /controller NAME` "
        "prints the same. A read-only one is given at the start of the process. "
        "`config/controller.yaml` is the parameter file that the launch files use.",
        "",
    ]
    for node in PARAMETERS:
        kind = parameters_of(node)
        rows = [_row(field) for field in dataclasses.fields(kind)]
        header = ("name", "type", "default", "range", "read-only", "meaning")
        lines += [f"## {node}", "", kind.__doc__ or "", "", table(header, rows)]
    return "\n".join(lines)


def _row(field: dataclasses.Field[Any]) -> tuple[str, ...]:
    about = field.metadata
    low, high = ("" if about[key] is None else f"{about[key]:g}" for key in ("low", "high"))
    return (
        code(field.name),
        _TYPES[type(field.default)],
        code(written(field.default)),
        f"{low} to {high}".strip() if low or high else "",
        "yes" if about["read_only"] else "",
        about["text"],
    )
