"""Lines of YAML with a comment each, as a person would write them."""

import math
from collections.abc import Mapping, Sequence

import yaml

_COLUMN = 34


def line(key: str, value: object, remark: str = "") -> str:
    """Return ``key: value``, with a remark where comments stand."""
    text = f"{key}: {value}"
    return f"{text:{_COLUMN}} # {remark}" if remark else text


def quoted(text: str) -> str:
    """Return a text as YAML has to have it, in quotes where it would be something else."""
    return yaml.safe_dump(text, width=math.inf).removesuffix("\n...\n").strip()


def listed(texts: Sequence[str]) -> str:
    """Return a list in one line."""
    return yaml.safe_dump(list(texts), default_flow_style=True, width=math.inf).strip()


def mapped(texts: Mapping[str, str]) -> str:
    """Return a mapping in one line."""
    return yaml.safe_dump(
        dict(texts), default_flow_style=True, width=math.inf, sort_keys=False
    ).strip()


def indented(lines: Sequence[str], depth: int) -> list[str]:
    """Return lines that are ``depth`` steps further inside."""
    return [f"{'  ' * depth}{each}" for each in lines]
