"""ROS parameters as a frozen dataclass: declared once, with text, range and read-only flag."""

import dataclasses
import difflib
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.exceptions import ParameterUninitializedException
from rclpy.node import Node
from rclpy.parameter import Parameter

T = TypeVar("T")

_LARGEST_INTEGER = 2**63 - 1
_LARGEST_FLOAT = 1e308
_TYPES = {float: "a number", int: "an integer", str: "a text"}


@dataclasses.dataclass(frozen=True)
class Declared:
    """One field of a dataclass as ROS has it.

    Attributes:
        field: Name of the field.
        name: Name of the parameter, with its group.
        kind: Type of the value; a word is a text whatever this is.
        default: Value or word.
        text: What it means, with its unit.
        low: Smallest value of a number; None: no bound.
        high: Largest value of a number; None: no bound.
        read_only: Only given at the start of the process.
        words: Word -> value of the field.
    """

    field: str
    name: str
    kind: type
    default: Any
    text: str
    low: float | None
    high: float | None
    read_only: bool
    words: Mapping[str, float | None]

    @property
    def group(self) -> str:
        """Name of its group; empty where it is in none."""
        return self.name.rpartition(".")[0]

    @property
    def is_dynamic(self) -> bool:
        """Whether numbers and words are both given, so that the type changes."""
        return bool(self.words) and self.kind is not str

    @property
    def rule(self) -> str:
        """What may be given where there are words."""
        words = " or ".join(self.words)
        if self.low is not None and self.high is not None:
            return f"{words}, or {_TYPES[self.kind]} from {self.low:g} to {self.high:g}"
        bound = "" if self.low is None else f" of at least {self.low:g}"
        return f"{words}, or {_TYPES[self.kind]}{bound}"

    def value_from(self, given: Any) -> Any:
        """Return the value of the field for what was given.

        Raises:
            ValueError: It is not a word, has another type or is out of range.
        """
        if isinstance(given, list):
            return tuple(given)
        if not self.words:
            return given
        if isinstance(given, str) and given in self.words:
            return self.words[given]
        if not self._is_value(given):
            raise ValueError(f"parameter {self.name} must be {self.rule}, got {given!r}")
        return self.kind(given)

    def _is_value(self, given: Any) -> bool:
        if self.kind is str:
            return isinstance(given, str) and given != ""
        # An integer is a number too; to Python, but not here, so is a bool.
        accepted = (int, float) if self.kind is float else (int,)
        if isinstance(given, bool) or not isinstance(given, accepted):
            return False
        low = -_LARGEST_FLOAT if self.low is None else self.low
        high = _LARGEST_FLOAT if self.high is None else self.high
        return bool(low <= given <= high)


def parameter(
    default: Any,
    text: str,
    *,
    low: float | None = None,
    high: float | None = None,
    read_only: bool = False,
    words: Mapping[str, float | None] | None = None,
    kind: type | None = None,
) -> Any:
    """Return a dataclass field that is declared as a ROS parameter.

    Args:
        default: Value.
        text: What it means, with its unit.
        low: Smallest value of a number.
        high: Largest value of a number.
        read_only: Only to be given at the start of the process.
        words: Word that can be given in place of a value -> value that it stands for.
        kind: Type of the value, bool, int, float, str or a tuple of str; None: the default's.
    """
    metadata = {
        "text": text,
        "low": low,
        "high": high,
        "read_only": read_only,
        "words": words or {},
        "kind": type(default) if kind is None else kind,
    }
    return dataclasses.field(default=default, metadata=metadata)


def declarations(kind: type) -> list[Declared]:
    """Return what ``kind`` declares, by group; its ``NAMES`` has the names that are in one."""
    names: Mapping[str, str] = vars(kind).get("NAMES", {})
    found = []
    for field in dataclasses.fields(kind):
        words = field.metadata["words"]
        word = next((w for w, meant in words.items() if meant == field.default), field.default)
        found.append(
            Declared(field.name, names.get(field.name, field.name), default=word, **field.metadata)
        )
    return sorted(found, key=lambda each: each.group)


