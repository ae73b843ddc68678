"""Measured latencies written into a robot file, with its comments and order as they were.

The file itself is edited, not a second one beside it: what the robot is stays in one place, and
a reader sees in one diff what a calibration has changed. The result is read again before it
replaces the file. No rclpy.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ddpm_controller.robots.robot import RobotError, load_robot

_KEY = "latency_s"


Place = tuple[str | int, ...]
"""Keys and indices that lead to a mapping in the file."""


def write_latencies(
    path: Path, streams: Mapping[str, float], outputs: Mapping[str, float] | None = None
) -> None:
    """Set ``latency_s`` of streams and of outputs, by their names, in a robot file.

    Raises:
        RobotError: The file cannot be written, or cannot be edited without changing more.
    """
    beside = path.with_name(f".{path.name}.new")
    try:
        text = with_latencies(path.read_text(encoding="utf-8"), streams, outputs)
        beside.write_text(text, encoding="utf-8")
        load_robot(beside)
        os.replace(beside, path)
    except OSError as error:
        raise RobotError(
            f"robot file {path} cannot be written: {error.strerror}; copy it to a folder of your "
            "own and calibrate that"
        ) from None
    except ValueError as error:
        raise RobotError(f"robot file {path} was not changed: {error}") from None
    finally:
        beside.unlink(missing_ok=True)


def with_latencies(
    text: str, streams: Mapping[str, float], outputs: Mapping[str, float] | None = None
) -> str:
    """Return the text of a robot file with latencies, s, rounded to 0.1 ms.

    Raises:
        ValueError: The edit would change something else, as with shared anchors.
    """
    expected = _unshared(yaml.safe_load(text))
    wanted: dict[Place, float] = {
        ("streams", name): round(value, 4) for name, value in streams.items()
    }
    for name, value in (outputs or {}).items():
        wanted[_place_of(expected, name)] = round(value, 4)
    for place, value in wanted.items():
        _inside(expected, place)[_KEY] = value
        text = _with_value(text, place, value)
    if yaml.safe_load(text) != expected:
        lines = ", ".join(
            f"{'.'.join(map(str, place))}.{_KEY}: {v}" for place, v in wanted.items()
        )
        raise ValueError(f"it is not written in a way that can be edited here; add {lines}")
    return text


def _unshared(content: Any) -> Any:
    """Return a copy in which what two anchors share is there twice."""
    if isinstance(content, list):
        return [_unshared(value) for value in content]
    if not isinstance(content, dict):
        return content
    return {name: _unshared(value) for name, value in content.items()}


def _place_of(content: dict[str, Any], name: str) -> Place:
    """Return where the output ``name`` is: the only one, or one of a list."""
    if "actions" not in content:
        return ("action",)
    names = [each.get("name") for each in content["actions"]]
    return ("actions", names.index(name))


def _inside(content: Any, place: Place) -> dict[str, Any]:
    for name in place:
        content = content[name]
    found: dict[str, Any] = content
    return found


def _with_value(text: str, place: Place, value: float) -> str:
    node = yaml.compose(text)
    for name in place:
        node = node.value[name] if isinstance(name, int) else dict(_entries(node))[name]
    entries = dict(_entries(node))
    if _KEY in entries:
        old = entries[_KEY]
        return text[: old.start_mark.index] + str(value) + text[old.end_mark.index :]
    first = node.value[0][0].start_mark
    if node.flow_style:
        return f"{text[: first.index]}{_KEY}: {value}, {text[first.index :]}"
    # Behind the last value, in a line of its own, as far to the right as the first key.
    last = node.value[-1][1].end_mark.index
    end = text.find("\n", last)
    head, tail = (text, "") if end < 0 else (text[:end], text[end:])
    return f"{head}\n{' ' * first.column}{_KEY}: {value}{tail}"


def _entries(node: yaml.Node) -> list[tuple[str, yaml.Node]]:
    if not isinstance(node, yaml.MappingNode):
        raise ValueError(f"line {node.start_mark.line + 1} is not a mapping")
    return [(key.value, value) for key, value in node.value]
