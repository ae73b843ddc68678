"""Dataclasses of plain values out of what a file or a command line has."""

from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from ddpm_controller.given_files import one_line

Values = TypeVar("Values")


def validated(kind: type[Values], values: Any) -> Values:
    """Return a dataclass of plain values, which may be text as a command line has it.

    Raises:
        ValueError: A value breaks a rule; in one line, with the value.
    """
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        raise ValueError("; ".join(_text(each) for each in error.errors())) from None


def _text(error: Any) -> str:
    name = ".".join(map(str, error["loc"]))
    text = str(error["msg"]).removeprefix("Value error, ")
    return (
        f"{name}: {one_line(text)}, got {one_line(error['input'])!r}" if name else one_line(text)
    )
