"""ROS parameters as a frozen dataclass: declared once, with text, range and read-only flag."""

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
)
from rclpy.exceptions import ParameterUninitializedException
from rclpy.node import Node
from rclpy.parameter import Parameter

T = TypeVar("T")

_LARGEST_INTEGER = 2**63 - 1
_LARGEST_FLOAT = 1e308


def parameter(
    default: Any,
    text: str,
    *,
    low: float | None = None,
    high: float | None = None,
    read_only: bool = False,
) -> Any:
    """Return a dataclass field that is declared as a ROS parameter.

    Args:
        default: Value, which also fixes the type: bool, int, float, str or a tuple of str.
        text: What it means, with its unit.
        low: Smallest value of a number.
        high: Largest value of a number.
        read_only: Only to be given at the start of the process.
    """
    metadata = {"text": text, "low": low, "high": high, "read_only": read_only}
    return dataclasses.field(default=default, metadata=metadata)


def declare(node: Node, kind: type[T], removed: Mapping[str, str] | None = None) -> T:
    """Declare every field of the dataclass ``kind`` on ``node`` and return the values given.

    Args:
        node: Without these parameters.
        kind: The dataclass.
        removed: Parameter of an earlier release -> what is given in its place.

    Raises:
        InvalidParameterValueException: A value is out of range.
        InvalidParameterTypeException: A value has another type.
        ValueError: The dataclass refuses the values, or a removed parameter is given, which
            rclpy would ignore.
    """
    refuse_removed(node, removed or {})
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        if isinstance(field.default, tuple):
            _declare_texts(node, field)
        else:
            node.declare_parameter(field.name, field.default, _descriptor(field))
    return read(node, kind)


def refuse_removed(node: Node, removed: Mapping[str, str]) -> None:
    """Raise for parameters that were given at the start and that earlier releases had.

    Raises:
        ValueError: With what is given in their place.
    """
    given = sorted(set(node._parameter_overrides) & set(removed))
    if given:
        remedies = ", ".join(f"{name}: use {removed[name]}" for name in given)
        raise ValueError(f"{node.get_name()} has no parameters {given} any more; {remedies}")


def _declare_texts(node: Node, field: dataclasses.Field[Any]) -> None:
    """Declare a list of texts; an empty default would make it one of bytes."""
    node.declare_parameter(field.name, Parameter.Type.STRING_ARRAY, _descriptor(field))
    if node.get_parameter_or(field.name).value is None:
        node.set_parameters([Parameter(field.name, Parameter.Type.STRING_ARRAY, field.default)])


def read(node: Node, kind: type[T]) -> T:
    """Return the present values of the parameters that ``kind`` has declared."""
    names = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    try:
        values = {name: node.get_parameter(name).value for name in names}
        return kind(**{n: tuple(v) if isinstance(v, list) else v for n, v in values.items()})
    except ParameterUninitializedException as error:
        raise ValueError(f"{kind.__name__}: {error}") from None


def _descriptor(field: dataclasses.Field[Any]) -> ParameterDescriptor:
    text, low, high = (field.metadata[key] for key in ("text", "low", "high"))
    descriptor = ParameterDescriptor(
        name=field.name, description=text, read_only=field.metadata["read_only"]
    )
    if low is None and high is None:
        return descriptor
    if isinstance(field.default, float):
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
