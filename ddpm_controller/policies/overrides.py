"""Settings of a system that differ from what its checkpoint says, by name."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

Settings = TypeVar("Settings")


def overridden(settings: Settings, overrides: Mapping[str, float | str]) -> Settings:
    """Return the settings, a frozen dataclass of plain values, with some of them replaced.

    Values may be text, as a command line or a recording has them.

    Raises:
        ValueError: If a name is unknown, with those that are known, or a value breaks a rule of
            the dataclass, with both.
    """
    known = [each.name for each in fields(settings)]  # type: ignore[arg-type]
    if unknown := sorted(set(overrides) - set(known)):
        raise ValueError(f"overrides {unknown} are unknown to this policy, which has {known}")
    values = {**asdict(settings), **overrides}  # type: ignore[call-overload]
    try:
        found: Settings = TypeAdapter(type(settings)).validate_python(values)
    except ValidationError as error:
        raise ValueError("; ".join(_told(each) for each in error.errors())) from None
    return found


def as_overrides(settings: Any) -> dict[str, float | str]:
    """Return the overrides that make these settings again, whatever a checkpoint says."""
    return {name: value for name, value in asdict(settings).items() if value is not None}


def _told(error: Any) -> str:
    name = ".".join(map(str, error["loc"]))
    text = str(error["msg"]).removeprefix("Value error, ")
    return f"override {name}: {text}, got {error['input']!r}" if name else text
