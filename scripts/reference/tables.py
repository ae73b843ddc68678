"""Tables of Markdown, and the fields of a class as one."""

import dataclasses
import types
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from docstring_parser import parse
from pydantic import BaseModel


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; a bar in a cell is written so that it does not end the cell."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(_row(cells) for cells in lines) + "\n"


def code(text: str) -> str:
    """Return the text as code, or nothing for an empty one."""
    return f"`{text}`" if text else ""


def fields_table(kind: type) -> str:
    """Return a table of the fields of a dataclass or pydantic model, with its docstring's texts.

    Raises:
        ValueError: If a field has no text in the section Attributes.
    """
    texts = {each.arg_name: each.description for each in parse(kind.__doc__ or "").params}
    hints = get_type_hints(kind, include_extras=True)
    defaults = _defaults(kind)
    if missing := sorted(set(defaults) - set(texts)):
        raise ValueError(f"{kind.__name__}: the docstring has no text for {missing}")
    rows = [
        (code(name), type_text(hints[name]), default, " ".join((texts[name] or "").split()))
        for name, default in defaults.items()
    ]
    return table(("field", "type", "default", "meaning"), rows)


def summary(kind: type) -> str:
    """Return what the docstring of a class says before its attributes."""
    parsed = parse(kind.__doc__ or "")
    parts = (parsed.short_description, parsed.long_description)
    return "\n\n".join(part for part in parts if part)


def type_text(hint: Any) -> str:
    """Return a type in words."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return type_text(parts[0])
    if origin is Literal:
        return " or ".join(code(str(part)) for part in parts)
    if origin in (Union, types.UnionType):
        return " or ".join(type_text(part) for part in parts if part is not type(None))
    if origin is tuple and parts[-1] is Ellipsis:
        return f"list of {type_text(parts[0])}"
    if origin is tuple:
        return f"{len(parts)} of {type_text(parts[0])}"
    if origin is dict:
        return f"{type_text(parts[0])} to {type_text(parts[1])}"
    return "any" if hint is Any else str(hint.__name__)


def _defaults(kind: type) -> Mapping[str, str]:
    if issubclass(kind, BaseModel):
        return {name: _shown(each) for name, each in kind.model_fields.items()}
    return {each.name: _shown(each) for each in dataclasses.fields(kind)}


def _shown(field: Any) -> str:
    if field.default_factory not in (None, dataclasses.MISSING):
        value = field.default_factory()
        return "see below" if dataclasses.is_dataclass(value) else code(repr(value))
    missing = (
        field.is_required()
        if hasattr(field, "is_required")
        else (field.default is dataclasses.MISSING)
    )
    return "required" if missing else "" if field.default is None else code(written(field.default))


def written(value: Any) -> str:
    """Return a value as in YAML."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(written, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if value == "" or not isinstance(value, str) else value


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
