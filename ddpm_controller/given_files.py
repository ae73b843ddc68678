"""Files that a user gives, read so that a wrong one costs a moment and a line.

Nothing is opened that could wait or have no end, nothing is parsed that grows beyond its text, and
what an error repeats of a file is cut to a line.
"""

import json
import os
import re
import stat
from pathlib import Path
from typing import Any

import yaml

MOST_TEXT_BYTES = 1 << 20
"""Robot files, joint-limits files and recipes have some ten thousand."""
MOST_NESTING = 32
"""A manifest, the deepest file that this package writes, is nested six deep."""
MOST_NODES = 20_000
"""Values in a YAML file, with those that its aliases repeat."""
_MOST_POINTER_BYTES = 1024
_MOST_LETTERS = 500


def one_line(text: object, most: int = _MOST_LETTERS) -> str:
    """Return a text on one line, cut where it is longer than ``most`` letters."""
    line = " ".join(str(text)[: 4 * most].split())
    return line if len(line) <= most else f"{line[:most]}..."


def is_lfs_pointer(path: Path) -> bool:
    """Whether a file is what Git has in place of a large one that was not fetched."""
    try:
        return (
            path.is_file()
            and path.stat().st_size < _MOST_POINTER_BYTES
            and (path.read_bytes().startswith(b"version https://git-lfs"))
        )
    except OSError:
        return False


def file_content(path: Path, most_bytes: int | None = None) -> bytes:
    """Return what is in a file; never waits, as a pipe or a device would let it.

    Raises:
        OSError: It cannot be read.
        ValueError: It is not a regular file, or larger than ``most_bytes``.
    """
    # Without O_NONBLOCK a named pipe is not even opened before something writes into it.
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("it is not a regular file")
        if most_bytes is not None and found.st_size > most_bytes:
            raise ValueError(f"it has {found.st_size} bytes, the most are {most_bytes}")
        return file.read()


def file_text(path: Path, most_bytes: int = MOST_TEXT_BYTES) -> str:
    """Return the text of a file; see ``file_content``.

    Raises:
        OSError: It cannot be read.
        ValueError: It is not a regular file, too large, or no UTF-8.
    """
    return file_content(path, most_bytes).decode("utf-8")


def parsed_json(text: str) -> Any:
    """Return what a JSON text holds; the parser recurses, so its depth is counted before.

    Raises:
        ValueError: It is no JSON, or nested too deep.
    """
    depth = 0
    without_strings = re.sub(r'(?s)"(?:[^"\\]++|\\.)*+"?', "", text)  # in one pass, whatever comes
    for bracket in re.finditer(r"[\[{]|[\]}]", without_strings):
        depth += 1 if bracket[0] in "[{" else -1
        if depth > MOST_NESTING:
            raise ValueError(f"it is nested more than {MOST_NESTING} deep")
    return json.loads(text)


def parsed_yaml(text: str) -> Any:
    """Return what a YAML text holds.

    Raises:
        ValueError: It is no YAML, nested too deep, too large, or has a key twice, of which PyYAML
            would take the last; in one line.
    """
    refuse_large_yaml(text)
    try:
        _refuse_keys_twice(yaml.compose(text, Loader=yaml.SafeLoader), set())
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:  # a date that is none is a ValueError
        raise ValueError(one_line(error)) from None


def _refuse_keys_twice(node: yaml.Node | None, visited: set[int]) -> None:
    if id(node) in visited or not isinstance(node, yaml.CollectionNode):
        return
    visited.add(id(node))
    keys: set[str] = set()
    for entry in node.value:
        key, value = entry if isinstance(node, yaml.MappingNode) else (None, entry)
        if isinstance(key, yaml.ScalarNode):
            if key.value in keys:
                line = key.start_mark.line + 1
                raise ValueError(f"line {line}: {key.value} is given twice: remove one of them")
            keys.add(key.value)
        _refuse_keys_twice(value, visited)


def refuse_large_yaml(text: str) -> None:
    """Refuse YAML that is nested too deep, or large with what its aliases repeat.

    Events are read one by one, without recursion, and aliases only counted.

    Raises:
        ValueError: It is, or it is no YAML; with the line.
    """
    count, sizes = 0, dict[str | None, int]()
    around: list[tuple[str | None, int]] = []  # anchor of a list or a mapping, values before it
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.NodeEvent):
                repeats = isinstance(event, yaml.AliasEvent)
                count += sizes.get(event.anchor, 1) if repeats else 1
            if isinstance(event, yaml.CollectionStartEvent):
                around.append((event.anchor, count - 1))
            elif isinstance(event, yaml.CollectionEndEvent):
                anchor, before = around.pop()
                sizes[anchor] = count - before
            line = event.start_mark.line + 1
            if len(around) > MOST_NESTING:
                raise ValueError(f"line {line}: it is nested more than {MOST_NESTING} deep")
            if count > MOST_NODES:
                raise ValueError(
                    f"line {line}: more than {MOST_NODES} values, counting what aliases repeat"
                )
    except yaml.YAMLError as error:
        raise ValueError(f"not YAML: {one_line(error)}") from None
