"""YAML in which every key keeps its line, and which refuses a key that is given twice.

PyYAML takes the last of two equal keys silently and forgets the lines, so its nodes are read here.
"""

import ast
import difflib
import math
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import ValidationError

from ddpm_controller.given_files import one_line, refuse_large_yaml

_MOST_PROBLEMS = 6
_MOST_LETTERS = 80
Place = tuple[str | int, ...]
"""Keys and indices that lead to a value."""


class LinedYamlError(ValueError):
    """The text is not YAML, or has a key twice; with the line."""


@dataclass(frozen=True)
class LinedYaml:
    """A document and its lines.

    Attributes:
        content: What ``yaml.safe_load`` returns.
        lines: Place -> line of the key or the entry, counted from 1.
    """

    content: Any
    lines: Mapping[Place, int]

    def line(self, place: Place) -> int:
        """Return the line of ``place``, or of the nearest thing around it."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)

    def inside(self, place: Place) -> "LinedYaml":
        """Return the part at ``place`` as a document of its own, with the lines of the whole."""
        content, depth = self.content, len(place)
        for key in place:
            content = content[key]
        found = {each[depth:]: n for each, n in self.lines.items() if each[:depth] == place}
        return LinedYaml(content, found)

    def problems(self, error: ValidationError, keys: Iterable[str] = ()) -> str:
        """Return what pydantic has found, each with its line, and the nearest key for a wrong one.

        Args:
            error: What was raised for ``content``.
            keys: All keys that there are.
        """
        texts = []
        for each in error.errors():
            # A stream is read by its type, which pydantic puts into the place.
            place = tuple(part for part in each["loc"] if "/msg/" not in str(part))
            # A rule between several values begins its text with the name of one of them.
            first = each["msg"].removeprefix("Value error, ").split()[0]
            line = self.lines.get((*place, first)) or self.line(place)
            text = f"line {line}: {'.'.join(map(str, place))}: {each['msg']}"
            if each["type"] == "extra_forbidden":
                text += nearest(str(place[-1]), keys)
            elif not isinstance(each["input"], dict | list):
                text += f", got {one_line(repr(each['input']), _MOST_LETTERS)}"
            texts.append(one_line(text))
        more = [f"and {len(texts) - _MOST_PROBLEMS} more"] if len(texts) > _MOST_PROBLEMS else []
        return "; ".join(texts[:_MOST_PROBLEMS] + more)


def nearest(name: str, names: Iterable[str]) -> str:
    """Return a suggestion for a misspelt name, as the end of a message; empty without one."""
    found = difflib.get_close_matches(name, list(names), n=1)
    return f"; did you mean {found[0]!r}?" if found else ""


def read_lined_yaml(text: str) -> LinedYaml:
    """Read one document; ``!degrees`` and ``!radians`` as in the files of robot descriptions.

    Raises:
        LinedYamlError: Not YAML, too large, or a key is given twice; with the line.
    """
    try:
        refuse_large_yaml(text)
    except ValueError as error:
        raise LinedYamlError(str(error)) from None
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            lines: dict[Place, int] = {}
            if node is None:
                return LinedYaml(None, lines)
            _note(node, (), lines, set())
            return LinedYaml(loader.construct_document(node), lines)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise LinedYamlError(f"not YAML: {one_line(error)}") from None


def _note(node: yaml.Node, place: Place, lines: dict[Place, int], around: set[int]) -> None:
    """Note the lines below ``node``; ``around`` are the nodes that it lies in."""
    if id(node) in around:  # an anchor that contains itself
        return
    around = around | {id(node)}
    if isinstance(node, yaml.SequenceNode):
        for index, entry in enumerate(node.value):
            lines[(*place, index)] = entry.start_mark.line + 1
            _note(entry, (*place, index), lines, around)
    elif isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.value in seen and isinstance(key, yaml.ScalarNode):
                name = ".".join(map(str, (*place, key.value)))
                raise LinedYamlError(
                    f"line {line}: {name} is given twice, first in line {seen[key.value]}: remove "
                    "one of them"
                )
            if isinstance(key, yaml.ScalarNode):
                seen[key.value] = lines[(*place, key.value)] = line
                _note(value, (*place, key.value), lines, around)


def _radians(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> float:
    text = str(loader.construct_scalar(node))
    try:
        if len(text) > _MOST_LETTERS:
            raise ValueError("too long for a number")
        return _number(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ValueError, ZeroDivisionError, OverflowError):
        line, shown = node.start_mark.line + 1, one_line(text, _MOST_LETTERS)
        raise LinedYamlError(f"line {line}: {node.tag} needs a number, got {shown!r}") from None


def _degrees(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> float:
    return math.radians(_radians(loader, node))


_OPERATIONS: Mapping[type, Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def _number(node: ast.expr) -> float:
    """Return the value of a sum or a product of numbers and pi."""
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return float(value)
        case ast.Name(id="pi"):
            return math.pi
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_number(operand)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _number(operand)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATIONS:
            return _OPERATIONS[type(op)](_number(left), _number(right))
    raise ValueError("not a number")


class _Loader(yaml.SafeLoader):
    yaml_constructors = {  # noqa: RUF012 - PyYAML's own way to name what it constructs
        **yaml.SafeLoader.yaml_constructors,
        "!degrees": _degrees,
        "!radians": _radians,
    }
