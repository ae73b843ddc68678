"""ROS parameters as a frozen dataclass: declared once, with text, range and read-only flag."""

import dataclasses
from typing import Any, TypeVar

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
)
from rclpy.exceptions import ParameterUninitializedException
from rclpy.node import Node

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
        default: Value, which also fixes the type: bool, int, float or str.
        text: What it means, with its unit.
        low: Smallest value of a number.
        high: Largest value of a number.
        read_only: Only to be given at the start of the process.
    """
    metadata = {"text": text, "low": low, "high": high, "read_only": read_only}
    return dataclasses.field(default=default, metadata=metadata)


def declare(node: Node, kind: type[T]) -> T:
    """Declare every field of the dataclass ``kind`` on ``node`` and return the values given.

    Raises:
        InvalidParameterValueException: A value is out of range.
        InvalidParameterTypeException: A value has another type.
        ValueError: The dataclass refuses the values.
    """
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        node.declare_parameter(field.name, field.default, _descriptor(field))
    return read(node, kind)


def read(node: Node, kind: type[T]) -> T:
    """Return the present values of the parameters that ``kind`` has declared."""
    names = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    try:
        return kind(**{name: node.get_parameter(name).value for name in names})
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