def declare(node: Node, kind: type[T], removed: Mapping[str, str] | None = None) -> T:
    """Declare every field of the dataclass ``kind`` on ``node`` and return the values given.

    Args:
        node: Without these parameters.
        kind: The dataclass.
        removed: Parameter of an earlier release -> what is given in its place; a field in a
            group had its own name and need not be among them.

    Raises:
        InvalidParameterValueException: A value is out of range.
        InvalidParameterTypeException: A value has another type.
        ValueError: The dataclass refuses the values, or a parameter is given that was removed or
            that its group does not have, which rclpy would ignore.
    """
    declared = declarations(kind)
    moved = {each.field: each.name for each in declared if each.field != each.name}
    refuse_removed(node, {**moved, **(removed or {})})
    _refuse_unknown(node, [each.name for each in declared])
    for each in declared:
        if each.kind is tuple:
            _declare_texts(node, each)
        else:
            node.declare_parameter(each.name, each.default, _descriptor(each))
    values = read(node, kind)
    node.add_on_set_parameters_callback(lambda given: _result(kind, given))
    return values


def refuse_removed(node: Node, removed: Mapping[str, str]) -> None:
    """Raise for parameters that were given at the start and that earlier releases had.

    Raises:
        ValueError: With what is given in their place.
    """
    given = sorted(set(node._parameter_overrides) & set(removed))
    if given:
        remedies = ", ".join(f"{name}: use {removed[name]}" for name in given)
        raise ValueError(f"{node.get_name()} has no parameters {given} any more; {remedies}")


def _refuse_unknown(node: Node, known: list[str]) -> None:
    """Raise for a name in a known group; one without a group may be meant for another node."""
    groups = {name.partition(".")[0] for name in known if "." in name}
    for name in sorted(set(node._parameter_overrides) - set(known)):
        group, dot, _ = name.partition(".")
        if not dot or group not in groups:
            continue
        of_group = [each for each in known if each.startswith(f"{group}.")]
        nearest = difflib.get_close_matches(name, known, n=1)
        meant = f"is {nearest[0]} meant? " if nearest else ""
        raise ValueError(
            f"{node.get_name()} has no parameter {name}; {meant}group {group} has {of_group}"
        )


def read(node: Node, kind: type[T]) -> T:
    """Return the present values of the parameters that ``kind`` has declared."""
    declared = declarations(kind)
    try:
        given = {each.name: node.get_parameter(each.name).value for each in declared}
    except ParameterUninitializedException as error:
        raise ValueError(f"{kind.__name__}: {error}") from None
    return kind(**fields_from(kind, given))


def fields_from(kind: type, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return field -> value of the parameters of ``kind`` among those given.

    Args:
        kind: The dataclass.
        given: Name of a parameter -> value or word; other names do not count.

    Raises:
        ValueError: One is not a value of its field.
    """
    declared = (each for each in declarations(kind) if each.name in given)
    return {each.field: each.value_from(given[each.name]) for each in declared}


def _result(kind: type, parameters: Iterable[Parameter]) -> SetParametersResult:
    """Refuse what rclpy cannot: the type of a parameter with words is not fixed."""
    try:
        fields_from(kind, {each.name: each.value for each in parameters})
    except ValueError as error:
        return SetParametersResult(successful=False, reason=str(error))
    return SetParametersResult(successful=True)


def _declare_texts(node: Node, declared: Declared) -> None:
    """Declare a list of texts; an empty default would make it one of bytes."""
    name = declared.name
    node.declare_parameter(name, Parameter.Type.STRING_ARRAY, _descriptor(declared))
    if node.get_parameter_or(name).value is None:
        node.set_parameters([Parameter(name, Parameter.Type.STRING_ARRAY, declared.default)])


def _descriptor(declared: Declared) -> ParameterDescriptor:
    low, high = declared.low, declared.high
    descriptor = ParameterDescriptor(
        name=declared.name, description=declared.text, read_only=declared.read_only
    )
    if declared.words:
        descriptor.additional_constraints = declared.rule
        descriptor.dynamic_typing = declared.is_dynamic
    elif low is None and high is None:
        return descriptor
    elif declared.kind is float:
        lowest = -_LARGEST_FLOAT if low is None else float(low)
        highest = _LARGEST_FLOAT if high is None else float(high)
        descriptor.floating_point_range = [
            FloatingPointRange(from_value=lowest, to_value=highest, step=0.0)
        ]
    else:
        smallest = -_LARGEST_INTEGER if low is None else int(low)
        largest = _LARGEST_INTEGER if high is None else int(high)
        descriptor.integer_range = [IntegerRange(from_value=smallest, to_value=largest, step=1)]
    return descriptor
